"""Set up a fresh checkout. Standard library only: nothing else is there yet."""
