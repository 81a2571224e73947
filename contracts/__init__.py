"""What shape the data has: event types, keys, units, clocks, topics. No I/O."""
