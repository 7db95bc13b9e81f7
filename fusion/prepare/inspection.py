"""What is in a data set, in numbers and in words: `inspect`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from math import isfinite, prod
from textwrap import fill, shorten
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axis
from fusion.algebra.tally import Tally, tally

if TYPE_CHECKING:
    from fusion.data.dataset import Dataset
    from fusion.prepare.noise import Noise

MANY = 2 * 10**7  # values above which spikes are not looked for
THRESHOLD = 8.0  # standard deviations, as `remove_spikes` has it
SPARSE = 1.0  # counts per value below which Frobenius misjudges them
SHOWN, SUSPICIOUS = 20, 10  # singular values told; components, more than phases explain
LINE, LABEL, STEPS = 100, 12, 4  # characters of a line, of its label; steps of the history


@dataclass(frozen=True, eq=False)
class Inspection:
    """A data set in numbers, and what they advise; `print` shows it.

    Attributes:
        name, shape, signal, dtype, history: of the data set.
        axes: size, step, range and unit of each.
        total: sum of all values that are neither masked nor NaN; so are all below.
        mean_per_pixel: mean over the pixels of their totals; `mean`: of all values.
        minimum, maximum: of all values; NaN where nothing is left.
        zeros: share of values that are 0, from 0 to 1.
        negatives: share below 0; `negative`: how many.
        masked: share of values that are; `not_finite`: how many others are NaN or infinite.
        pixel_range: total of the brightest pixel over that of the median one; None where that is
            not positive or there is one pixel. `channel_range`: the same of the mean spectrum.
        spikes: how many values `remove_spikes` replaces at first; None where it was not looked: no
            spectra, negative values, or very many.
        noise: what `Dataset.noise` tells; None where it cannot, with the reason in `no_noise`.
        components: how many stand clearly out of the noise, advice on K; None without `noise`.
        messages: advice, a sentence each.
    """

    name: str
    shape: tuple[int, ...]
    signal: int
    axes: tuple[str, ...]
    dtype: str
    total: float
    mean_per_pixel: float
    mean: float
    minimum: float
    maximum: float
    zeros: float
    negatives: float
    negative: int
    masked: float
    not_finite: int
    pixel_range: float | None
    channel_range: float | None
    spikes: int | None
    noise: Noise | None
    no_noise: str
    components: int | None
    history: tuple[str, ...]
    messages: tuple[str, ...]

    @property
    def counts(self) -> bool:
        """Whether the data are Poisson counts, as far as is known."""
        return self.noise is not None and self.noise.counts

    def as_dict(self) -> dict[str, Any]:
        """Everything as numbers, text and lists, for JSON; what is not a number is None."""
        entries = {each.name: getattr(self, each.name) for each in fields(self)}
        if self.noise is not None:
            numbers = ("gain", "readout", "counts", "correlation", "inflation", "binned")
            entries["noise"] = {name: getattr(self.noise, name) for name in numbers}
            entries["noise"]["text"] = str(self.noise)
            entries["noise"]["over_edge"] = self.noise.scree.over_edge[:SHOWN].tolist()
        return _json_value(entries)

    def __str__(self) -> str:
        return "\n".join(
            fill(
                text, LINE, initial_indent=f"{label:<{LABEL}} ", subsequent_indent=" " * (LABEL + 1)
            )
            for label, text in _summary_lines(self)
        )


def inspect(dataset: Dataset) -> Inspection:
    """Look at a data set: axes, counts, zeros, negatives, spikes, noise, scree, advice on K.

    Reads what is lazy, in a few passes; NaN are left out as if they were masked.

    Args:
        dataset: spectra, images, patterns; any number of axes.
    """
    stats = tally(dataset)
    noise, no_noise = noise_or_reason(dataset, stats)
    valid, size = max(int(stats.row_counts.sum()), 1), prod(dataset.shape)
    total = float(stats.rows.sum())
    facts = Inspection(
        name=dataset.name,
        shape=dataset.shape,
        signal=dataset.signal,
        axes=tuple(_axis_text(axis) for axis in dataset.axes),
        dtype=str(dataset.tensor.dtype).removeprefix("torch."),
        total=total,
        mean_per_pixel=total / max(int((stats.row_counts > 0).sum()), 1),
        mean=total / valid,
        minimum=stats.minimum,
        maximum=stats.maximum,
        zeros=stats.zeros / valid,
        negatives=stats.negatives / valid,
        negative=stats.negatives,
        masked=stats.masked / size,
        not_finite=stats.broken,
        pixel_range=_largest_over_median(stats.totals),
        channel_range=_largest_over_median(stats.means),
        spikes=_count_spikes(dataset, stats),
        noise=noise,
        no_noise=no_noise,
        components=None if noise is None else noise.scree.clear,
        history=dataset.history,
        messages=(),
    )
    object.__setattr__(facts, "messages", tuple(_advice(facts, dataset)))
    return facts


def noise_or_reason(dataset: Dataset, stats: Tally) -> tuple[Noise | None, str]:
    """(the noise, "") of what is neither masked nor NaN, or (None, why it is not known)."""
    if not stats.row_counts.any():
        return None, "nothing is left"
    values = dataset.tensor
    if stats.broken:
        mask = ~values.isfinite().cpu()
        mask = mask if dataset.mask is None else mask | dataset.mask
        dataset = dataset.derive(values, "without NaN", mask=mask)
    try:
        return dataset.noise(), ""
    except ValueError as error:
        return None, str(error).removeprefix(f"`{dataset}`: ").rstrip(".")


def _largest_over_median(values: NDArray[np.float64]) -> float | None:
    """Largest over median."""
    values = values[np.isfinite(values)]
    middle = float(np.median(values)) if values.size > 1 else 0.0
    return float(values.max()) / middle if middle > 0 else None


def _count_spikes(dataset: Dataset, stats: Tally) -> int | None:
    """How many values stand alone; None where it was not looked."""
    if dataset.signal != 1 or stats.negatives or prod(dataset.shape) > MANY:
        return None  # the noise of what is negative does not follow its level
    before = dataset.numpy()
    spikes = (dataset.remove_spikes(threshold=THRESHOLD).numpy() != before) & (before == before)
    if dataset.mask is not None:
        spikes &= ~dataset.mask.expand(dataset.shape).numpy()
    return int(spikes.sum())


def _axis_text(axis: Axis) -> str:
    """ "energy: 2048 steps of 0.3 eV, 440 to 1054 eV"."""
    x, units = axis.values, f" {axis.units}" if axis.units else ""
    if axis.uniform and not units and axis.scale == 1:
        return f"{axis.name}: {len(x)}, not calibrated"
    step = f"steps of {abs(axis.scale):.4g}{units}" if axis.uniform else "values"
    return f"{axis.name}: {len(x)} {step}, {x[0]:.5g} to {x[-1]:.5g}{units}"


def _json_value(value: Any) -> Any:
    """The value as JSON has it."""
    if isinstance(value, dict):
        return {key: _json_value(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_json_value(each) for each in value]
    if isinstance(value, float | np.floating):
        return float(value) if isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def _advice(facts: Inspection, data: Dataset) -> Iterator[str]:
    """What to do, a sentence each."""
    if facts.not_finite:
        yield f"{facts.not_finite} values are NaN or infinite: mask=~numpy.isfinite(array)."
    if facts.minimum == facts.maximum == 0:
        yield "All values are zero: there is nothing to fit."
        return
    if facts.spikes:
        yield f"{facts.spikes} values look like spikes: see whether they are, then remove_spikes()."
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
    if K > SUSPICIOUS:
        text += "; so many are seldom all phases: drift, gain or structured noise count too"
    yield text + "."


def _summary_lines(facts: Inspection) -> Iterator[tuple[str, str]]:
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
        why = "behind a subtraction" if facts.negative else f"in more than {MANY:.0e} values"
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
