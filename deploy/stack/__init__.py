"""The local platform: the same engines as in production, on one machine, under one supervisor."""

from deploy.stack.catalog import names
from deploy.stack.lifecycle import down, kill, kill_all, start_one, stop_one, up
from deploy.stack.report import ProcessReport, StackReport, status
from deploy.stack.settings import StackSettings

__all__ = [
    "ProcessReport",
    "StackReport",
    "StackSettings",
    "down",
    "kill",
    "kill_all",
    "names",
    "start_one",
    "status",
    "stop_one",
    "up",
]
