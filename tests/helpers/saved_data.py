"""Small data sets of every type, and what it means that one comes back from a file."""

from __future__ import annotations

from typing import Any

import numpy as np

import fusion as fu

KINDS = ("EELS", "EDS_TEM", "EDS_SEM", "CL", "XPS", "Raman")
ENERGIES = {
    "EELS": fu.Axis("energy loss", 0.5, 400.0, "eV"),
    "EDS_TEM": fu.Axis("energy", 0.25, 0.125, "keV"),
    "EDS_SEM": fu.Axis("energy", 0.25, 0.125, "keV"),
    "CL": fu.Axis("energy", 0.0625, 1.5, "eV"),
    "XPS": fu.Axis("binding energy", 0.5, 280.0, "eV"),
    "Raman": fu.Axis("raman shift", 2.0, 100.0, "1/cm"),
}


def cube(kind: str, *, units: str = "nm", y: fu.Axis | None = None, **options: Any) -> fu.Dataset:
    """Counts (4, 5, 40), some beyond six digits, with type, beam, detector and title."""
    counts = np.random.default_rng(1).integers(1, 3_000_000, (4, 5, 40))
    scope: dict[str, Any] = {"beam_energy": 15.0 if kind == "EDS_SEM" else 200.0}
    if "EDS" in kind:
        scope["Detector"] = {"EDS": {"live_time": 2.5, "azimuth_angle": 45.0}}
    metadata = {
        "General": {"title": "a map"},
        "Signal": {"signal_type": kind},
        "Acquisition_instrument": {"SEM" if kind == "EDS_SEM" else "TEM": scope},
    }
    axes = [y or fu.Axis("y", 2.0, units=units), fu.Axis("x", 0.5, units=units), ENERGIES[kind]]
    name = "eds" if "EDS" in kind else kind.lower()
    return fu.Dataset(name, counts, axes=axes, metadata=metadata, **options)


def assert_equal(held: fu.Dataset, data: fu.Dataset) -> None:
    """Values, axes, signal, mask, variance, metadata and history are the same."""
    np.testing.assert_array_equal(held.numpy(), data.numpy())
    assert held.axes == data.axes
    assert held.signal == data.signal
    assert held.history == data.history
    for what in ("mask", "variance"):
        ours, theirs = getattr(data, what), getattr(held, what)
        assert (ours is None) == (theirs is None)
        if ours is not None:
            np.testing.assert_array_equal(theirs.numpy(), ours.numpy())
    instrument = "Acquisition_instrument"
    _assert_within(held.metadata.get(instrument), data.metadata.get(instrument))
    stated = data.metadata.get("Signal", {}).get("signal_type")
    if stated:
        assert held.metadata["Signal"]["signal_type"] == stated
        assert held.metadata["General"]["title"] == data.metadata["General"]["title"]


def _assert_within(held: Any, kept: Any) -> None:
    """All entries are there; eXSpy adds its defaults to those of EDS."""
    if not isinstance(kept, dict):
        assert held == kept
        return
    for key, value in kept.items():
        _assert_within(held[key], value)
