"""Find the Java that everything uses, and say in one line what is wrong with it."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

OLDEST = 17
ADVICE = f"install openjdk-{OLDEST}-jre-headless, or set JAVA_HOME to a Java {OLDEST} or newer"


class JavaProblemError(Exception):
    """Java is missing or too old; the message says what to do."""


def find_java(environment: Mapping[str, str]) -> Path:
    """Return the path of a fit `java`: that of JAVA_HOME if it is set, else the first on PATH, as Spark chooses."""
    home = environment.get("JAVA_HOME", "")
    java = f"{home}/bin/java" if home else shutil.which("java", path=environment.get("PATH"))
    if java is None:
        raise JavaProblemError(f"Java is missing: {ADVICE}")
    where = f"JAVA_HOME={home}" if home else java
    try:
        asked = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise JavaProblemError(f"Java at {where} does not run ({error}): {ADVICE}") from error
    version = read_version(asked.stderr + asked.stdout)
    if version is None:
        raise JavaProblemError(f"Java at {where} does not tell its version: {ADVICE}")
    if version < OLDEST:
        raise JavaProblemError(f"Java at {where} is version {version}, needed is {OLDEST} or newer: {ADVICE}")
    return Path(java)


def read_version(text: str) -> int | None:
    """Return the major version from the output of `java -version`; 8 for the old form 1.8."""
    found = re.search(r'version "(\d+)(?:\.(\d+))?', text)
    if found is None:
        return None
    major = int(found[1])
    return int(found[2]) if major == 1 and found[2] else major
