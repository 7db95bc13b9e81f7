"""How factors enter the tensors of predictions: column by column, or as autograd finds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import torch
from torch import Tensor

from fusion.engine.variables import Values

WHOLE = 1e-9
"""How near to whole numbers entries of a map are read as such: sums and choices of columns."""

Entering = Mapping[str, Tensor | None]
"""T = Σ F B over factors F, each row of T from the same row of F: B (k, K); None = F as it is."""


class ColumnMaps:
    """The factors in every tensor, found once a fit; that they still hold is seen at every point.

    C + N, columns side by side, some columns of a factor, a fixed mixture of them: of all these a
    product is a sum of products. What is no such thing is left to autograd.
    """

    def __init__(self) -> None:
        self.found: dict[int, Entering | None] = {}
        self.places: list[tuple] = []
        """Where the tensors belong, see `Objective.closed`."""
        self.asked = False
        """Whether the model was ever looked at."""
        self.replayed: list[Entering] | None = None
        """The factors in every tensor, where these are all that they are made of."""
        self._probes: dict[int, Tensor] = {}

    def entering(
        self, tensors: Sequence[Tensor], names: Sequence[str | None], values: Values
    ) -> list[Entering | None]:
        """The factors in every tensor; None where autograd is needed.

        Args:
            tensors: (start, …), with their graph from the values.
            names: the factor that a tensor is; None: it is none.
            values: of all factors, leaves of that graph.
        """
        made = [
            {name: None} if name is not None else self._of(k, T, values)
            for k, (T, name) in enumerate(zip(tensors, names, strict=True))
        ]
        known = [factors for factors in made if factors]
        whole = len(known) == len(made) and all(
            name is not None or _equal(T, entered(factors, values))
            for name, T, factors in zip(names, tensors, known, strict=True)
        )
        self.replayed = known if whole else None
        return made

    def replay(self, values: Values) -> list[Tensor] | None:
        """The tensors at other values without the model's `forward`; None where that is needed."""
        if self.replayed is None:
            return None
        made = [entered(factors, values) for factors in self.replayed]
        return [T for T in made if T is not None]

    def _of(self, k: int, T: Tensor, values: Values) -> Entering | None:
        if not T.requires_grad:
            return {}
        if T.ndim != 3 or T.shape[1] < T.shape[2] or self.found.get(k, {}) is None:
            return None
        probe = self._probe(k, T)
        pulled = torch.autograd.grad(
            (T * probe).sum(), list(values.values()), retain_graph=True, allow_unused=True
        )
        seen = {name: g for name, g in zip(values, pulled, strict=True) if g is not None}
        if k not in self.found:
            self.found[k] = _solved(probe, seen)
        made = self.found[k]
        if made is None or made.keys() != seen.keys() or not _holds(probe, seen, made):
            self.found[k] = made = None
        return made

    def _probe(self, k: int, T: Tensor) -> Tensor:
        """Fixed numbers of either sign, the same for all starts."""
        if k not in self._probes:
            generator = torch.Generator(device=T.device).manual_seed(0)
            self._probes[k] = torch.randn(
                T.shape[1:], generator=generator, device=T.device, dtype=T.dtype
            )
        return self._probes[k]


def entered(factors: Entering | None, v: Values) -> Tensor | None:
    """Σ v B over the factors in a tensor that are given; None where none is."""
    parts = [
        v[name] if B is None else v[name] @ B for name, B in (factors or {}).items() if name in v
    ]
    return reduce(torch.add, parts) if parts else None


def pulled_back(
    entering: Sequence[Entering | None], h: Sequence[Tensor | None], pulled: Values
) -> Values:
    """Gradients by the factors from those by the tensors, added to what is there."""
    for factors, x in zip(entering, h, strict=True):
        if x is not None:
            for name, B in (factors or {}).items():
                part = x if B is None else x @ B.mT
                pulled[name] = pulled[name] + part if name in pulled else part
    return pulled


def _equal(T: Tensor, made: Tensor | None) -> bool:
    """Whether a tensor is a sum of factors but for rounding."""
    if made is None:
        return False
    with torch.no_grad():
        return bool((T - made).abs().amax() <= _share(T) * made.abs().amax())


def _solved(probe: Tensor, seen: Values) -> Entering | None:
    """The maps that gradients at the first start speak of; None where no row meets its own row."""
    if any(g.ndim != 3 or g.shape[1] != len(probe) for g in seen.values()):
        return None
    gram = (probe.mT @ probe).double()
    return {
        name: _tidied(torch.linalg.solve(gram, (probe.mT @ g[0]).double()).mT.to(g))
        for name, g in seen.items()
    }


def _tidied(B: Tensor) -> Tensor | None:
    """A map with whole numbers where it is near them; None for the unit matrix."""
    near = (B - B.round()).abs() <= max(WHOLE, 100 * torch.finfo(B.dtype).eps)
    B = torch.where(near, B.round(), B)
    unit = torch.eye(*B.shape, dtype=B.dtype, device=B.device)
    return None if B.shape[0] == B.shape[1] and torch.equal(B, unit) else B.contiguous()


def _holds(probe: Tensor, seen: Values, made: Entering) -> bool:
    """Whether the gradients are those of the maps, at every start and row."""
    off = []
    for name, g in seen.items():
        B = made[name]
        expected = probe if B is None else probe @ B.mT
        off.append((g - expected).abs().amax() <= _share(g) * expected.abs().amax())
    return bool(torch.stack(off).all()) if off else True


def _share(g: Tensor) -> float:
    """What rounding leaves."""
    return torch.finfo(g.dtype).eps ** 0.75
