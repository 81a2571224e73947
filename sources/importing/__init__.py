"""Recorded history brought in like one more venue: tape first, then events on the same topics as live ones."""

from contracts.imports import IMPORT
from sources.endpoints import Venue
from sources.importing.parse import parse

__all__ = ["VENUE"]

# Nothing is listened to and nothing is counted: an import asks for what it wants, and knows when it has all of it.
VENUE = Venue(name=IMPORT, endpoints=(), dialects={}, rests={}, parse=parse, counted=frozenset())
