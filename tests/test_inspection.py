"""What `inspect` tells and `plot_dataset` draws: numbers against NumPy, every kind of data."""

from __future__ import annotations

import json

import numpy as np
import pytest

import fusion as fu
from fusion.algebra.tally import tally
from fusion.files import load
from fusion.plots import plot_comparison, plot_dataset, plot_result
from fusion.prepare.inspection import Inspection, inspect
from fusion.simulate import concurrent, layers
from tests.helpers.paths import shared_file

PLACES = (
    fu.Axis("y", 0.5, units="nm"),
    fu.Axis("x", 0.5, units="nm"),
    fu.Axis("energy loss", 0.5, 100.0, "eV"),
)


def expected(shape=(15, 16), channels: int = 40, rank: int = 2) -> np.ndarray:
    rng = np.random.default_rng(1)
    C = rng.gamma(1.0, 1.0, (int(np.prod(shape)), rank))
    S = rng.gamma(1.0, 20.0, (channels, rank))
    return (C @ S.T + 5).reshape(*shape, channels)


def counts(*shape: int, **options) -> np.ndarray:
    return np.random.default_rng(0).poisson(expected(shape or (15, 16), **options))


def spectra(values=None, name: str = "eels", **options) -> fu.Dataset:
    values = counts() if values is None else values
    return fu.Dataset(name, values, axes=PLACES[3 - np.ndim(values) :], **options)


def holed() -> np.ndarray:
    values = counts().astype(float)
    values[2, 3, 4], values[5, 6, 7] = np.nan, np.inf
    return values


def told(data: fu.Dataset) -> str:
    return " ".join(inspect(data).messages)


EVERY = {
    "map of counts": lambda: spectra(),
    "background subtracted": lambda: concurrent(shape=(12, 13)).datasets["eels"],
    "image": lambda: concurrent(shape=(12, 13)).datasets["adf"],
    "image of one line": lambda: fu.Dataset("line", counts()[0, :, 0], signal=0),
    "line scan": lambda: spectra(counts()[0]),
    "line scan of one row": lambda: spectra(counts()[:1]),
    "one spectrum": lambda: spectra(counts()[0, 0]),
    "one pixel of a map": lambda: spectra(counts()[:1, :1]),
    "tilt series": lambda: fu.Dataset("t", counts(3, 6, 7), axes=[fu.Axis("tilt"), *PLACES]),
    "patterns": lambda: fu.Dataset("4d", counts(5, 6).reshape(5, 6, 4, 10), signal=2),
    "NaN": lambda: spectra(holed()),
    "only NaN": lambda: spectra(np.full((4, 5, 6), np.nan)),
    "masked pixels": lambda: spectra(mask=np.arange(240).reshape(15, 16) < 40),
    "masked channels": lambda: spectra(mask=np.arange(40) < 5),
    "masked entries": lambda: spectra(mask=counts() > 150),
    "all masked": lambda: spectra(mask=np.ones((15, 16), bool)),
    "constant": lambda: spectra(np.full((5, 6, 7), 3.0)),
    "zeros": lambda: spectra(np.zeros((5, 6, 7))),
    "without noise": lambda: spectra(expected()),
    "one value": lambda: fu.Dataset("one", np.ones((1, 1))),
    "one number of an image": lambda: fu.Dataset("one", np.ones(1), signal=0),
    "two by two": lambda: fu.Dataset("two", np.arange(4.0).reshape(2, 2)),
    "float32": lambda: spectra(counts().astype(np.float32)),
    "energies of their own": lambda: fu.Dataset(
        "e", counts(), axes=["y", "x", fu.Axis("energy", values=np.arange(40.0) ** 2, units="eV")]
    ),
}


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


def test_every_kind_of_data_is_drawn_and_leaves_no_open_figure(data, tmp_path):
    import matplotlib._pylab_helpers as helpers

    data.plot().savefig(tmp_path / "data.png")
    assert (tmp_path / "data.png").stat().st_size > 1000
    assert not helpers.Gcf.get_all_fig_managers()


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


def test_parts_of_the_pass_add_up(monkeypatch):
    whole = tally(spectra(holed()))
    monkeypatch.setattr("fusion.algebra.tally.PART", 100)
    parts = tally(spectra(holed()))
    np.testing.assert_allclose(parts.totals, whole.totals)
    np.testing.assert_allclose(parts.means, whole.means)
    assert (parts.zeros, parts.broken, parts.maximum) == (whole.zeros, 2, whole.maximum)


def test_pixels_with_masked_channels_have_comparable_totals():
    mask = np.zeros((15, 16, 40), bool)
    mask[0, 0, :20] = True
    totals = tally(spectra(np.ones((15, 16, 40)), mask=mask)).totals
    np.testing.assert_allclose(totals, 40.0)


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
        ("one spectrum", "4 pixels and 4 channels or more; here 1 and 40"),
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


def titles(figure) -> list[str]:
    return [panel.get_title() for panel in figure.axes]


def test_the_picture_has_map_spectrum_and_scree_with_units():
    figure = plot_dataset(spectra())
    assert titles(figure) == ["sum over energy loss", "mean over y, x", "singular values"]
    assert figure.axes[0].images[0].colorbar.ax.get_ylabel() == "counts"
    assert figure.axes[1].get_xlabel() == "energy loss (eV)"
    assert "eels: y 15 × x 16" in figure.get_suptitle()
    assert "noise: Poisson counts" in figure.get_suptitle()


def test_the_scree_marks_what_stands_out():
    data = layers().datasets["counts"]
    marked, rest, edge = plot_dataset(data).axes[-1].lines
    assert marked.get_label() == "3 above the noise"
    assert len(marked.get_xdata()) == 3
    assert min(marked.get_ydata()) > 1 > max(rest.get_ydata())
    assert set(edge.get_ydata()) == {1.0}


def test_a_noise_that_is_known_is_not_measured_again(monkeypatch):
    data = spectra()
    noise = data.noise()
    monkeypatch.setattr(fu.Dataset, "noise", None)
    assert "singular values" in titles(plot_dataset(data, noise=noise))


def test_steep_spectra_are_drawn_on_a_log_scale_as_well():
    steep = expected() * np.where(np.arange(40) == 7, 4000, 1)
    scales = [panel.get_yscale() for panel in plot_dataset(spectra(steep + 1)).axes]
    assert scales == ["linear", "linear", "log"]
    assert plot_dataset(spectra()).axes[1].get_yscale() == "linear"


@pytest.mark.parametrize(
    ("kind", "panels"),
    [
        ("image", ["intensity"]),
        ("one spectrum", ["spectrum"]),
        ("line scan", ["sum over energy loss", "mean over x", "singular values"]),
        ("tilt series", ["sum over energy loss, mean over tilt", "mean over tilt, y, x"]),
        ("patterns", ["sum over channel 0, channel 1", "mean over y, x", "singular values"]),
    ],
)
def test_every_kind_has_its_panels(kind, panels):
    assert titles(plot_dataset(EVERY[kind]()))[: len(panels)] == panels


def test_what_is_masked_is_grey():
    image = plot_dataset(EVERY["masked pixels"]()).axes[0].images[0].get_array()
    assert np.isnan(np.ma.filled(image, np.nan)).sum() == 40


def test_all_pictures_are_exported():
    assert all(map(callable, (plot_result, plot_dataset, plot_comparison)))


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
