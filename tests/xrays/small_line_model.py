"""A line model of O and Fe on three pixels, and what it predicts."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import torch

import fusion as fu
from fusion.elements import LineModel
from tests.xrays.literal_spectrum import BEAM, CHANNELS, ELEVATION, Unknowns

ELEMENTS = ["O", "Fe"]
ENERGY = fu.Axis("energy", 0.01, 0.25, "keV", size=len(CHANNELS))
N = np.array([[100.0, 60.0], [40.0, 0.0], [3.0, 200.0]])
"""Atoms of O and Fe in three pixels, one without Fe."""
EXPECTED = Unknowns()
ALL = Unknowns(
    calibration=(0.5, -0.7, 0.4, -0.3),
    absorption=(0.1,),
    subshells=(0.3, -0.5, 0.2, 0.4, -0.6),
    continuum=(0.2, -0.3),
    heaviness=(0.5,),
    absorbers=(0.2, -0.3),
    sensitivity=(0.5, -0.6, 0.7),
)


def spectra(axis=ENERGY, **options):
    return fu.Dataset("edxs", np.full((3, axis.size), 2.0), axes=["x", axis], **options)


def line_model(unknowns=EXPECTED, elements=ELEMENTS, data=None, **options):
    given = {"beam_energy": BEAM, "elevation": ELEVATION} | options
    model = LineModel(spectra() if data is None else data, elements, **given)
    known = model.factor_modules()
    for field in fields(unknowns):
        if any(getattr(unknowns, field.name)):
            values = torch.tensor(getattr(unknowns, field.name), dtype=torch.float64)
            known[field.name].assign(values[:, None])
    return model


def predicted(model, n=N):
    """(pixel, channel) of lines, and of continuum."""
    lines = len(model.groups)
    with torch.no_grad():
        emitted, shapes = model.emitted(torch.from_numpy(n)), model.shapes()
    both = (slice(None, lines), slice(lines, None))
    return [(emitted[:, part] @ shapes[:, part].T).numpy() for part in both]


def photons(model):
    """{(family, subshell): photons of one atom of a layer so thin that nothing is absorbed}."""
    with torch.no_grad():
        thin = model.emitted(1e-9 * torch.eye(len(model.elements), dtype=torch.float64)) / 1e-9
    return {(g.name, g.subshell): float(thin[:, i].sum()) for i, g in enumerate(model.groups)}


def of_shell(model, shell):
    return sum(v for (name, _), v in photons(model).items() if name.startswith(shell))
