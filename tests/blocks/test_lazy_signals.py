"""HyperSpy's lazy signals, from file to answer, without being computed whole."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius, Poisson
from fusion.models import NMF
from tests.helpers.block_data import (
    SCAN,
    K,
    by_blocks,
    counted,
    in_memory,
    noisy,
    planted,
    same_answer,
)

hs = pytest.importorskip("hyperspy.api")
C, S = planted()
CUBE, COUNTS = noisy(C, S), counted(C, S + 0.02)


def signal(array):
    made = hs.signals.Signal1D(array)
    made.metadata.General.title = "eels"
    energy = made.axes_manager[-1]
    energy.name, energy.units, energy.scale, energy.offset = "energy", "eV", 0.5, 100
    return made


def chunked(array, chunks=(10, 12, -1)):
    made = signal(array).as_lazy()
    made.data = made.data.rechunk(chunks)
    return made


def fitted(made, loss=Frobenius, **options) -> fu.Result:
    data = fu.Dataset.from_hyperspy(made)
    assert data.lazy is not None
    return by_blocks(NMF(data, K), loss(data), **options)


@cache
def plain() -> fu.Result:
    """Of the map in chunks."""
    return fitted(chunked(CUBE))


@pytest.mark.parametrize(
    ("array", "loss", "persisted"), [(CUBE, Frobenius, True), (COUNTS, Poisson, False)]
)
def test_a_lazy_signal_is_fitted_as_one_in_memory(array, loss, persisted):
    made = chunked(array)
    if persisted:
        made.data = made.data.persist()
    result = fitted(made, loss)
    assert result.solver.startswith("4 blocks, ")
    whole = fu.Dataset.from_hyperspy(signal(array))
    degrees = 0.3 if loss is Poisson else 0.05
    same_answer(result, in_memory(NMF(whole, K), loss(whole)), degrees=degrees)
    assert made._lazy


def test_answers_go_back_with_the_axes_of_the_signal():
    axes = [m.axes_manager for m in plain().to_hyperspy().values()]
    assert any(SCAN[::-1] in (each.signal_shape, each.navigation_shape) for each in axes)


def test_energies_that_come_first_are_no_matter():
    turned = hs.signals.BaseSignal(np.moveaxis(CUBE, -1, 0)).as_lazy()
    turned.axes_manager[0].name, turned.axes_manager[1].name = "x", "y"
    turned = turned.transpose(signal_axes=[2])
    turned.metadata.General.title = "eels"
    result = fitted(turned)
    assert result.loss == pytest.approx(plain().loss, rel=1e-9)


@pytest.mark.filterwarnings("ignore:.*NestedDirectoryStore:FutureWarning")  # by RosettaSciIO
def test_a_zarr_file_is_read_block_by_block(tmp_path):
    chunked(COUNTS).save(tmp_path / "map.zspy")
    made = hs.load(tmp_path / "map.zspy", lazy=True)
    result = fitted(made, Poisson, settings={"passes": 3})
    other = fitted(chunked(COUNTS), Poisson, settings={"passes": 3})
    assert result.loss == pytest.approx(other.loss, rel=1e-5)
    loaded = fu.load(tmp_path / "map.zspy", lazy=True)
    again = by_blocks(NMF(loaded, K), Poisson(loaded), settings={"passes": 3})
    assert again.loss == pytest.approx(result.loss, rel=1e-9)


def test_an_hdf5_file_is_read_block_by_block(tmp_path):
    chunked(CUBE).save(tmp_path / "map.hspy")
    loaded = fu.load(tmp_path / "map.hspy", lazy=True)
    result = by_blocks(NMF(loaded, K), Frobenius(loaded))
    assert result.loss == pytest.approx(plain().loss, rel=1e-5)
