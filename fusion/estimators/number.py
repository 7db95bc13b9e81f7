"""How many components, where none is said."""

import warnings

from fusion.data.dataset import Dataset
from fusion.ranking import rank


def stand_out(data: Dataset) -> int:
    """As many as stand out of the noise, at least one; all where there are too few data to tell."""
    most = min(data.matrix_shape)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            recommended = rank(data, held_out=False, ard=False, stability=False).recommended
    except ValueError:
        return most
    return min(max(recommended, 1), most)
