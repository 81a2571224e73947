"""Serve one chDB directory to ordinary ClickHouse clients over ClickHouse's HTTP protocol."""
