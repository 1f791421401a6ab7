"""The command `aiconform`, also as `python -m aiconform`."""

from __future__ import annotations

import sys


def main() -> None:
    """An installation that is broken must not end with 1, which means "not conformant"."""
    try:
        from aiconform.cli import main as command
    except ImportError as error:
        print(f"aiconform: it is not installed completely: {error}", file=sys.stderr)
        sys.exit(2)
    command()


if __name__ == "__main__":
    main()
