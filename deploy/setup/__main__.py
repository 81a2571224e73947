"""Run as `python3 -m deploy.setup` from the repository's root; `make setup` does."""

import sys
from pathlib import Path


def main() -> int:
    """Do every step that is missing; print one line on stderr and return 1 when a step cannot be done."""
    # Before any other import: an older Python may not even read the rest.
    if sys.version_info[:2] != (3, 11):
        version = ".".join(str(part) for part in sys.version_info[:3])
        sys.stderr.write(
            f"Tapehouse needs Python 3.11, {sys.executable} is {version}: install python3.11 with its venv module "
            "(on Debian 12: apt-get install python3 python3-venv), or name it: make setup PYTHON=/path/to/python3.11\n"
        )
        return 1
    from deploy.setup.steps import SetupError, set_up

    try:
        set_up(Path(__file__).resolve().parents[2])
    except SetupError as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; make setup goes on from here\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
