"""What is wrong in recorded history: frames in, findings out; docs/checks.md says how each check decides."""
