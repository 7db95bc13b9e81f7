"""Known spectra beside unknown ones."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch

from fusion.algebra.calls import checked_call
from fusion.algebra.cautions import CutWarning, users_line
from fusion.algebra.prediction import Prediction, cp
from fusion.constraints import Fixed, NonNegative, UnitColumns
from fusion.data.dataset import Dataset
from fusion.data.reference_spectra import references_on_channels
from fusion.language.factor import Factor
from fusion.language.model import Model
from fusion.models.checks import check_rank


class WithReferences(Model):
    """X ≈ C Sᵀ: the first columns of S are known, K more are looked for.

    C (pixel, R + K) are the maps of the R references and of the K unknown components, S (channel,
    R + K) their spectra, all with unit columns: the amounts are in C. In the unit of the references
    they are `C[:, :R] / model.norms`.

    Non-negativity alone tells an unknown spectrum up to what the references can take over: where
    their spectra overlap its own everywhere, add what is known of the maps, such as
    `0.05 * SoftOrthogonality("C")`.

    Args:
        data: the data set.
        references: {name: spectrum}, as for `fusion.mlls`; one on another energy axis is resampled,
            with a warning.
        K: number of unknown components.

    Attributes:
        component_names: of the references, then "unknown 1" …
        norms: (R,) ℓ2 norms of the references.

    Raises:
        ValueError: if a reference does not fit the data's axis, or K is below 1 or, with the
            references, above the smaller dimension.

    Example:
        >>> from fusion.simulate import layers
        >>> scene = layers(shape=(8, 10), channels=60)
        >>> known = {"silica": scene.truth["S"][:, 2]}
        >>> model = fu.models.WithReferences(scene.datasets["net"], known, K=2)
        >>> loss = fu.losses.Frobenius(scene.datasets["net"])
        >>> fu.fit(model, loss, starts=2, max_steps=20, progress=False)["S"].shape
        (60, 3)
    """

    structure = ("cp", ("C", "S"))

    @checked_call
    def __init__(self, data: Dataset, references: Mapping[str, Any], K: int) -> None:
        super().__init__()
        call = f"WithReferences({data}, …, K={K!r})"
        refs = references_on_channels(call, data, references)
        for message in refs.messages:
            warnings.warn(f"`{call}`: {message}", CutWarning, stacklevel=users_line())
        R, most = len(refs.names), min(data.matrix_shape)
        what = f"{R} references, {data.name!r} is {data.matrix_shape} (pixel, channel)"
        check_rank(call, K, most - R, what)
        self.data_name = data.name
        self.component_names = (*refs.names, *(f"unknown {k + 1}" for k in range(K)))
        known = torch.from_numpy(refs.spectra)
        self.register_buffer("norms", known.norm(dim=0))
        self.norms: torch.Tensor
        self.C = Factor((data.pixels, R + K), NonNegative())
        self.S = Factor(
            (data.channels, R + K),
            NonNegative(),
            UnitColumns(),
            Fixed(known / self.norms, components=range(R)),
        )

    def forward(self) -> dict[str, Prediction]:
        return {self.data_name: cp(self.C, self.S)}
