"""What follows from bars and ticks: indicators and features, pure."""
