"""Seeded draws of everything that users hand in: is any answer wrong, and silent about it?"""

from benchmarks.trust.case import trust

__all__ = ["trust"]
