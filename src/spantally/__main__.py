"""``python -m spantally``: the command line, where its script is not on the path."""

from spantally.cli.main import main

main()
