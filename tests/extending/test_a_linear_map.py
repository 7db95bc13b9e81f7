"""A linear map of a factor's rows of one's own, from outside the package."""

from fusion.testing import LinearMapContract


def halves(values):
    """Means of neighbours: a detector with channels twice as wide."""
    return 0.5 * (values[0::2] + values[1::2])


class TestHalves(LinearMapContract):
    def make(self):
        return halves, 8
