"""Files of recorded history as typed rows: Lean, Binance, Tardis, Kraken, raw feeds, tables of anybody's columns."""
