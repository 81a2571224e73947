"""One script a workload and a system, each run by the Python of its own environment; see rounds.py for how."""
