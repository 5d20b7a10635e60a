"""`python -m spantally.cli`."""

from spantally.cli.main import main

main()
