"""What a fit gives back: the factors, and everything known about how they were found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.axis import Axes
from fusion.fits import Fit
from fusion.forms import Dense
from fusion.loss import Loss
from fusion.model import Model
from fusion.objective import Objective
from fusion.prediction import CP, Expanded, Prediction, Sum
from fusion.solvers.base import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]


@dataclass(frozen=True)
class DataSummary:
    """How well one data set is met.

    Attributes:
        shape: of the array; axes: its axes; signal: how many of the last are spectral.
        explained_variance: 1 − Σ (x − m)² / Σ x², with the data set's weights, outside the mask.
        component_variance: the share of it of every component (they add up to it at a minimum), or None.
        residual_map: root mean square of x − m over the channels, shape of the navigation axes; NaN where masked.
        residual_spectrum: mean of x − m over the pixels, shape of the signal axes; NaN where masked.
        mean_spectrum: mean of x over the pixels, the same.
    """

    shape: tuple[int, ...]
    axes: Axes
    signal: int
    explained_variance: float
    component_variance: Array | None
    residual_map: Array
    residual_spectrum: Array
    mean_spectrum: Array


@dataclass(frozen=True)
class Result:
    """A fit's answer.

    Attributes:
        factors: values of all factors; rows that no data set sees are NaN.
        axes: for every factor, for every mode, the axes behind it, or None.
        status: why the best start ended, in words that a user can act on.
        converged: whether that is a minimum as far as the solver can tell.
        loss: of the answer; `losses`: of every start; `statuses`: of every start.
        n_components: their number, None where the factors differ in it.
        history: for the answer's start, "loss" and every term at every step.
        loss_history: (start, step) loss of every start, NaN where it has ended.
        data: how well every data set is met.
        formula: the loss as plain text; `latex`: as LaTeX.
        solver: what was run, with its options; `seconds`: how long; `messages`: what else a user should know.
        structure: ("cp" or "tucker", factor names) where the model is one tensor decomposition.
        model: the fitted model; None after `load`.
    """

    factors: dict[str, Array]
    axes: dict[str, tuple[Axes | None, ...]]
    status: str
    converged: bool
    loss: float
    losses: Array
    statuses: list[str]
    n_components: int | None
    history: dict[str, Array]
    loss_history: Array
    data: dict[str, DataSummary]
    formula: str
    latex: str
    solver: str
    seconds: float
    messages: list[str] = field(default_factory=list)
    structure: tuple[str, tuple[str, ...]] | None = None
    model: Model | None = field(default=None, repr=False, compare=False)

    def __getitem__(self, name: str) -> Array:
        """A factor by name."""
        return self.factors[name]

    @property
    def explained_variance(self) -> dict[str, float]:
        """Explained variance of every data set."""
        return {name: summary.explained_variance for name, summary in self.data.items()}

    def summary(self) -> str:
        """The answer in a few lines."""
        good = int((self.losses <= self.loss + 1e-4 * abs(self.loss)).sum())
        lines = [
            f"{self.status}",
            f"loss {self.loss:.8g} = {self.formula}",
            f"{self.solver}, {len(self.losses)} start{'s' * (len(self.losses) > 1)} in {self.seconds:.1f} s; "
            f"{good} within 1e-4 of the best",
        ]
        for name, array in self.factors.items():
            lines.append(f"  {name} {array.shape}")
        for name, summary in self.data.items():
            parts = summary.component_variance
            shares = "" if parts is None else " = " + " + ".join(f"{100 * p:.2f}" for p in parts)
            lines.append(f"  {name}: explained variance {100 * summary.explained_variance:.3f} %{shares}")
        return "\n".join([*lines, *self.messages])

    def __str__(self) -> str:
        return self.summary()

    def save(self, path: Any) -> None:
        """Write one npz, without pickle, whole or not at all; opens without the data and without the model's class.

        Raises:
            OSError: if the folder cannot be written.
        """
        from fusion.storage import save

        save(self, path)

    @classmethod
    def load(cls, path: Any) -> Result:
        """Read what `save` wrote; `model` is None.

        Raises:
            ValueError: if the file holds no result.
        """
        from fusion.storage import load

        return load(path)

    def to_tensorly(self, *names: str) -> Any:
        """A `CPTensor` (weights, factors), or a `TuckerTensor` (core, factors), of NumPy arrays.

        Args:
            names: the factors of a CP decomposition, in order; default: the model's own structure.

        Raises:
            ValueError: if the model is no single decomposition and no names are given.
        """
        kind, chosen = ("cp", names) if names else self.structure or ("", ())
        if not chosen:
            raise ValueError(
                f"`to_tensorly()`: the model is no single decomposition: name its factors, of {', '.join(self.factors)}."
            )
        arrays = [np.array(self.factors[name]) for name in chosen]
        import tensorly as tl
        from tensorly.cp_tensor import CPTensor
        from tensorly.tucker_tensor import TuckerTensor

        with tl.backend_context("numpy", local_threadsafe=True):
            if kind == "tucker":
                return TuckerTensor((arrays[0], arrays[1:]))
            return CPTensor((np.ones(arrays[0].shape[1]), arrays))

    def plot(self, **options: Any) -> Figure:
        """Maps beside their spectra, residuals, and the loss of every start; see `fusion.plots.plot_result`."""
        from fusion.plots import plot_result

        return plot_result(self, **options)


def summarise(
    model: Model, loss: Loss, objective: Objective, outcome: Outcome, *, solver: str, seconds: float, messages: Sequence[str]
) -> Result:
    """The result of an outcome whose best start stands in `model`."""
    best, messages = outcome.best(), list(messages)
    modules = model.factor_modules()
    factors = {name: value.detach().cpu().numpy().copy() for name, value in model.factors.items()}
    factors |= {s.name: dict(model.named_parameters())[s.name].detach().cpu().numpy().copy() for s in objective.slots if s.module is None}
    hidden = _hide(factors, modules, loss)
    with torch.no_grad(), model.once():
        data = {t.dataset.name: _met(t, model) for _, _, t in loss.fits if isinstance(t, Fit)}
    steps = torch.stack(outcome.history).cpu()  # (step, start, term)
    own = steps[:, best][torch.isfinite(steps[:, best]).all(1)].numpy()
    labels = [str(loss.terms[i][1]) for i in objective.order]
    ranks = {m.shape[-1] for m in modules.values() if len(m.shape) == 2}
    status = outcome.status[best]
    text, latex = loss.formula()
    return Result(
        factors=factors,
        axes={name: m.axes for name, m in modules.items()},
        status=status.value,
        converged=status.ok,
        loss=float(outcome.loss[best]),
        losses=outcome.loss.cpu().numpy(),
        statuses=[s.value for s in outcome.status],
        n_components=ranks.pop() if len(ranks) == 1 else None,
        history={"loss": own.sum(1)} | {label: own[:, i] for i, label in enumerate(labels)},
        loss_history=steps.sum(2).T.numpy(),
        data=data,
        formula=text,
        latex=latex,
        solver=solver,
        seconds=seconds,
        messages=messages + hidden,
        structure=model.structure,
        model=model,
    )


def component_shares(form: Dense, M: Prediction) -> Tensor | None:
    """⟨M_k, M⟩ / ‖X‖² of every component, (K,); None where the prediction has no components."""
    parts = M.parts if isinstance(M, Sum) else (M,)
    if not all(isinstance(p, CP) for p in parts) or len({p.like.shape[-1] for p in parts}) != 1 or not form.rank_one:
        return None
    L, R = M.two_way()
    K = parts[0].like.shape[-1]
    LW, RW = form.weighted(L, R)
    gram = (L.double().T @ LW.double()) * (R.double().T @ RW.double())
    size = form.norm2().clamp_min(torch.finfo(torch.float64).tiny)
    return gram.sum(0).reshape(len(parts), K).sum(0) / size


def _met(fit: Fit, model: Model) -> DataSummary:
    """How well the data set of one fit is met."""
    form, M = fit.pair(model)
    data = fit.dataset
    size = form.norm2().clamp_min(torch.finfo(torch.float64).tiny)
    explained = 1 - 2 * float(fit.half_squares(model) / size)
    shares = component_shares(form, M)
    squares, sums, means = _residuals(data.form(data.matrix_shape, form.array.device, form.dtype), M, data.matrix_shape)
    split = len(data.shape) - data.signal
    return DataSummary(
        shape=data.shape,
        axes=data.axes,
        signal=data.signal,
        explained_variance=explained,
        component_variance=None if shares is None else shares.cpu().numpy(),
        residual_map=squares.cpu().numpy().reshape(data.shape[:split]),
        residual_spectrum=sums.cpu().numpy().reshape(data.shape[split:]),
        mean_spectrum=means.cpu().numpy().reshape(data.shape[split:]),
    )


def _residuals(form: Dense, M: Prediction, shape: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """(root mean square of x − m per pixel, mean of x − m per channel, mean of x per channel), by chunks."""
    if isinstance(M, Expanded) or len(M.shape) > 2:
        L = M.dense().reshape(shape)
        part = lambda rows: L[rows]  # noqa: E731
    else:
        left, right = M.two_way()
        part = lambda rows: left[rows] @ right.T  # noqa: E731
    squares, sums, means, counts = [], 0.0, 0.0, 0.0
    for rows, x, w in form.chunks():
        seen = torch.ones_like(x) if w is None else (w > 0).to(x.dtype).expand_as(x)
        r = (x - part(rows)) * seen
        n = seen.sum(1)
        squares.append(torch.where(n > 0, (r.square().sum(1) / n.clamp_min(1)).sqrt(), torch.nan))
        sums, means, counts = sums + r.sum(0), means + (x * seen).sum(0), counts + seen.sum(0)
    assert isinstance(counts, Tensor)
    nothing = torch.where(counts > 0, 1.0, torch.nan) / counts.clamp_min(1)
    return torch.cat(squares), sums * nothing, means * nothing


def _hide(factors: dict[str, Array], modules: dict, loss: Loss) -> list[str]:
    """NaN for rows of pixels or channels that every data set with these axes masks; a message for each factor."""
    messages = []
    for name, module in modules.items():
        axes = module.axes[0]
        seen: Array | None = None
        for _, _, fit in loss.fits:
            data = fit.dataset
            if data is None or not axes or axes not in (data.pixels, data.channels):
                continue
            visible = _visible(data, 1 if axes == data.pixels else 0)
            seen = visible if seen is None else seen | visible
        if seen is not None and not seen.all():
            factors[name][~seen] = np.nan
            messages.append(f"{int((~seen).sum())} of {len(seen)} rows of {name} are masked in every data set: NaN")
    return messages


def _visible(data: Any, along: int) -> Array:
    """Pixels (along=1) or channels (along=0) that are not wholly masked."""
    if data.mask is None:
        return np.ones(data.matrix_shape[1 - along], dtype=bool)
    hidden = data.mask.expand(data.shape).reshape(data.matrix_shape).all(along)
    return ~hidden.numpy()


