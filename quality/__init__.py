"""Whether data can be trusted: audit, checks, scores. Knows nothing of Dagster."""
