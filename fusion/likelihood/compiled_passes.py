"""Compiled passes over counts, between torch's tensors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fusion.algebra.threads import shared_workers
from fusion.forms.contract import Form
from fusion.likelihood import count_kernels
from fusion.likelihood.count_rows import Array, CountRows, count_rows, padded
from fusion.likelihood.data_passes import Passes, unpacked
from fusion.likelihood.entry_losses import Elementwise

COMPILED = 0.5
"""Share of non-zero values up to which listing them costs less than reading all."""


def compiles(form: Form, loss: Elementwise, like: Tensor) -> bool:
    """Whether compiled passes serve: counts on a CPU, factors in double precision, numba there."""
    place = like.device.type == "cpu" and like.dtype == torch.float64
    if not (loss.logarithmic and place and form.rank_one and form.density < COMPILED):
        return False
    return count_kernels.installed()


class CompiledPasses(Passes):
    """−x ln m over counts with weights of rank one; see `fusion.likelihood.count_kernels`."""

    def __init__(self, form: Form) -> None:
        self.rows: CountRows = count_rows(form)

    def total(self, L: Tensor, R: Tensor) -> Tensor:
        mine, other, room = _factors(L, R)[0]
        value = self.rows.slope(0, mine, other, shared_workers(), room)
        return L.new_tensor(value, dtype=torch.float64)

    def evaluate(self, L: Tensor, R: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        K, workers, values = L.shape[1], shared_workers(), [0.0, 0.0]
        (left, right) = _factors(L, R)
        for j, (mine, other, room) in enumerate((left, right)):
            values[j] = self.rows.slope(j, mine, other, workers, room)
        gL, gR = (torch.from_numpy(room[:, :K]) for _, _, room in (left, right))
        return L.new_tensor(values[0], dtype=torch.float64), gL, gR

    def bend(self, L: Tensor, R: Tensor) -> None:
        """Nothing: a prediction is made anew sooner than it is fetched from memory."""

    def product(
        self, L: Tensor, R: Tensor, dL: Tensor, dR: Tensor, bend: None
    ) -> tuple[Tensor, Tensor]:
        K, workers = L.shape[1], shared_workers()
        here, there = _factors(L, R), _factors(dL, dR)
        for j in (0, 1):
            (mine, other, room), (d_mine, d_other, _) = here[j], there[j]
            self.rows.product(j, mine, other, d_mine, d_other, workers, room)
        hL, hR = (torch.from_numpy(room[:, :K]) for _, _, room in here)
        return hL, hR

    def blocks(self, L: Tensor, R: Tensor, bend: None) -> tuple[Tensor, Tensor]:
        K, workers, made = L.shape[1], shared_workers(), []
        for j, (mine, other, room) in enumerate(_factors(L, R)):
            Kp = mine.shape[1]
            half = np.empty((len(mine), Kp * (Kp + 1) // 2))
            self.rows.bend(j, mine, other, workers, (room, half))
            made.append(unpacked(torch.from_numpy(half[:, : K * (K + 1) // 2]), K))
        return made[0], made[1]


def _factors(L: Tensor, R: Tensor) -> list[tuple[Array, Array, Array]]:
    """For either side: its factor, the other one transposed, and room for an answer."""
    left, right = (padded(F.detach().numpy()) for F in (L, R))
    return [
        (mine, np.ascontiguousarray(other.T), np.empty_like(mine))
        for mine, other in ((left, right), (right, left))
    ]
