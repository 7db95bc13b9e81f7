"""X-ray spectra whose components are compositions."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from fusion.algebra.axis import Axes, length
from fusion.algebra.calls import checked_call
from fusion.algebra.prediction import Prediction
from fusion.constraints import NonNegative, UnitColumns
from fusion.data.dataset import Dataset
from fusion.language.component_parts import ComponentParts
from fusion.language.factor import Factor
from fusion.language.model import Model
from fusion.models.checks import check_datasets, check_rank
from fusion.xrays.line_model import LineModel


class Compositions(Model):
    """X ≈ lines(C Aᵀ): every component is a composition, A (element, K), of which C are the maps.

    The spectra are those that `LineModel` gives such atoms: lines and continuum, absorbed in the
    specimen, with what is not known of detector, thickness and sensitivities as unknowns. Columns
    of A have norm 1; `result.composition()` gives atomic and weight per cent, with errors that hold
    all of these.

    Args:
        edxs: X-ray counts of a thin specimen.
        elements: of the components.
        K: number of components.
        others: elements that send X-rays but are no part of a composition: of grid, pole piece,
            holder; they have a map each, and what their shells send is not told by each other. They
            absorb as all atoms do, and are no part of the mass thickness either.
        options: of `LineModel`: `k_factors`, `beam_energy`, `elevation`, `continuum`, `response`,
            `mass_thickness`.

    Raises:
        ValueError: if the data are no X-ray spectra of a thin specimen, or something is nowhere.
    """

    interchangeable = ("C", "A")

    @checked_call
    def __init__(
        self,
        edxs: Dataset,
        elements: Sequence[str],
        K: int,
        *,
        others: Sequence[str] = (),
        **options: Any,
    ) -> None:
        super().__init__()
        call = f"Compositions({edxs}, {list(elements)}, {K})"
        check_datasets(call, [edxs])
        what = f"{edxs.name!r} is {edxs.matrix_shape} (pixel, channel)"
        check_rank(call, K, min(edxs.matrix_shape), what)
        self.name = edxs.name
        elsewhere = [e for e in others if e not in set(elements)]
        self.lines = LineModel(edxs, [*elements, *others], elsewhere=elsewhere, **options)
        self.others = tuple(e for e in self.lines.elements if e not in set(elements))
        self.elements = tuple(e for e in self.lines.elements if e not in self.others)
        self.C = Factor((edxs.pixels, K))
        self.A = Factor((len(self.elements), K), NonNegative(), UnitColumns())
        if self.others:
            self.B = Factor((edxs.pixels, len(self.others)))

    def atoms(self) -> Tensor:
        """(pixel, element) atoms, of the specimen and of all else."""
        n = self.C @ self.A.T
        return torch.cat([n, self.B], 1) if self.others else n

    def relative_mass_thickness(self) -> Tensor:
        """Mass thickness over its mean, on the axes of the scan: for `losses.Smoothness`."""
        return relative_mass_thickness(self.lines, self.atoms(), self.factor("C").axes[0] or ())

    def component_parts(self, name: str) -> ComponentParts:
        components = torch.einsum("pk,ek->kpe", self.C, self.A)
        if not self.others:
            return ComponentParts(*self.lines.parted(components))
        others = torch.diag_embed(self.B).transpose(0, 1)  # (other, pixel, other)
        parts = torch.cat(
            [pad(components, (0, len(self.others))), pad(others, (len(self.elements), 0))]
        )
        return ComponentParts(*self.lines.parted(parts), self.others)

    def forward(self) -> dict[str, Prediction]:
        return {self.name: self.lines(self.atoms())}


class ElementMaps(Model):
    """X ≈ lines(N): a map of every element, N (pixel, element), and no components.

    Args:
        edxs: X-ray counts of a thin specimen.
        elements: all that send X-rays.
        options: of `LineModel`, as for `Compositions`.
    """

    @checked_call
    def __init__(self, edxs: Dataset, elements: Sequence[str], **options: Any) -> None:
        super().__init__()
        check_datasets(f"ElementMaps({edxs}, {list(elements)})", [edxs])
        self.name = edxs.name
        self.lines = LineModel(edxs, elements, **options)
        self.elements = self.component_names = self.lines.elements
        self.N = Factor((edxs.pixels, len(self.elements)))

    def atoms(self) -> Tensor:
        """(pixel, element) atoms."""
        return self.N

    def relative_mass_thickness(self) -> Tensor:
        """Mass thickness over its mean, on the axes of the scan: for `losses.Smoothness`."""
        return relative_mass_thickness(self.lines, self.atoms(), self.factor("N").axes[0] or ())

    def component_parts(self, name: str) -> ComponentParts:
        return ComponentParts(*self.lines.parted(torch.diag_embed(self.N).transpose(0, 1)))

    def forward(self) -> dict[str, Prediction]:
        return {self.name: self.lines(self.atoms())}


def relative_mass_thickness(lines: LineModel, atoms: Tensor, axes: Axes) -> Tensor:
    """Mass thickness of a map of atoms (pixel, element) over its mean, on its axes."""
    thickness = lines.mass_thickness(atoms)
    return (thickness / thickness.mean()).reshape([length(axis) for axis in axes])
