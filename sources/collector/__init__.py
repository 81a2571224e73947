"""Writes each raw payload down first, then sends the events parsed from it."""
