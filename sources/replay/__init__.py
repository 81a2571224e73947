"""How a recorded tape is played back through a venue's own protocol."""
