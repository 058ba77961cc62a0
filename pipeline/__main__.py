"""`python -m pipeline`: the same command as `driftline`."""

from pipeline.cli import main

main()
