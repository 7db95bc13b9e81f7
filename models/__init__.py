"""What the data are made of."""

from fusion.models.nmf import NMF

__all__ = ["NMF"]
