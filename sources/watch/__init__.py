"""What is missing, late or wrong in what a venue sends: books, holes, silences and clocks, as values without I/O."""
