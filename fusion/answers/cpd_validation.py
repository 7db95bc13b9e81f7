"""Whether a CPD can be believed: core consistency, factor match score, split halves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion.algebra.calls import checked_call
from fusion.algebra.display import Display, Shown
from fusion.algebra.prediction import CP
from fusion.algebra.seeds import generator
from fusion.answers.matching import columns, finite_rows, unit
from fusion.answers.result import Result
from fusion.data.dataset import Dataset
from fusion.prepare.crop_bin import axis_index, take_entries

__all__ = ["SplitHalf", "core_consistency", "factor_match_score", "split_half"]

Array = NDArray[np.float64]


@checked_call
def core_consistency(cp: Any, data: Dataset) -> float:
    """How far the components of a CPD keep to themselves (CORCONDIA), in per cent: 100 at best.

    100 (1 − Σ (g_pqr − δ_pqr)² / K), G = X ×₁ A⁺ ×₂ B⁺ ×₃ C⁺ the core with which the factors, as
    they are, fit the data best; δ_pqr = 1 for p = q = r, else 0. Near 100 the data are multilinear;
    around 50 or below there are too many components, or the data are not. Of several K take the
    largest before the fall. K = 1 tells nothing.

    The size of a component is spread evenly over the modes: G depends on where it is. A masked
    entry counts as what the model says there, so a mask of most of the data flatters. Variances are
    not used.

    Args:
        cp: a `Result` of a CPD, a tensorly `CPTensor`, a mapping of arrays (n, K), or a list of
            them, in the order of the axes.
        data: what it was fitted to, of three or more axes.

    Raises:
        ValueError: if `cp` is no CPD, or does not fit the data.

    References:
        Bro & Kiers, J. Chemometrics 17:274 (2003); pseudo-inverses mode by mode: Papalexakis &
        Faloutsos, ICASSP (2015).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> A, B, C = (rng.random((n, 2)) for n in (5, 6, 7))
        >>> data = fu.Dataset("x", np.einsum("ik,jk,lk->ijl", A, B, C))
        >>> round(float(fu.core_consistency([A, B, C], data)), 3)
        100.0
    """
    given = list(_factors("core_consistency", cp).values())
    shape = tuple(len(f) for f in given)
    if len(given) < 3 or shape != data.shape:
        raise ValueError(
            f"`core_consistency`: factors of {shape} rows for data of shape {data.shape}: give one "
            "(n, K) for each of three or more axes; for two the core tells nothing."
        )
    device = torch.device("cpu") if data.entries is not None else data.tensor.device
    factors = [torch.from_numpy(f).to(device) for f in _evenly_scaled(given)]
    inverses = [torch.linalg.pinv(f) for f in factors]
    core = CP(*(P @ f for P, f in zip(inverses, factors, strict=True))).dense()
    core = core + _projected_residual(data, factors, inverses)
    identity = torch.eye(factors[0].shape[1], dtype=core.dtype, device=device)
    ideal = CP(*[identity] * len(factors)).dense()
    return float(100 * (1 - (core - ideal).square().sum() / len(identity)))


@checked_call
def factor_match_score(a: Any, b: Any, *, weights: bool = True) -> float:
    """How alike two CPDs are (FMS): 1 for equal ones, 0 for nothing in common.

    (1/K) Σ_k w_k Π_n |cos(a_k⁽ⁿ⁾, b_k⁽ⁿ⁾)|, for the assignment of components that makes it largest.
    w_k = 1 − |λ_k − μ_k| / max(λ_k, μ_k), λ_k and μ_k the sizes of the components: the products of
    their norms. Where the numbers of components differ, K is the larger.

    Args:
        a: a `Result` of a CPD, a tensorly `CPTensor`, a mapping of arrays (n, K), or a list.
        b: the same; paired by name where both have the same names, else by order.
        weights: whether sizes count; without, w_k = 1. Leave them out where modes are.

    Raises:
        ValueError: if one is no CPD, or the modes differ in number or length.

    References:
        Acar, Dunlavy, Kolda & Mørup, Chemom. Intell. Lab. Syst. 106:41 (2011).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> factors = [rng.random((n, 3)) for n in (5, 6, 7)]
        >>> other = [factor[:, [2, 0, 1]] for factor in factors]
        >>> round(float(fu.factor_match_score(factors, other)), 6)
        1.0
    """
    x, y = _factors("factor_match_score", a), _factors("factor_match_score", b)
    names = [(n, n) for n in x] if x.keys() == y.keys() else list(zip(x, y, strict=False))
    if len(x) != len(y):
        raise ValueError(
            f"`factor_match_score`: {len(x)} and {len(y)} modes ({', '.join(x)}; {', '.join(y)}): "
            "give both the same."
        )
    return _match_score([(x[n], y[m]) for n, m in names], weights)


def _match_score(pairs: Sequence[tuple[Array, Array]], weights: bool) -> float:
    from scipy.optimize import linear_sum_assignment

    similarity, sizes = np.ones(()), [np.ones(()), np.ones(())]
    for a, b in pairs:
        rows = finite_rows("`factor_match_score`: a mode", a, b)
        similarity = similarity * np.abs(unit(a[rows]).T @ unit(b[rows]))
        sizes = [s * np.linalg.norm(f[rows], axis=0) for s, f in zip(sizes, (a, b), strict=True)]
    if weights:
        larger = np.maximum.outer(*sizes)
        similarity = similarity * np.minimum.outer(*sizes) / np.where(larger == 0, 1, larger)
    best = linear_sum_assignment(-similarity)
    return float(similarity[best].sum() / max(similarity.shape))


@dataclass(frozen=True, eq=False, repr=False)
class SplitHalf(Shown):
    """What `split_half` found.

    Attributes:
        axis: the axis that was split.
        compared: the factors that were compared: those that do not run along it.
        scores: (split,), factor match score of the two halves, without weights.
        halves: the two fits of every split.
    """

    axis: str
    compared: tuple[str, ...]
    scores: Array
    halves: tuple[tuple[Result, Result], ...]

    def _display(self) -> Display:
        scores = ", ".join(f"{score:.4f}" for score in self.scores)
        return Display(f"halves of {self.axis}: {', '.join(self.compared)} match by {scores}")


@checked_call
def split_half(
    data: Dataset,
    fit: Callable[[Dataset], Result],
    axis: str,
    *,
    splits: int = 1,
    seed: int = 0,
) -> SplitHalf:
    """Fit the halves of the data separately and compare: real components come back, noise does not.

        split_half(data, lambda half: fu.fit(CPD(half, 3), Frobenius(half)), "sample")

    Every second entry along the axis goes into one half, the rest into the other; from the second
    split on they are drawn at random. Each half must hold all components: an axis of a few samples,
    some of which lack one, is not for splitting. Too few components may come back as well.

    Args:
        data: the data set.
        fit: makes a CPD of a data set; called twice a split.
        axis: name of the axis to split; of four or more entries.
        splits: how many.
        seed: of the random ones.

    Returns:
        A factor match score for every split, of the factors along the other axes. From 0.95 on
        components are called equal.

    Raises:
        ValueError: if the axis is unknown or too short, or `fit` gives no CPD.

    References:
        Harshman & De Sarbo, in Research Methods for Multimode Data Analysis (1984), 602; Lorenzo-
        Seva & ten Berge, Methodology 2:57 (2006), on 0.95.
    """
    i = axis_index(data, axis, f"split_half({axis!r})")
    name, n = data.axes[i].name, data.shape[i]
    if n < 4 or splits < 1:
        raise ValueError(
            f"`split_half({axis!r}, splits={splits})`: {n} entries along {name}: split an axis of "
            "four or more, once or more."
        )
    rng = generator(seed)
    orders = [np.arange(n), *(rng.permutation(n) for _ in range(splits - 1))]
    halves, scores, compared = [], [], ()
    for order in orders:
        parts = (np.sort(order[::2]), np.sort(order[1::2]))
        first, second = (fit(take_entries(data, i, rows)) for rows in parts)
        x, y = (_other_factors("split_half", result, name) for result in (first, second))
        compared = tuple(x)
        scores.append(factor_match_score(x, y, weights=False))
        halves.append((first, second))
    return SplitHalf(name, compared, np.array(scores), tuple(halves))


def _other_factors(call: str, result: Result, axis: str) -> dict[str, Array]:
    """The factors of a CPD that do not run along this axis."""
    factors = _factors(call, result)
    along = {f: [a.name for a in result.axes[f][0] or ()] for f in factors}
    others = {f: x for f, x in factors.items() if axis not in along[f]}
    if not others or len(others) == len(factors):
        raise ValueError(
            f"`{call}`: {len(others)} of the factors {', '.join(factors)} do not run along {axis}: "
            "let `fit` make a CPD of the data set that it is given."
        )
    return others


def _factors(call: str, given: Any) -> dict[str, Array]:
    """Factors (n, K) of a CPD by name, sizes of its components included; NaN rows are unseen."""
    weights = None
    if isinstance(given, Result):
        kind, names = given.structure or ("no single decomposition", ())
        if kind != "cp":
            raise ValueError(f"`{call}`: the result is {kind}: give one of a CPD, or its factors.")
        arrays: dict[Any, Any] = {name: given.factors[name] for name in names}
    elif hasattr(given, "factors"):  # tensorly's, which calls itself a mapping
        weights, arrays = given.weights, dict(enumerate(given.factors, start=1))
    elif isinstance(given, Mapping):
        arrays = dict(given)
    else:
        arrays = dict(enumerate(given, start=1))
    factors = {str(n): columns(f"`{call}`: factor {n}", f) for n, f in arrays.items()}
    ranks = {f.shape[1] for f in factors.values()}
    if len(ranks) != 1:
        shapes = ", ".join(f"{n} {f.shape}" for n, f in factors.items())
        raise ValueError(f"`{call}`: factors {shapes or 'none'}: give one (n, K) a mode, of one K.")
    if weights is not None:
        first = next(iter(factors))
        factors[first] = factors[first] * columns(f"`{call}`: weights", weights)[:, 0]
    return factors


def _evenly_scaled(factors: Sequence[Array]) -> list[Array]:
    """Every component with one norm in all modes; rows that were not seen as zeros."""
    seen = [np.nan_to_num(f, nan=0.0) for f in factors]
    sizes = np.prod([np.linalg.norm(f, axis=0) for f in seen], axis=0)
    return [unit(f) * sizes ** (1 / len(seen)) for f in seen]


def _projected_residual(
    data: Dataset, factors: Sequence[Tensor], inverses: Sequence[Tensor]
) -> Tensor:
    """(X − M) ×₁ A⁺ ×₂ B⁺ …, 0 where masked, by chunks of the data."""
    form = data.form(
        (prod(data.shape[:-1]), data.shape[-1]), factors[0].device, torch.float64, variance=False
    )
    left, right = CP(*factors).two_way()
    parts = []
    for rows, x, seen in form.chunks():
        r = x - left[rows] @ right.T
        parts.append((r if seen is None else r * seen) @ inverses[-1].T)
    core = torch.cat(parts).reshape(*data.shape[:-1], -1)
    for inverse in inverses[:-1]:  # the first mode goes, its components come last
        core = torch.einsum("i...,ki->...k", core, inverse)
    return core.movedim(0, -1)
