"""The steps of the set-up in their order; each is skipped when its result is there."""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.setup import debian, jars
from deploy.setup.python import Environment
from deploy.setup.run import SetupError, say

GIB = 1024**3
# Measured on a cold set-up: the environment, with pip's unpacking beside it; then Maven's cache and the jars.
PACKAGES_BYTES = 4 * GIB
JARS_BYTES = GIB // 2

__all__ = ["SetupError", "set_up"]


def set_up(root: Path) -> None:
    """Bring the checkout at `root` to where `tapehouse` runs; says nothing when nothing was missing."""
    began = time.monotonic()
    try:
        with alone(root):
            did = do_missing(root)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise SetupError(f"the set-up cannot go on: {error}") from error
        raise SetupError(
            "the disk is full: free some room (a first set-up needs 5 GiB in all), then run again"
        ) from error
    if did:
        say(f"set-up done in {time.monotonic() - began:.0f} s")


def do_missing(root: Path) -> bool:
    """Do what is missing; tell whether anything was."""
    environment = Environment(root)
    whole = environment.whole()
    packages = whole and environment.has_packages()
    project = packages and environment.has_project()
    has_jars = jars.has_jars(root)
    refuse_full_disk(root, (0 if packages else PACKAGES_BYTES) + (0 if has_jars else JARS_BYTES))
    absent = debian.missing(need_venv=not whole, need_maven=not has_jars)
    if absent:
        debian.install(absent, need_venv=not whole, need_maven=not has_jars)
    if not whole:
        environment.make()
    if not packages:
        environment.install_packages()
    if not project:
        environment.install_project()
    if not has_jars:
        jars.fetch(root)
    return bool(absent) or not (project and has_jars)


def refuse_full_disk(root: Path, needed: int) -> None:
    """Raise before anything is written when it would not fit."""
    free = shutil.disk_usage(root).free
    if free < needed:
        raise SetupError(
            f"the disk of {root} has {free / GIB:.1f} GiB free, the set-up needs {needed / GIB:.1f}: "
            "free some, then run again"
        )


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Let one set-up of a checkout run at a time."""
    handle = os.open(root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up of this checkout is at work: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
