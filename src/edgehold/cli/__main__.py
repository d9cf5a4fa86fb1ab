"""`python -m edgehold.cli`."""

from edgehold.cli import main

main()
