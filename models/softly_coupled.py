"""Two detectors whose maps are nearly the same."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fusion.algebra.calls import checked_call
from fusion.algebra.prediction import Prediction, cp
from fusion.constraints import Free, NonNegative, UnitColumns
from fusion.data.dataset import Dataset
from fusion.language.factor import Factor
from fusion.language.model import Model
from fusion.models.checks import check_axes, check_datasets, check_rank, identifier


class SoftlyCoupled(Model):
    """X₁ ≈ (C + N) S₁ᵀ, X₂ ≈ C S₂ᵀ: two detectors with nearly the same maps. Review, eq. (14).

    The second data set sees C, the first C + N. C (pixel, K₂) has unit columns, the spectra
    "S_<name>" (channel, K) hold the amounts. N, of any sign, in the unit of C (a typical entry of C
    is 1/√pixels), has one column for every coupled pair, in the order of `coupled`. Components of
    the first that are not coupled have maps of their own, "C_<first>", unit columns too. N needs a
    penalty, `SquaredNorm("N", …)` or `Norm("N")`: without one the data sets are not coupled at all.

    Args:
        first: the data set that sees C + N: the less localised signal, EELS in the review.
        second: the data set that sees C: EDXS in the review.
        K: number of components; or (K₁, K₂), where the data sets differ in it (fig. 8: EELS 2, EDXS
            3).
        coupled: pairs (i, j): component i of the first and j of the second have nearly the same
            map. Default: 0 with 0, 1 with 1, … as far as both go.

    Raises:
        ValueError: if names, pixels, K or the pairs do not fit.

    Example:
        >>> from fusion.losses import Frobenius, SquaredNorm
        >>> from fusion.simulate import concurrent
        >>> scan = concurrent(shape=(6, 8), channels=60).datasets
        >>> model = fu.models.SoftlyCoupled(scan["eels"], scan["edxs"], K=4)
        >>> loss = Frobenius(scan["eels"]) + Frobenius(scan["edxs"]) + SquaredNorm("N", 0.02)
        >>> sorted(fu.fit(model, loss, starts=2, max_steps=20, progress=False).factors)
        ['C', 'N', 'S_edxs', 'S_eels']
    """

    @checked_call
    def __init__(
        self,
        first: Dataset,
        second: Dataset,
        K: int | tuple[int, int],
        *,
        coupled: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        super().__init__()
        call = f"SoftlyCoupled({first}, {second}, {K})"
        check_datasets(call, [first, second])
        check_axes(call, [first, second], "pixels")
        K1, K2 = tuple(K) if isinstance(K, Sequence | np.ndarray) else (K, K)
        for data, rank in ((first, K1), (second, K2)):
            what = f"{data.name!r} is {data.matrix_shape} (pixel, channel)"
            check_rank(call, rank, min(data.matrix_shape), what)
        pairs = [(k, k) for k in range(min(K1, K2))] if coupled is None else list(coupled)
        _check_pairs(call, pairs, K1, K2)
        self.names = first.name, second.name
        self.own = [i for i in range(K1) if i not in dict(pairs)]  # components of the first alone
        self.pairs = None if pairs == [(k, k) for k in range(K1)] and K1 == K2 else pairs
        self.C = Factor((second.pixels, K2), NonNegative(), UnitColumns())
        self.N = Factor((first.pixels, len(pairs)), Free())
        if self.own:
            own = Factor((first.pixels, len(self.own)), NonNegative(), UnitColumns())
            setattr(self, f"C_{identifier(first.name)}", own)
        for data, rank in ((first, K1), (second, K2)):
            setattr(
                self, f"S_{identifier(data.name)}", Factor((data.channels, rank), NonNegative())
            )
        if coupled is None and self.pairs is None:
            self.interchangeable = ("C", "N", *(f"S_{identifier(name)}" for name in self.names))

    def first_maps(self) -> Tensor:
        """Maps that the first data set sees, (pixel, K₁): C + N, and its own."""
        if self.pairs is None:
            return self.C + self.N
        maps = self.C[:, [j for _, j in self.pairs]] + self.N
        if self.own:
            maps = torch.cat([maps, getattr(self, f"C_{identifier(self.names[0])}")], 1)
        order = [i for i, _ in self.pairs] + self.own
        return maps[:, [order.index(i) for i in range(len(order))]]

    def forward(self) -> dict[str, Prediction]:
        first, second = self.names
        S1, S2 = (getattr(self, f"S_{identifier(name)}") for name in self.names)
        return {first: cp(self.first_maps(), S1), second: cp(self.C, S2)}


def _check_pairs(call: str, pairs: Sequence[tuple[int, int]], K1: int, K2: int) -> None:
    """Complain of pairs that couple nothing, something twice, or what is not there."""
    if not pairs:
        raise ValueError(f"`{call}`: coupled=[]: nothing is shared: fit two `NMF` instead.")
    for which, K in ((0, K1), (1, K2)):
        side = [pair[which] for pair in pairs]
        if len(set(side)) < len(side) or not all(0 <= k < K for k in side):
            raise ValueError(
                f"`{call}`: coupled={list(pairs)}: the {('first', 'second')[which]} of every pair "
                f"must be a component from 0 to {K - 1}, each at most once."
            )
