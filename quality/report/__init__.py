"""The report of a day: what the warehouse tells about it, judged and set as one page."""
