"""The command line: sdfusion demo | info | unmix | fuse | plot."""

from fusion.cli.app import main

__all__ = ["main"]
