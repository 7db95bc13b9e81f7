"""Signs of the columns of a tensor's factors: two that are negative together are one positive."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def with_positive_columns(factors: Sequence[Tensor]) -> list[Tensor]:
    """The factors of the same CP tensor, columns turned in pairs so that most are positive.

    Of an odd number of negative columns the one whose parts are most alike in size stays.

    Args:
        factors: (n_mode, K), one a mode.
    """
    if len({f.shape[1:] for f in factors}) != 1 or factors[0].ndim != 2:
        return list(factors)  # no CP tensor: who reads them complains
    balance = torch.stack([(f.square() * f.sign()).sum(0) / f.square().sum(0) for f in factors])
    balance = balance.nan_to_num(0)  # (mode, K), −1 … 1; 0 for an empty column
    turn = balance < 0
    odd = turn.sum(0) % 2 == 1
    least = torch.where(turn, balance, -torch.inf).argmax(0)  # nearest to nothing, of the negative
    turn[least[odd], odd.nonzero()[:, 0]] = False
    signs = torch.where(turn, -1.0, 1.0).to(factors[0].dtype)
    return [factor * sign for factor, sign in zip(factors, signs, strict=True)]


def with_positive_modes(core: Tensor, factors: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Core and factors of the same Tucker tensor, mostly negative columns turned with the core.

    Args:
        core: (r_1, r_2, …).
        factors: (n_mode, r_mode), one a mode.
    """
    if tuple(core.shape) != tuple(f.shape[-1] for f in factors):
        return core, list(factors)  # no Tucker tensor: who reads them complains
    turned = []
    for mode, factor in enumerate(factors):
        sign = torch.where((factor.square() * factor.sign()).sum(0) < 0, -1.0, 1.0).to(factor.dtype)
        turned.append(factor * sign)
        core = core * sign.reshape(-1, *(1,) * (core.ndim - 1 - mode))
    return core, turned
