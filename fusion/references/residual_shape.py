"""What the references leave, and words on it: where one is missing, or of another shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fusion.data.dataset import Dataset
from fusion.data.tally import tally
from fusion.forms.contract import Form

LEVEL = 1e-3
"""p below which a pixel is called badly fitted: of a thousand good ones, one is."""
SHAPE = 6.0
"""Standard errors of a channel's mean residual above which it is no noise."""
MANY = 4096
"""Badly fitted pixels that are looked at, about, to say what they have in common."""
FEW = 30
"""Pixels above which their own scatter tells the standard error of their mean."""
ROUNDING = 1e-8
"""Mean residual over the highest mean below which nothing is left."""


class Residuals(NamedTuple):
    """Sums over pixels, (channel,): what is left, in what unit, in how many."""

    z: Tensor  # over its standard deviation
    zz: Tensor  # the squares of that
    r: Tensor  # in the unit of the data
    n: Tensor

    @classmethod
    def of(cls, z: Tensor, r: Tensor, seen: Tensor) -> Residuals:
        """From residuals (pixel, channel); pixels without an answer are left out."""
        seen = seen & torch.isfinite(z) & torch.isfinite(r)
        z, r = torch.where(seen, z, 0), torch.where(seen, r, 0)
        return cls(z.sum(0), z.square().sum(0), r.sum(0), seen.sum(0).to(r.dtype))

    @classmethod
    def of_products(
        cls, r: Tensor, r2: Tensor, g: Tensor, v: Tensor, d: Tensor, S: Tensor
    ) -> Residuals:
        """The same of z = g √v (r + d Sᵀ), g (pixel, 1), v (channel,), without forming it.

        Args:
            r: what is left, r2: its squares; g: 0 for pixels without an answer; d: (pixel, K).
        """
        good, g2 = (g > 0).to(r), g.square()
        first, sum_, *cross = torch.cat([g, good, g2 * d], 1).T @ r
        z = first + ((g * d).sum(0) @ S.T)
        zz = (g2.T @ r2)[0] + 2 * (torch.stack(cross, 1) * S).sum(1)
        zz = zz + ((S @ (d.T @ (g2 * d))) * S).sum(1)
        return cls(v.sqrt() * z, v * zz, sum_ * (v > 0), good.sum() * (v > 0))

    @staticmethod
    def total(shapes: Sequence[Residuals]) -> Residuals:
        """All together."""
        return Residuals(*(torch.stack(sums).sum(0) for sums in zip(*shapes, strict=True)))

    @property
    def significance(self) -> Tensor:
        """Mean over its standard error, (channel,)."""
        about = self.zz - self.z.square() / self.n.clamp_min(1)  # the mean
        scatter = torch.where(self.n >= FEW, about, self.n)
        return self.z / torch.where(scatter > 0, scatter, torch.inf).sqrt()


def residuals_of(
    form: Form, c: Tensor, S: Tensor, index: Tensor, *, counted: bool, known: bool
) -> Residuals:
    """What some of the pixels leave in every channel."""
    some, shapes = form.rows(index), []
    for rows, x, w in some.chunks():
        m = c[index[rows]] @ S.T
        w = torch.ones_like(x) if w is None else w.expand_as(x)
        r, seen = x - m, w > 0
        z = r / m.sqrt().clamp_min(torch.finfo(x.dtype).tiny) if counted else r * w.sqrt()
        if not known:
            z = z / ((z.square() * seen).sum(1) / seen.sum(1)).sqrt()[:, None]
        shapes.append(Residuals.of(z, r, seen))
    return Residuals.total(shapes)


def missing_text(
    data: Dataset,
    everywhere: Residuals,
    local: Residuals | None,
    ratio: Tensor,
    p: Tensor,
    *,
    known: bool,
) -> list[str]:
    """Where the references do not suffice, in words with numbers."""
    pixels, n = p < LEVEL, int(torch.isfinite(p).sum())
    bad, expected, sentences = int(pixels.sum()), LEVEL * n, []
    if local is not None and bad > expected + 4 * max(expected, 1) ** 0.5:
        where = _peak_text(data, local)
        if where:
            sentences.append(
                f"in {bad} of {n} pixels ({expected:.2g} expected of noise) the references do not "
                f"suffice: p < {LEVEL:g}, reduced χ² {float(ratio[pixels].median()):.3g} in their "
                f"median, {float(ratio[pixels].max()):.3g} in the worst; what they leave is "
                f"largest {where}"
            )
        elif known:
            sentences.append(
                f"{bad} of {n} pixels ({expected:.2g} expected) have p < {LEVEL:g}, but what they "
                "leave has no shape in common: the noise is larger, or more correlated between "
                f"channels, than was taken (median reduced χ² {float(ratio.nanmedian()):.3g})"
            )
    where = _peak_text(data, everywhere)
    if where and not (sentences and known):  # relative to the median, p does not show what all lack
        sentences.append(f"in the mean of all pixels what the references leave is largest {where}")
    return sentences


def _peak_text(data: Dataset, sums: Residuals) -> str:
    """Where the mean residual is largest, over the noise, if it is more than that; else empty."""
    t = sums.significance
    size = torch.where(t.abs() > SHAPE, sums.z.abs() / sums.n.clamp_min(1), 0)
    j = int(size.argmax())
    if not float(size[j]) > 0:
        return ""
    place = np.unravel_index(j, tuple(axis.size or 1 for axis in data.channels))
    at = ", ".join(
        f"{axis.values[i]:.6g} {axis.units}" if axis.units else f"{axis.name} {axis.values[i]:g}"
        for axis, i in zip(data.channels, place, strict=True)
    )
    mean, highest = float(sums.r[j] / sums.n[j]), float(np.nanmax(np.abs(tally(data).means)))
    if abs(mean) <= ROUNDING * highest:
        return ""
    share = 100 * abs(mean) / highest
    cause = (
        "a reference that has intensity there is missing, or one has another position or shape"
        if mean > 0
        else "a reference has intensity there that the sample lacks, or another position or shape"
    )
    return (
        f"at {at}: {abs(mean):.3g} {'above' if mean > 0 else 'below'} the fit on average, "
        f"{share:.2g} % of the highest mean, {float(t[j].abs()):.0f} standard errors: {cause}"
    )
