"""`inspect`: numbers against NumPy, advice, and words, for every kind of data."""

from __future__ import annotations

import json

import numpy as np
import pytest

import fusion as fu
from fusion.files import load
from fusion.plots import plot_dataset
from fusion.prepare.inspection import Inspection, inspect
from fusion.simulate import concurrent, layers
from tests.helpers.inspected_data import EVERY, counts, expected, holed, spectra
from tests.helpers.paths import shared_file


def told(data: fu.Dataset) -> str:
    return " ".join(inspect(data).messages)


@pytest.fixture(params=EVERY, ids=lambda name: name.replace(" ", "-"))
def data(request) -> fu.Dataset:
    return EVERY[request.param]()


def test_every_kind_of_data_is_told_in_few_short_lines(data):
    lines = str(inspect(data)).splitlines()
    assert len(lines) <= 25
    assert max(map(len, lines)) <= 100
    assert lines[0].startswith(data.name)


def test_every_kind_of_data_is_told_as_strict_json(data):
    told = json.loads(json.dumps(inspect(data).as_dict(), allow_nan=False))
    assert told["shape"] == list(data.shape)


def test_numbers_are_those_of_numpy():
    X, found = counts(), inspect(spectra())
    assert isinstance(found, Inspection)
    assert (found.name, found.shape, found.signal) == ("eels", (15, 16, 40), 1)
    assert found.total == X.sum()
    assert found.mean_per_pixel == pytest.approx(X.sum(-1).mean())
    assert found.mean == pytest.approx(X.mean())
    assert (found.minimum, found.maximum) == (X.min(), X.max())
    assert found.zeros == pytest.approx((X == 0).mean())
    assert found.pixel_range == pytest.approx(X.sum(-1).max() / np.median(X.sum(-1)))
    mean = X.mean((0, 1))
    assert found.channel_range == pytest.approx(mean.max() / np.median(mean))


def test_what_is_masked_or_broken_is_in_no_number():
    mask = np.zeros((15, 16), bool)
    mask[:3] = True
    X, found = holed(), inspect(spectra(holed(), mask=mask))
    left = X[3:][np.isfinite(X[3:])]
    assert found.masked == pytest.approx(0.2)
    assert found.not_finite == 1
    assert found.total == pytest.approx(left.sum())
    assert (found.minimum, found.maximum) == (left.min(), left.max())


def test_negatives_are_counted():
    X = counts() - 40.0
    found = inspect(spectra(X))
    assert found.negative == (X < 0).sum()
    assert found.negatives == pytest.approx((X < 0).mean())


def test_axes_are_told_with_step_range_and_unit():
    *_, energy = inspect(spectra()).axes
    assert energy == "energy loss: 40 steps of 0.5 eV, 100 to 119.5 eV"
    assert "not calibrated" in inspect(fu.Dataset("a", counts())).axes[0]


def test_counts_ask_for_poisson_and_are_named_counts():
    found = inspect(spectra())
    assert found.counts
    assert "use Poisson" in " ".join(found.messages)
    assert "counts" in str(found).splitlines()[4]


def test_few_counts_warn_of_frobenius():
    values = np.random.default_rng(0).poisson(expected((20, 20), 64) / 100)
    assert "Frobenius misjudges" in told(spectra(values))


def test_negatives_ask_for_frobenius_and_spikes_are_not_looked_for():
    data = concurrent(shape=(12, 13)).datasets["eels"]
    assert "use Frobenius" in told(data)
    assert inspect(data).spikes is None


def test_nan_ask_for_a_mask_and_the_rest_is_told_all_the_same():
    found = inspect(spectra(holed()))
    assert "2 values are NaN or infinite: mask" in found.messages[0]
    assert found.noise is not None


def test_a_spike_asks_for_its_removal():
    clean = layers().datasets["counts"]
    values = clean.numpy().copy()
    values[4, 5, 120] += 3000
    found = inspect(clean.derive(values, "a cosmic ray"))
    assert found.spikes == 1
    assert "remove_spikes()" in " ".join(found.messages)


def test_correlated_channels_ask_for_bins_that_divide():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(15, 16, 43))
    noise = (noise[..., 1:-1] + noise[..., :-2] + noise[..., 2:]) * 2
    data = spectra(expected(channels=41) * 10 + noise)
    message = next(m for m in inspect(data).messages if "correlated" in m)
    assert "crop(energy=slice(0, 40)).bin(energy=4)" in message
    assert "upper limit" in message
    data.crop(energy=slice(0, 40)).bin(energy=4)


def test_components_are_those_that_stand_out_and_planted():
    found = inspect(layers().datasets["counts"])
    assert found.components == found.noise.scree.rank == 3
    assert "3 singular values stand out" in found.messages[-1]
    assert found.messages[-1].endswith("one or more of them are the background.")


def test_the_background_is_no_advice_once_it_is_subtracted():
    found = inspect(layers().datasets["counts"].subtract_background((80, 97)))
    assert "background" not in found.messages[-1]


def test_the_text_has_the_values_on_both_sides_of_the_edge():
    found = inspect(layers().datasets["counts"])
    line = next(line for line in str(found).splitlines() if line.startswith("scree"))
    above, below = line.split(":")[1].split("|")
    values = found.noise.scree.over_edge
    assert [float(v) for v in above.split(",")] == pytest.approx(values[:3], rel=0.01)
    assert float(below.split(",")[0]) == pytest.approx(values[3], rel=0.01)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("one spectrum", "a single spectrum, no map"),
        ("image", "here 156 and 1"),
        ("constant", "all values are the same"),
        ("only NaN", "nothing is left"),
        ("without noise", "none beyond rounding"),
    ],
)
def test_where_the_noise_cannot_be_told_the_reason_is(kind, reason):
    found = inspect(EVERY[kind]())
    assert found.noise is None
    assert found.components is None
    assert reason in found.no_noise
    assert reason in " ".join(str(found).split())


def test_lazy_data_are_read():
    dask = pytest.importorskip("dask.array")
    data = spectra(dask.from_array(counts(), chunks=(5, 8, 40)))
    assert inspect(data).total == counts().sum()


def test_history_is_told_the_last_steps_of_it():
    data = spectra(history=[f"step {i}" for i in range(9)])
    text = str(inspect(data))
    assert "5 earlier steps" in text
    assert "step 8" in text
    assert "step 4" not in text


def test_summary_is_the_text_of_inspect():
    assert spectra().summary() == str(inspect(spectra()))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nmc_eels/nmc_tm_o_si.npz", "channels are correlated"),
        ("espm_geology_edxs/88GPa_80x80.npz", "use Poisson"),
    ],
)
def test_measured_maps_are_told_and_drawn(path, words):
    data = load(shared_file(path))
    assert isinstance(data, fu.Dataset)
    assert words in told(data)
    assert len(plot_dataset(data).axes) >= 3
