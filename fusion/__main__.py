"""The command line without its script: python -m fusion, the same as sdfusion."""

import sys

from fusion.cli import main

if __name__ == "__main__":
    sys.exit(main())
