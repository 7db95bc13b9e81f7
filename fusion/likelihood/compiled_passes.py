"""Compiled passes over counts, between torch's tensors."""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from torch import Tensor

from fusion.algebra.threads import shared_workers
from fusion.forms.contract import Form
from fusion.likelihood import count_kernels
from fusion.likelihood.count_rows import Array, CountRows, count_rows, padded
from fusion.likelihood.data_passes import Passes, unpacked
from fusion.likelihood.entry_losses import Elementwise

SHARE, COUNTS = 0.5, 50_000_000
"""Counts are listed, 16 bytes each, where they are at most this share of all values, or so many."""


def compiles(form: Form, loss: Elementwise, like: Tensor) -> bool:
    """Whether compiled passes serve: counts on a CPU, factors in double precision, numba there."""
    return could_compile(form, loss, like) and count_kernels.installed()


def could_compile(form: Form, loss: Elementwise, like: Tensor) -> bool:
    """Whether they would, were numba there."""
    place = like.device.type == "cpu" and like.dtype == torch.float64
    if not (loss.logarithmic and place and form.rank_one):
        return False
    return form.density < SHARE or form.density * prod(form.shape) <= COUNTS


class CompiledPasses(Passes):
    """−x ln m over counts with weights of rank one; see `fusion.likelihood.count_kernels`."""

    def __init__(self, form: Form) -> None:
        self.rows: CountRows = count_rows(form)

    def total(self, L: Tensor, R: Tensor) -> Tensor:
        return L.new_tensor(self.rows.loss(*_arrays(L, R), shared_workers()), dtype=torch.float64)

    def evaluate(self, L: Tensor, R: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        K = L.shape[1]
        value, left, right = self.rows.slopes(*_arrays(L, R), shared_workers())
        gL, gR = (torch.from_numpy(g[:, :K]) for g in (left, right))
        return L.new_tensor(value, dtype=torch.float64), gL, gR

    def bend(self, L: Tensor, R: Tensor) -> None:
        """Nothing: a prediction is made anew sooner than it is fetched from memory."""

    def product(
        self, L: Tensor, R: Tensor, dL: Tensor, dR: Tensor, bend: None, *, whole: bool = False
    ) -> tuple[Tensor, Tensor]:
        K, workers = L.shape[1], shared_workers()
        moved = self.rows.products(*_arrays(L, R), *_arrays(dL, dR), workers, whole=whole)
        hL, hR = (torch.from_numpy(h[:, :K]) for h in moved)
        return hL, hR

    def blocks(self, L: Tensor, R: Tensor, bend: None) -> tuple[Tensor, Tensor]:
        K, workers, made = L.shape[1], shared_workers(), []
        left, right = _arrays(L, R)
        for j, (mine, other) in enumerate(((left, right), (right, left))):
            Kp = mine.shape[1]
            into = np.empty_like(mine), np.empty((len(mine), Kp * (Kp + 1) // 2))
            self.rows.bend(j, mine, other, workers, into)
            made.append(unpacked(torch.from_numpy(into[1][:, : K * (K + 1) // 2]), K))
        return made[0], made[1]


def _arrays(L: Tensor, R: Tensor) -> tuple[Array, Array]:
    """Both factors, K padded."""
    return padded(L.detach().numpy()), padded(R.detach().numpy())
