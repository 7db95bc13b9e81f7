"""Components that lie in one line of a scan alone: seldom a phase."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from fusion.algebra.axis import Axes
from fusion.answers.components import names_of
from fusion.language.loss import Loss
from fusion.language.model import Model

ALONE = 0.9
"""Of a map, from which it lies in one row or column."""
LINES, PIXELS = 8, 3.0
"""Rows, or columns, that the scan has at least, and pixels over which a map is spread in the one: a
rare particle has fewer."""


def single_lines(model: Model, loss: Loss) -> str | None:
    """A caution where nine tenths of a map are in one row or column of the scan; else None."""
    scans = [data.pixels for data in loss.datasets.values() if len(data.pixels) == 2]
    found: dict[str, list[str]] = {}
    for module in model.factor_modules().values():
        if len(module.shape) != 2 or module.axes[0] not in scans:
            continue
        with torch.no_grad():
            maps = module().detach()
        names = names_of(model, maps.shape[1])
        for k, line in _in_one_line(maps, module.axes[0]):
            known = found.setdefault(line, [])
            known += [name for name in [names[k]] if name not in known]
    if not found:
        return None
    told = "; ".join(f"{' and '.join(names)} in {line}" for line, names in found.items())
    return (
        f"`fit`: components that lie in one line of the scan by {100 * ALONE:.0f} % or more: "
        f"{told}. That is seldom a phase: the way back of the beam, a change while it was "
        "measured, noise of the electronics. Fit again without it."
    )


def _in_one_line(maps: Tensor, axes: Axes) -> Iterator[tuple[int, str]]:
    """(number of a component, the one row or column in which it is, with what leaves it out)."""
    sizes = [axis.size or 1 for axis in axes]
    for k in range(maps.shape[1]):
        values = np.abs(np.nan_to_num(maps[:, k].cpu().double().numpy())).reshape(sizes)
        for i, axis in enumerate(axes):
            sums = values.sum(1 - i)
            line = int(sums.argmax())
            inside = np.take(values, line, axis=i)
            spread = inside.sum() ** 2 / max(float((inside**2).sum()), np.finfo(float).tiny)
            if sizes[i] >= LINES and sums[line] > ALONE * sums.sum() and spread >= PIXELS:
                yield k, f"{axis.name} {line}, {_left_out(axis.name, line, sizes[i])}"


def _left_out(name: str, line: int, size: int) -> str:
    word = name.replace(" ", "_")
    if line == 0:
        return f"the first: `crop({word}=slice(1, None))`"
    if line == size - 1:
        return f"the last: `crop({word}=slice(0, {line}))`"
    return f"of {size}: `masked(…)`"
