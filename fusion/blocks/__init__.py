"""Fits of data larger than memory: block by block, on this machine or on a cluster."""

from fusion.blocks.settings import Blocks

__all__ = ["Blocks"]
