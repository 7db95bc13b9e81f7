"""What the benchmark of compositions asks of the package: every name that may still move."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import fusion as fu
from benchmarks.science.edxs_scores import Found

K = dict[str, float | tuple[float, float]]
"""k factors, with a standard error each or without."""
NEIGHBOURS = (0.03, 0.05, 0.07, 0.1, 0.2)
"""By how much of its mean the mass thickness of neighbours may differ: held-out counts choose."""
HELD_OUT = 0.2
"""Share of the counts that chooses."""


def dataset(
    counts: Any, channels: np.ndarray, *, beam: float, elevation: float, name: str = "edxs"
) -> fu.Dataset:
    """Counts (y, x, channel) or (channel,) with channels in keV, and what a file says of them."""
    energy = fu.Axis(
        "energy", units="keV", scale=float(channels[1] - channels[0]), offset=float(channels[0])
    )
    navigation = ["y", "x"][: np.ndim(counts) - 1]
    return fu.Dataset(name, counts, axes=[*navigation, energy], metadata=_metadata(beam, elevation))


def _metadata(beam: float, elevation: float) -> dict[str, Any]:
    detector = {"EDS": {"elevation_angle": elevation}}
    microscope = {"TEM": {"beam_energy": beam, "Detector": detector}}
    return {"Signal": {"signal_type": "EDS_TEM"}, "Acquisition_instrument": microscope}


def k_factors(values: Mapping[str, Any], error: float = 0.0) -> Any:
    """Atomic k factors, of families or lines: their values, or those with a standard error."""
    return fu.elements.KFactors(dict(values), kind="atomic", error=error)


def compositions(
    data: fu.Dataset,
    elements: Sequence[str],
    components: int,
    k: Any = None,
    *,
    others: Sequence[str] = (),
    seed: int = 0,
    neighbours: float | None = None,
) -> Found:
    """The call of the documentation; without k factors those that are computed from tables.

    Args:
        data: counts.
        elements: of the components; others: that send X-rays and are no part of them.
        components: how many.
        k: of `k_factors`.
        seed: of the fit.
        neighbours: the prior that mass thickness is smooth: how far neighbours differ, of the mean.
    """
    clock, processor = time.perf_counter(), time.process_time()
    told: dict[str, Any] = {} if k is None else {"k_factors": k}
    told |= {"others": list(others)} if others else {}
    model = fu.models.Compositions(data, elements=list(elements), K=components, **told)
    result = fu.fit(model, _loss(data, neighbours), seed=seed, progress=False)
    spent = time.perf_counter() - clock, time.process_time() - processor
    return read(result, *spent)


def _loss(data: fu.Dataset, neighbours: float | None) -> Any:
    loss: Any = fu.losses.Poisson(data)
    for axis in range(len(data.axes) - 1 if neighbours else 0):
        smooth = fu.losses.Smoothness(lambda m: m.relative_mass_thickness(), axis=axis)
        loss = loss + neighbours**-2 * smooth
    return loss


def chosen_neighbours(data: fu.Dataset, elements: Sequence[str], components: int, k: Any) -> float:
    """Of `NEIGHBOURS`, that at which a fit of most counts predicts the others best.

    Every count goes to either by chance: both are Poisson, and know nothing of each other.
    """
    counts = data.numpy()
    others = np.random.default_rng(0).binomial(counts, HELD_OUT)
    kept = data.derive((counts - others).astype(counts.dtype), "a share of the counts")
    found = {}
    for neighbours in NEIGHBOURS:
        model = fu.models.Compositions(kept, elements=list(elements), K=components, k_factors=k)
        result = fu.fit(model, _loss(kept, neighbours), seed=0, progress=False)
        with torch.no_grad():
            left, right = result.model.predict()[data.name].two_way()
        expected = HELD_OUT / (1 - HELD_OUT) * (left @ right.T).numpy()
        seen = others.reshape(expected.shape)
        found[neighbours] = float((expected - seen * np.log(np.maximum(expected, 1e-12))).sum())
    return min(found, key=found.__getitem__)


def read(result: Any, seconds: float = np.nan, processor: float = np.nan) -> Found:
    """A result in NumPy."""
    made = result.composition()
    detector, (low, high) = made.detector, made.mass_thickness_interval
    return Found(
        tuple(made.elements),
        _array(made.atomic),
        _array(made.atomic_errors),
        _array(made.atomic_intervals),
        float(detector.offset),
        float(detector.gain),
        float(detector.offset_error),
        float(detector.gain_error),
        _array(made.mass_thickness).ravel(),
        made.mass_thickness_mean,
        (float(low), float(high)),
        seconds,
        processor,
    )


def present(data: fu.Dataset) -> list[str]:
    """Symbols of the elements that the package says are there, asked for none."""
    return [finding.element for finding in fu.elements.present(data)]


def _array(values: Any) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values, dtype=float)


def measured(path: Path, name: str, *, elevation: float, range_kev: tuple[float, float]) -> Any:
    """One data set of a file, within a range, with the elevation where the file's is not read."""
    read_from = fu.load(path)
    data = read_from[name] if isinstance(read_from, dict) else read_from
    data = data.crop(energy=range_kev)
    told = data.metadata.get("Acquisition_instrument", {}).get("TEM", {})
    if "elevation_angle" in told.get("Detector", {}).get("EDS", {}):
        return data
    metadata = _metadata(told["beam_energy"], elevation)
    return fu.Dataset("edxs", data.numpy(), axes=data.axes, metadata=metadata)
