"""`python -m loomtriage.cli`."""

from loomtriage.cli import main

main()
