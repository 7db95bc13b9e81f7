"""What an inspection says in words: its paragraphs, and advice."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from textwrap import shorten
from typing import TYPE_CHECKING

import numpy as np

from fusion.prepare.noticed_text import noticed_advice, zero_peak_advice
from fusion.prepare.single_spectrum import no_map

if TYPE_CHECKING:
    from fusion.data.dataset import Dataset
    from fusion.prepare.inspection import Inspection
    from fusion.prepare.noise import Noise

MANY = 2 * 10**7  # values above which spikes are not looked for
THRESHOLD = 8.0  # standard deviations, as `remove_spikes` has it
SPARSE = 1.0  # counts per value below which Frobenius misjudges them
SUSPICIOUS = 10  # components, more than phases explain
LINE, LABEL, STEPS = 100, 12, 4  # characters of a line, of its label; steps of the history


def advice(facts: Inspection, data: Dataset) -> Iterator[str]:
    """What to do, a sentence each."""
    if facts.not_finite:
        yield f"{facts.not_finite} values are NaN or infinite: mask=~numpy.isfinite(array)."
    if facts.minimum == facts.maximum == 0:
        yield "All values are zero: there is nothing to fit."
        return
    if facts.spikes:
        yield f"{facts.spikes} values look like spikes: see whether they are, then remove_spikes()."
    yield from noticed_advice(facts, data)
    if alone := no_map(data):
        yield alone
        return
    yield from _loss_advice(facts)
    if facts.noise is None:
        return
    if facts.noise.correlated and data.signal:
        yield (
            f"Neighbouring channels are correlated: {_bin_text(facts, data)} if the resolution "
            "allows; the number of components is an upper limit, error bars are too small."
        )
    yield from _rank_advice(facts, data)


def _loss_advice(facts: Inspection) -> Iterator[str]:
    """Which data term suits the noise."""
    if facts.negative:
        yield "Negatives: use Frobenius after estimate_variance(); Poisson needs counts ≥ 0."
    elif facts.counts and facts.mean < SPARSE:
        yield (
            f"Counts, {facts.mean:.2g} a value: use Poisson; Frobenius misjudges so few, "
            "unless bin() sums some."
        )
    elif facts.counts:
        yield "Counts: use Poisson, or Frobenius after estimate_variance()."
    elif facts.noise is not None:
        yield "Not counts, by their noise: use Frobenius after estimate_variance()."
    elif facts.minimum >= 0 and "int" in facts.dtype:
        yield "Whole numbers: use Poisson if they are counts, else Frobenius with variance=…."
    else:
        yield "Noise unknown: use Frobenius, with variance=… if you know it."


def _bin_text(facts: Inspection, data: Dataset) -> str:
    """ "bin the channels by 4, bin(energy=4)": so many that neighbours share little."""
    assert facts.noise is not None
    axis = data.channels[-1]
    size = axis.size or 1
    n = min(2 ** int(np.ceil(np.log2(max(facts.noise.inflation, 2.0)))), size)
    word = axis.name.split()[0]
    crop = f"crop({word}=slice(0, {size - size % n}))." if size % n else ""
    return f"bin the channels by {n}, {crop}bin({word}={n}),"


def _rank_advice(facts: Inspection, data: Dataset) -> Iterator[str]:
    """How many components there may be."""
    assert facts.noise is not None
    K, scree = facts.components or 0, facts.noise.scree
    marginal = scree.rank - K
    if K + marginal == 0:
        yield "K: no singular value stands out of the noise: bin pixels or channels."
        return
    more = bool((scree.over_edge[scree.rank : scree.rank + 1] > 1).any())  # no more are looked for
    number = f"{K} or more" if more else f"{K}"
    values = "singular values stand" if K > 1 else "singular value stands"
    text = f"K: {number} {values} out of the noise"
    if marginal:
        text += f", {marginal} more hardly: mostly noise"
    subtracted = facts.negative or any("background" in step for step in facts.history)
    if not subtracted and data.signal and data.channels[-1].units.endswith("eV"):
        text += "; unless a background was subtracted, one or more of them are the background"
    if zero_peak_advice(data):
        text += "; the zero peak is one or more of them: look again without it"
    if K > SUSPICIOUS:
        text += "; so many are seldom all phases: drift, gain or structured noise count too"
    yield text + "."


def summary_lines(facts: Inspection) -> Iterator[tuple[str, str]]:
    """(label, text) of every paragraph of the summary."""
    unit = " counts" if facts.counts else ""
    shape = " × ".join(str(n) for n in facts.shape)
    size = f"{shape} = {prod(facts.shape)}" if len(facts.shape) > 1 else shape
    yield facts.name, f"{size} values, {facts.dtype}"
    for label, axis in zip(["axes", *[""] * len(facts.axes)], facts.axes, strict=False):
        yield label, axis
    yield (
        "total",
        (f"{facts.total:.5g}{unit}, {facts.mean_per_pixel:.4g} a pixel, {facts.mean:.4g} a value"),
    )
    yield (
        "values",
        (
            f"{facts.minimum:.5g} to {facts.maximum:.5g}{unit}; {_per_cent(facts.zeros)} zero, "
            f"{facts.negative} negative ({_per_cent(facts.negatives)})"
        ),
    )
    if facts.masked or facts.not_finite:
        yield "left out", f"{_per_cent(facts.masked)} masked, {facts.not_finite} NaN or infinite"
    ranges = {"pixel": facts.pixel_range, "channel": facts.channel_range}
    brightest = [
        f"{what} {ratio:.3g} × the median" for what, ratio in ranges.items() if ratio is not None
    ]
    if brightest:
        yield "brightest", ", ".join(brightest)
    if facts.spikes is not None:
        yield "spikes", f"{facts.spikes} values stand alone by {THRESHOLD:g} standard deviations"
    elif facts.signal == 1:
        many = prod(facts.shape) > MANY
        why = f"in more than {MANY:.0e} values" if many else "in sparse data"
        why = "behind a subtraction" if facts.negative else why
        yield "spikes", f"not looked for {why}"
    yield "noise", str(facts.noise) if facts.noise else f"not measured: {facts.no_noise}"
    if facts.noise:
        yield "scree", _scree_text(facts.noise)
    history = [shorten(step, LINE - LABEL - 1, placeholder=" …") for step in facts.history]
    if len(history) > STEPS:
        history = [f"{len(history) - STEPS} earlier steps", *history[-STEPS:]]
    for label, step in zip(["history", *[""] * len(history)], history, strict=False):
        yield label, step
    for label, message in zip(
        ["advice", *[""] * len(facts.messages)], facts.messages, strict=False
    ):
        yield label, message


def _scree_text(noise: Noise) -> str:
    """The values above the edge | the next below it."""
    K, values = noise.scree.rank, [f"{value:.3g}" for value in noise.scree.over_edge]
    above, below = ", ".join(values[:K]) or "none", ", ".join(values[K : K + 3])
    text = f"singular values over the noise edge: {above} | {below} …"
    if prod(noise.binned) > 1:
        text += f" (sums of {' × '.join(str(n) for n in noise.binned)} neighbours)"
    return text


def _per_cent(share: float) -> str:
    """In per cent; a few of very many are not 0 %."""
    return f"{100 * share:.3g} %"
