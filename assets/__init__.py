"""What exists: Dagster assets and asset checks."""
