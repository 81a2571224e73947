"""What jobs, schedules and the sensor are called, for those who start or watch them from outside."""

DAILY = "daily"
OBSERVE = "observe"
RESTART = "restart_process"

DAILY_SCHEDULE = "daily_at_00_10"
OBSERVE_SCHEDULE = "observe_every_5_minutes"
CLOSED_DAY_SENSOR = "closed_day"
