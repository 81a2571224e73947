"""What starts it: definitions, settings, the command line."""
