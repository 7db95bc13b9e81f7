"""What falls apart into pixels, and what does not: said before the first pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import torch
from torch import Tensor

from fusion.algebra.axis import Axes
from fusion.blocks.held import is_of_squares
from fusion.blocks.norms import unit_columns_alone, without_norms
from fusion.blocks.on_rows import Scans, model_on_rows, pixel_factors
from fusion.engine.curvature import states_at
from fusion.engine.objective import Objective
from fusion.language.loss import Loss
from fusion.language.model import Model
from fusion.language.surrogate import Surrogate

FEW = 3
"""Pixels on which an equation is tried."""


def check_pixels_apart(model: Model, loss: Loss, scans: Scans) -> None:
    """Complain of what makes the pixels of a fit depend on each other.

    Raises:
        ValueError: naming the factor or the term, and what goes instead.
    """
    names = pixel_factors(model, scans)
    _check_parameters(model)
    _check_factors(model, names)
    for _, _, fit in loss.fits:
        if fit.lagged and not is_of_squares(fit):
            raise ValueError(
                f"`fit`, block by block: `{fit}` takes pieces from all its data at every step "
                "(`refresh`): only fits that are functions of their squares can do so here."
            )
    _check_forward(model, names, scans)
    for _, _, term in loss.penalties:
        if not _falls_apart(term, model, names):
            raise ValueError(
                f"`fit`, block by block: `{term}` makes pixels depend on each other: of factors "
                "over pixels `L1`, `SquaredNorm`, `Norm` and `ARD` go, of the others every penalty "
                "on a factor by its name. Bin or crop the data until they fit into memory, or "
                "leave it out."
            )
        if needs := term.needs():
            raise ValueError(
                f"`fit`, block by block: `{term}` asks at every step how the fits bend by "
                f"{', '.join(needs)}, which no pass tells: leave it out, or bin or crop the data "
                "until they fit into memory."
            )


def _check_parameters(model: Model) -> None:
    factors = {id(module.raw) for module in model.factor_modules().values()}
    extra = [name for name, p in model.named_parameters() if id(p) not in factors]
    if extra:
        raise ValueError(
            f"`fit`, block by block: {', '.join(extra)}: parameters that are no factors: make them "
            "`fusion.Factor`s."
        )


def _check_factors(model: Model, names: Mapping[str, Axes]) -> None:
    for name in names:
        module = model.factor(name)
        fine = module.entrywise and module.known is None
        if fine and (not module.scale_free or unit_columns_alone(module)):
            continue
        told = ", ".join(map(str, module.chain))
        raise ValueError(
            f"`fit`, block by block: the rows of {name!r} ({told}) are not free of each other, or "
            "have known entries: give it `NonNegative()` or `Free()`, with `UnitColumns()` at most."
        )


def _check_forward(model: Model, names: Mapping[str, Axes], scans: Scans) -> None:
    """Complain of an equation in which a pixel sees more than its own rows and small factors."""
    own = {scan: min(FEW, prod(axis.size or 1 for axis in scan)) for scan in set(scans.values())}
    told = ""
    try:
        several = _predicted(model, names, scans, {scan: range(n) for scan, n in own.items()})
        for i in range(FEW):
            alone = _predicted(model, names, scans, {s: [i % n] for s, n in own.items()})
            for name, (one,) in alone.items():
                if not torch.allclose(one, several[name][i % len(several[name])]):
                    told = f"a pixel of {name!r} depends on others"
    except (RuntimeError, ValueError, IndexError) as error:
        told = f"on some of the pixels it ends in {type(error).__name__}: {error}".splitlines()[0]
    if not told:
        return
    sizes = {prod(axis.size or 1 for axis in scan) for scan in own}
    bare = [n for n, m in model.factor_modules().items() if n not in names and m.shape[0] in sizes]
    line = ", ".join(f"{name!r} has as many rows as there are pixels" for name in bare)
    mend = (
        f"{line}: build it from the data set, `fu.Factor((data.pixels, K))`"
        if bare
        else "bin or crop the data until they fit into memory, those of other pixels to one grid"
    )
    raise ValueError(
        f"`fit`, block by block: `{type(model).__name__}.forward` is no equation of every pixel "
        f"alone ({told[:200]}): {mend}."
    )


def _predicted(
    model: Model, names: Mapping[str, Axes], scans: Scans, rows: Mapping[Axes, Sequence[int]]
) -> dict[str, Tensor]:
    """What a model with drawn values predicts of some pixels, (pixel, value) by data set."""
    places = {scan: torch.tensor(list(numbers)) for scan, numbers in rows.items()}
    few = without_norms(model_on_rows(model, names, places), list(names))
    for name, scan in names.items():
        raw = few.factor(name).raw
        draw = torch.Generator().manual_seed(0)
        drawn = torch.rand((FEW, *raw.shape[1:]), generator=draw, dtype=torch.float64) + 0.5
        raw.data.copy_(drawn[places[scan]])
    made = {}
    with torch.no_grad(), few.once():
        for name, prediction in few.predict().items():
            if name in scans:
                n = len(places[scans[name]])
                matrix = prediction.dense().reshape(-1, n, prediction.shape[-1])
                made[name] = matrix.transpose(0, 1).reshape(n, -1)
    return made


def about(term: Surrogate) -> str | None:
    """The factor that a penalty is about; None where nobody tells."""
    return getattr(getattr(term, "term", term), "factor", None)


def _falls_apart(term: Surrogate, model: Model, names: Mapping[str, Axes]) -> bool:
    """Whether a penalty of a factor over pixels adds up over its rows, or is of another one."""
    factor = about(term)
    if factor is None:
        return not touched(term, model) & set(names)
    return factor not in names or term.quadratic


def touched(term: Surrogate, model: Model) -> set[str]:
    """The factors on which a penalty depends."""
    objective = Objective(model, Loss([(1.0, term)]))
    values = {n: v.detach().requires_grad_() for n, v in _values(objective).items()}
    with torch.enable_grad():
        total = objective.penalties(values, states_at(objective, batched=True)).sum()
        if not total.requires_grad:
            return set()
        made = torch.autograd.grad(total, list(values.values()), allow_unused=True)
    return {name for name, g in zip(values, made, strict=True) if g is not None}


def _values(objective: Objective):
    return objective.values(objective.current())


def penalties_over(
    loss: Loss, names: Sequence[str] | Mapping[str, Axes]
) -> list[tuple[int, float, Surrogate]]:
    """(position, weight, term) of the penalties of factors over pixels."""
    return [(i, w, term) for i, w, term in loss.penalties if about(term) in names]
