"""How data arrives: one folder a venue, and the collector around them."""
