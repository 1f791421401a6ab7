"""`python -m aiconform` is `aiconform`."""

from aiconform.cli import main

main()
