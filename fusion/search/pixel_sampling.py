"""A first look at some of the pixels: what the rows of a map have in common is found on a few."""

from __future__ import annotations

from copy import copy, deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fusion.algebra.axis import Axes
from fusion.algebra.memory import hand_back
from fusion.engine.linear_rows import LinearRows
from fusion.engine.objective import Objective
from fusion.search.warm_start import descend_easily, easier_loss, lifted_off_bounds

if TYPE_CHECKING:
    from fusion.engine.variables import Values
    from fusion.language.loss import Loss
    from fusion.language.model import Model
    from fusion.solvers.base import Solver
    from fusion.solvers.watch import Watch

ROWS = 4096
"""Pixels that are looked at."""
WORTH = 4
"""How many times more there must be."""


@dataclass(frozen=True)
class PixelSample:
    """A problem on a sample of the pixels.

    Attributes:
        objective: of these pixels alone.
        easy: with the loss that leads near the data, where there is one.
        rows: which pixels of which scan.
    """

    objective: Objective
    easy: Objective | None
    rows: dict[Axes, Tensor]


def sample_problem(objective: Objective) -> PixelSample | None:
    """The same problem on a random sample of the pixels; None where that is another one.

    It is the same where every loss is a fit of a matrix (pixel, channel), and the factors over
    pixels have neither a scale nor entries that are fixed.
    """
    model, loss = objective.model, objective.loss
    rows = _sampled_rows(loss, model)
    if not rows or loss.penalties:
        return None
    try:
        small, easy = model_on_rows(model, rows), easier_loss(loss)
        few = _loss_on_sample(loss, model, rows)
        with torch.no_grad(), small.once():
            for _, term in few.terms:
                form, M = term.pair(small)  # pyright: ignore[reportAttributeAccessIssue]
                if form.shape != M.shape:
                    return None
        near = None if easy is None else Objective(small, _loss_on_sample(easy, model, rows))
    except (RuntimeError, ValueError, IndexError, NotImplementedError):
        return None  # a model that counts its pixels
    return PixelSample(Objective(small, few), near, rows)


def starts_from_sample(
    objective: Objective,
    look: PixelSample,
    solver: Solver,
    flat: Tensor,
    watch: Watch,
    most: int,
) -> Tensor:
    """Starts after a descent on the sample: its spectra, and the maps that follow from them."""
    small, looking = look.objective, solver.looking()
    names = pixel_factors(objective.model, look.rows)
    values = objective.values(flat)
    few = {
        name: v[:, look.rows[names[name]].to(v.device)] if name in names else v
        for name, v in values.items()
    }
    near = small.raws(few).detach()
    if look.easy is not None:
        near = descend_easily(look.easy, looking, near, watch)
    outcome = looking.minimise(small, near, watch, most)
    sample_values = small.values(outcome.flat)
    if look.easy is not None:
        sample_values = lifted_off_bounds(
            small, sample_values
        )  # channels without a count on the sample may have one elsewhere
    level = {
        name: sample_values[name].mean(1, keepdim=True).expand_as(values[name]) for name in names
    }
    merged = {name: level.get(name, sample_values[name]) for name in values}
    if (filled := _least_squares(objective, list(names), merged)) is not None:
        return objective.raws(filled).detach()
    held = copy(objective)
    held.held = {name for name in values if name not in names}
    hand_back()  # what the sample took is free: the maps need more
    follow = solver.filling()
    return follow.minimise(held, objective.raws(merged).detach(), watch, follow.max_steps).flat


def _least_squares(objective: Objective, names: list[str], values: Values) -> Values | None:
    """The maps at their least squares, the spectra held; None where the loss is another one.

    What noise several fits learn says how they weigh against each other.
    """
    fits = [term for _, _, term in objective.loss.fits]
    if len(fits) > 1 and any(term.lagged for term in fits):
        return None
    starts = len(next(iter(values.values())))
    pixels = max(values[name].shape[1] for name in names)
    rows = LinearRows(objective, names, of=starts * pixels)
    made: list[Values] = []
    for i in range(starts):
        filled = rows.filled({name: value[i : i + 1] for name, value in values.items()})
        if filled is None:
            return None
        made.append(filled)
    return {name: torch.cat([one[name] for one in made]) for name in values}


def pixel_factors(model: Model, rows: dict[Axes, Tensor]) -> dict[str, Axes]:
    """Factors over the pixels that are sampled, with their axes."""
    return {
        name: module.axes[0]
        for name, module in model.factor_modules().items()
        if module.axes[0] is not None and module.axes[0] in rows
    }


def _sampled_rows(loss: Loss, model: Model) -> dict[Axes, Tensor]:
    """Pixels of every scan that is large enough."""
    generator = torch.Generator().manual_seed(0)
    rows_of_scan: dict[Axes, Tensor] = {}
    for _, _, term in loss.fits:
        data = term.dataset
        assert data is not None
        n = data.matrix_shape[0]
        if data.pixels in rows_of_scan or n < WORTH * ROWS:
            continue
        seen = torch.arange(n)
        if data.mask is not None:
            seen = seen[~data.mask.expand(data.shape).reshape(data.matrix_shape).all(1)]
        chosen = torch.randperm(len(seen), generator=generator)[:ROWS]
        rows_of_scan[data.pixels] = seen[chosen].sort().values
    return rows_of_scan


def model_on_rows(model: Model, rows: dict[Axes, Tensor]) -> Model:
    """A copy with the sampled rows of its factors over pixels."""
    other = deepcopy(model)
    for name, axes in pixel_factors(model, rows).items():
        module = model.factor(name)
        if module.known is not None or not module.entrywise or module.scale_free:
            raise ValueError(f"{name} has a scale or entries of its own")
        *path, last = name.split(".")
        owner = other.get_submodule(".".join(path)) if path else other
        owner._modules[f"_{last}"] = module.rows(rows[axes])
    return other


def _loss_on_sample(loss: Loss, model: Model, rows: dict[Axes, Tensor]) -> Loss:
    """The loss, of the data at the sampled pixels."""
    few = []
    for _, w, term in loss.fits:
        few.append((w, term._reading(_form_on_sample(term, model, rows))))
    return type(loss)(few)


def _form_on_sample(term: Any, model: Model, rows: dict[Axes, Tensor]) -> Any:
    """The data of a fit at the sampled pixels, in the form in which they are read."""
    with torch.no_grad(), model.once():
        form, M = term.pair(model)
    if len(M.shape) != 2:
        raise ValueError("not a matrix")
    axes = term.dataset.pixels
    return form.rows(rows[axes].to(form.device)) if axes in rows else form
