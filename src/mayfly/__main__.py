"""`python -m mayfly`."""

from mayfly.cli.entry import main

main()
