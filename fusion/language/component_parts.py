"""What is shown as the components of a prediction that is no product of maps and spectra."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class ComponentParts(NamedTuple):
    """Maps and spectra whose product is near a prediction; of several products in a row the sum.

    Attributes:
        maps: (pixel, n); spectra: (channel, n).
        more: names of the last of them, which are none of the model's components.
    """

    maps: Tensor
    spectra: Tensor
    more: tuple[str, ...] = ()
