"""The workloads: what is measured, with which systems."""
