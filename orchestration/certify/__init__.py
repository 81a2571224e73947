"""The certificate: one tape, replayed in many ways on platforms of its own, gives the same tables each time."""
