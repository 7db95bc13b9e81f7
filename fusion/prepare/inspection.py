"""What is in a data set, in numbers and in words: `inspect`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from math import isfinite, prod
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.axis import Axis
from fusion.algebra.units import in_suited_unit, ratio
from fusion.data.tally import Tally, tally
from fusion.prepare.inspection_text import LABEL, LINE, MANY, THRESHOLD, advice, summary_lines
from fusion.prepare.lazily import beside
from fusion.prepare.noticed import Noticed, noticed

if TYPE_CHECKING:
    from fusion.data.dataset import Dataset
    from fusion.prepare.noise import Noise

SHOWN = 20  # singular values told


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
        noticed: what should be mended: empty pixels, peaks that hold nearly all, saturation.
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
    noticed: Noticed
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
        entries["noticed"] = asdict(self.noticed)
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
            for label, text in summary_lines(self)
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
        axes=(*_pixel_texts(dataset), *(_axis_text(axis) for axis in dataset.channels)),
        dtype=str(dataset.dtype).removeprefix("torch."),
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
        noticed=noticed(dataset, stats),
        components=None if noise is None else noise.scree.clear,
        history=dataset.history,
        messages=(),
    )
    object.__setattr__(facts, "messages", tuple(advice(facts, dataset)))
    return facts


def noise_or_reason(dataset: Dataset, stats: Tally) -> tuple[Noise | None, str]:
    """(the noise, "") of what is neither masked nor NaN, or (None, why it is not known)."""
    from fusion.prepare.noise import noise_of_what_is_left

    if not stats.row_counts.any():
        return None, "nothing is left"
    if not stats.filled_columns.any():
        return None, "all values are zero: there is nothing to fit"
    try:
        return noise_of_what_is_left(dataset), ""
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
    if dataset.entries is not None:  # of what is not listed there is nothing to look at
        return None
    if dataset.lazy is not None:
        return _count_lazily(dataset)
    before = dataset.numpy()
    spikes = (dataset.remove_spikes(threshold=THRESHOLD).numpy() != before) & (before == before)
    if dataset.mask is not None:
        spikes &= ~dataset.mask.expand(dataset.shape).numpy()
    return int(spikes.sum())


def _count_lazily(dataset: Dataset) -> int:
    """The same block by block."""
    before = dataset.lazy
    after = dataset.remove_spikes(threshold=THRESHOLD).lazy
    spikes = (after != before) & (before == before)
    if dataset.mask is not None:
        spikes &= ~beside(dataset.mask, before)
    return int(spikes.sum().compute())


def _pixel_texts(dataset: Dataset) -> list[str]:
    """Axes of the pixels, lengths in the unit that suits them; where that is not theirs it says so.

    Crops and the like take positions in the unit of the axis.
    """
    suited = in_suited_unit(tuple(a for a in dataset.pixels if ratio("m", a.units) is not None))
    told = iter(suited)
    texts = []
    for axis in dataset.pixels:
        shown = axis if ratio("m", axis.units) is None else next(told)
        own = "" if shown.units == axis.units else f" ({axis.units} in the data)"
        texts.append(_axis_text(shown) + own)
    return texts


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
