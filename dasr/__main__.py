"""`python -m dasr` is `dasr`."""

from dasr.cli import main

main()
