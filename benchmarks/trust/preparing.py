"""Draws of calls before a fit: steps, inspection, rank, and what NumPy says of the simple ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import fusion as fu
from benchmarks.trust.arrays import Array, Drawn, Rng, drawn
from benchmarks.trust.outcome import Outcome, judged

NUMBERS = re.compile(r"[^\n]*\b(?:nan|inf)\b[^\n]*")
"""A line that has no number where there should be one."""

Check = Callable[[Drawn, fu.Dataset, Any], str]


@dataclass(frozen=True)
class Call:
    """A call and what its answer must be.

    Attributes:
        words: as a user writes it.
        ask: the answer for a data set.
        check: what is wrong with it.
    """

    words: str
    ask: Callable[[fu.Dataset], Any]
    check: Check


def _values(data: fu.Dataset) -> Array:
    if data.entries is None:
        return data.numpy().astype(float)
    dense = np.zeros(data.matrix_shape)
    e = data.entries
    np.add.at(dense, (e.i.numpy(), e.j.numpy()), e.x.numpy().astype(float))
    return dense.reshape(data.shape)


def _seen(data: fu.Dataset) -> Array:
    hidden = np.zeros(data.shape, bool)
    return ~hidden if data.mask is None else ~np.broadcast_to(data.mask.numpy(), data.shape)


def finite(d: Drawn, given: fu.Dataset, answer: Any) -> str:
    """Numbers of the answer are finite where they are not masked; the rest has none."""
    if isinstance(answer, fu.Dataset):
        values, seen = _values(answer), _seen(answer)
        bad = int((~np.isfinite(values) & seen).sum())
        was = np.isfinite(d.x[d.keep]).all()
        if bad and was:
            return f"{bad} of {seen.sum()} values are not finite"
        if answer.variance is not None:
            used = np.broadcast_to(answer.variance.numpy(), answer.shape)[seen]
            if not (np.isfinite(used) & (used > 0)).all():
                return "a variance is not positive and finite"
        return ""
    if isinstance(answer, float | np.floating) and not np.isfinite(answer):
        return f"the answer is {answer}"
    if isinstance(answer, np.ndarray) and not np.isfinite(answer).all():
        return f"{int((~np.isfinite(answer)).sum())} of {answer.size} numbers are not finite"
    if isinstance(answer, str) and (said := NUMBERS.search(answer)):
        return f"says {said.group(0)!r}"
    return ""


def equal(expected: Callable[[Array], Array]) -> Check:
    """Values are these of the drawn ones, where they are seen."""

    def check(d: Drawn, given: fu.Dataset, answer: fu.Dataset) -> str:
        want, got = expected(d.x), _values(answer)
        if got.shape != want.shape:
            return f"shape {got.shape}, by NumPy {want.shape}"
        seen = _seen(answer)
        size = np.abs(d.values[np.isfinite(d.values)]).max(initial=0)
        near = np.isclose(got, want, rtol=1e-5, atol=1e-6 * size, equal_nan=True)
        if not near[seen].all():
            return f"{int((~near & seen).sum())} of {seen.sum()} values are not NumPy's"
        return finite(d, given, answer)

    return check


def _crop(rng: Rng, d: Drawn) -> Call:
    n = d.x.shape[-1]
    low, high = sorted(rng.integers(0, n + 1, 2))
    if rng.random() < 0.5:
        window = (100.0 + low, 100.0 + high)
        taken = slice(low, high + 1)
        return Call(
            f"crop(energy={window})",
            lambda data: data.crop(energy=window),
            equal(lambda x: x[..., taken]),
        )
    return Call(
        f"crop(energy=slice({low}, {high}))",
        lambda data: data.crop(energy=slice(int(low), int(high))),
        equal(lambda x: x[..., low:high]),
    )


def _bin(rng: Rng, d: Drawn) -> Call:
    n = int(rng.choice([1, 2, 3, d.x.shape[-1]]))
    sums = lambda x: x.reshape(*x.shape[:-1], -1, n).sum(-1)  # noqa: E731
    return Call(f"bin(energy={n})", lambda data: data.bin(energy=n), equal(sums))


def _normalise(rng: Rng, d: Drawn) -> Call:
    by = [2.5, None, 0.0, np.nan, "own", "pixels"][rng.integers(6)]
    if by == "own":
        return Call("normalise(own)", lambda data: data.normalise(data), finite)
    if by == "pixels":
        sizes = 0.5 + rng.random(d.x.shape[:-1])
        check = equal(lambda x: x / sizes[..., None])
        return Call("normalise(pixels)", lambda data: data.normalise(sizes), check)
    if by is None:
        return Call("normalise()", lambda data: data.normalise(), finite)
    return Call(f"normalise({by})", lambda data: data.normalise(by), equal(lambda x: x / by))


def _background(rng: Rng, d: Drawn) -> Call:
    window = [(100, 103), (None, None), (101, 105), (300, 400), (105, 100)][rng.integers(5)]
    model = str(rng.choice(["power law", "power law", "exponential", "snip", "none"]))
    return Call(
        f"subtract_background({window}, {model!r})",
        lambda data: data.subtract_background(window, model),
        finite,
    )


def _align(rng: Rng, d: Drawn) -> Call:
    if rng.random() < 0.5:
        shifts = rng.normal(0, 1, d.x.shape[:-1])
        return Call("align(shifts=…)", lambda data: data.align(shifts=shifts), finite)
    return Call("align(energy=…)", lambda data: data.align(energy=(100, 130)), finite)


def _sample(rng: Rng, d: Drawn) -> Call:
    share = float(rng.choice([0.5, 1.0, 0.01, 0.0, np.nan]))
    name = str(rng.choice(["sample_pixels", "sample_entries"]))
    return Call(f"{name}({share})", lambda data: getattr(data, name)(share), finite)


def _plain(words: str, ask: Callable[[fu.Dataset], Any], check: Check = finite) -> Callable:
    return lambda rng, d: Call(words, ask, check)


def _denoise(rng: Rng, d: Drawn) -> Call:
    K = [None, 1, 2, 50][rng.integers(4)]
    return Call(f"denoise({K})", lambda data: data.denoise(K), finite)


def _spikes(rng: Rng, d: Drawn) -> Call:
    at = float(rng.choice([8.0, 3.0, 0.0, np.nan]))
    return Call(f"remove_spikes({at})", lambda data: data.remove_spikes(threshold=at), finite)


def _mlls(rng: Rng, d: Drawn) -> Call:
    spectra = {f"r{i}": rng.random(d.x.shape[-1]) for i in range(int(rng.integers(1, 4)))}

    def check(d: Drawn, given: fu.Dataset, answer: Any) -> str:
        amounts = np.asarray(answer.maps)
        rows = d.keep.reshape(-1, d.x.shape[-1]).any(1).reshape(d.x.shape[:-1])
        left = np.isfinite(amounts.reshape(*d.x.shape[:-1], -1)).all(-1)
        return "" if left[rows].all() else "amounts of pixels that are not masked are not finite"

    return Call(f"mlls({len(spectra)})", lambda data: fu.mlls(data, spectra), check)


def _detect(rng: Rng, d: Drawn) -> Call:
    spectrum, share = rng.random(d.x.shape[-1]), float(rng.choice([0.1, 1.0, 0.0]))
    words = f"detectability(…, {share})"
    return Call(words, lambda data: str(fu.detectability(data, spectrum, share)), finite)


def _rank(rng: Rng, d: Drawn) -> Call:
    quick = {"held_out": bool(rng.random() < 0.5), "ard": False, "stability": False}
    check = lambda d, given, answer: "" if answer.recommended >= 0 else "K < 0"  # noqa: E731
    return Call(f"rank({quick})", lambda data: fu.rank(data, **quick), check)


def _plot(data: fu.Dataset) -> None:
    from matplotlib import pyplot

    figure = data.plot()
    figure.canvas.draw()
    pyplot.close(figure)


CALLS: tuple[Callable[[Rng, Drawn], Call], ...] = (
    _crop,
    _bin,
    _normalise,
    _background,
    _align,
    _sample,
    _denoise,
    _spikes,
    _mlls,
    _detect,
    _rank,
    _plain("estimate_variance()", lambda data: data.estimate_variance()),
    _plain("noise()", lambda data: str(data.noise())),
    _plain("summary()", lambda data: data.summary()),
    _plain("drifts()", lambda data: fu.prepare.drifts(data)),
    _plain(
        "KeenanKotula",
        lambda data: _there_and_back(fu.KeenanKotula(data), data),
        equal(lambda x: x),
    ),
    _plain("Anscombe.of", lambda data: fu.Anscombe.of(data).forward(data)),
    _plain("separate_fixed_pattern", lambda data: fu.separate_fixed_pattern(data)),
    _plain("plot()", _plot),
    _plain("renamed, masked", lambda data: data.renamed("b").masked(data.mask), equal(lambda x: x)),
)


def _there_and_back(scaling: Any, data: fu.Dataset) -> fu.Dataset:
    return scaling.inverse(scaling.forward(data))


def outcome(number: int) -> Outcome:
    """The draw of this number, made and judged: the calls by turns, all else at random."""
    rng = np.random.default_rng([2, number])
    d = drawn(rng, "a", counts=bool(rng.random() < 0.3), shape=_larger(rng))
    call = CALLS[number % len(CALLS)](rng, d)

    def ask() -> str:
        data = d.dataset()
        return call.check(d, data, call.ask(data))

    group = call.words.partition("(")[0]
    return judged(number, f"{call.words} of {', '.join(d.words)}", ask, group=group)


def _larger(rng: Rng) -> tuple[int, ...] | None:
    """A size at which noise can be told, as often as not."""
    return (12, 10, 40) if rng.random() < 0.7 else None
