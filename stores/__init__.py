"""Where data is kept: one module a store, each handed its settings as values."""
