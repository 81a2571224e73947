"""Indicators over bars of any grain; docs/indicators.md says which, how they are defined and what they agree with."""
