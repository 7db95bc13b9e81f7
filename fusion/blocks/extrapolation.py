"""Where a row of steps leads: the mixture of the last ones whose changes cancel best."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

MEMORY = 4
"""Steps that are remembered."""
INSIDE = 0.2
"""Share of what the last step leaves of an entry ≥ 0 that the mixture leaves at least."""
RIDGE = 1e-10

Values = Mapping[str, Tensor]


class Extrapolation:
    """Anderson mixing of a fixed-point iteration S → T(S), in the metric of the loss.

    References:
        Walker & Ni, SIAM J. Numer. Anal. 49:1715 (2011).
    """

    def __init__(self) -> None:
        self.steps: list[tuple[dict[str, Tensor], dict[str, Tensor]]] = []

    def forget(self) -> None:
        """Begin anew, where the loss rose."""
        self.steps.clear()

    def next(self, at: Values, to: Values, bend: Values) -> dict[str, Tensor]:
        """The point to go on from.

        Args:
            at: S; to: T(S).
            bend: about the curvature of every entry, > 0; missing: all alike.
        """
        self.steps.append((dict(at), dict(to)))
        self.steps = self.steps[-MEMORY:]
        if len(self.steps) < 2:
            return dict(to)
        off = [self._weighted({n: b[n] - a[n] for n in to}, bend) for a, b in self.steps]
        changes = torch.stack([r - off[-1] for r in off[:-1]], 1)
        gram = changes.T @ changes
        gram = gram + RIDGE * gram.diagonal().max().clamp_min(1e-300) * torch.eye(len(gram)).to(
            gram
        )
        share = torch.linalg.solve(gram, -(changes.T @ off[-1]))
        made = {}
        for name, last in to.items():
            moves = [
                float(s) * (b[name] - last)
                for s, (_, b) in zip(share, self.steps[:-1], strict=True)
            ]
            mixed = last + sum(moves[1:], moves[0])
            made[name] = torch.where(last >= 0, torch.maximum(mixed, INSIDE * last), mixed)
        return made

    @staticmethod
    def _weighted(change: Values, bend: Values) -> Tensor:
        parts = [
            (x if n not in bend else x * bend[n].to(x).sqrt()).double().flatten()
            for n, x in change.items()
        ]
        return torch.cat(parts)
