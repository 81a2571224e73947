"""Let `python -m orchestration.cli` do what `tapehouse` does."""

from orchestration.cli import main

main()
