"""The drill: a seeded plan of faults on a platform of its own while the tape plays, and an audit after each."""
