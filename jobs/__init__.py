"""When it runs: Dagster jobs, schedules, sensors."""
