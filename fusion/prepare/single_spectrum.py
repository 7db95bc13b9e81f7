"""What serves for spectra without a map: `no_map`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fusion.data.signal_type import has_edges

if TYPE_CHECKING:
    from fusion.data.dataset import Dataset

ELEMENTS = 'its elements in at.%: `fu.models.ElementMaps(data, ["Sr", "Ti", "O"])`'
REFERENCES = "known spectra are fitted to it by `fu.mlls(data, references)`"


def no_map(data: Dataset) -> str:
    """That a data set is a single spectrum, and what can be done with it; "" where it is none.

    Args:
        data: any data set; one pixel makes a single spectrum.
    """
    if data.signal != 1 or data.matrix_shape[0] != 1:
        return ""
    edges = has_edges(data.channels[0], data.metadata)
    serves = [ELEMENTS] * (edges is not True) + [REFERENCES] * (edges is not False)
    return f"A single spectrum, no map: there is nothing to factorise; {'; '.join(serves)}."
