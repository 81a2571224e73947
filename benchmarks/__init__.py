"""How fast, and at what cost: measurements that can be repeated. Quote ratios of one run; machines differ."""
