"""Steps of lazy data: what each reads and holds is as the page says, and its values are right."""

from __future__ import annotations

import gc
import pickle
import re
from functools import cache
from pathlib import Path

import dask
import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius
from fusion.prepare import drifts
from tests.helpers.counted_blocks import CountedBlocks

PAGE = Path(__file__).parents[2] / "docs" / "how_to" / "large_data.md"
N, M = 24, 120
WINDOW = (100, 125)
CHUNKS = [(8, 8, M), (11, 16, 50), (4, N, M)]


@cache
def spectra(kind=np.uint16):
    """Counts on a falling background with a peak that drifts, a few spikes."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:N, :N] / N
    e = np.arange(M)
    place = 70 + np.rint(3 * x)[..., None]
    mean = 20 * np.exp(-e / 40) + (60 * np.exp(-0.5 * ((e - place) / 4) ** 2)) * (
        0.6 + y[..., None]
    )
    counts = rng.poisson(mean)
    for i in range(0, N, 7):
        counts[i, (5 * i) % N, (11 * i + 8) % 60] += 900
    counts = counts.astype(kind)
    counts.flags.writeable = False
    return counts


def of_many_blocks():
    """The same spectra four times: of more pixels than a sample takes."""
    return np.tile(spectra(), (2, 2, 1))


@cache
def in_memory(name, masked=False):
    """What a step makes of data in memory."""
    return STEPS[name](dataset(spectra(), **(masked_options(name) if masked else {})))


def masked_options(name):
    options = {"mask": MASK, "variance": np.linspace(1, 2, M)}
    if name in ("KeenanKotula",):
        options.pop("variance")
    return options


def dataset(array, **options):
    pixels = [fu.Axis("y", 2.0, units="nm"), fu.Axis("x", 2.0, units="nm")]
    return fu.Dataset("eels", array, axes=[*pixels, fu.Axis("energy loss", 1.0, 100.0, "eV")],
                      **options)  # fmt: skip


DIVISORS = np.linspace(1, 2, N * N).reshape(N, N)
SHIFTS = np.linspace(-2, 2, N * N).reshape(N, N)
MASK = np.random.default_rng(1).random((N, N)) < 0.05
LINE = np.exp(-0.5 * ((np.arange(M) - 30) / 3) ** 2)


def removed(data):
    return data.subtract_background(WINDOW, "exponential")


STEPS = {
    "crop": lambda d: d.crop(energy=(110, 180), y=slice(3, 24)),
    "bin": lambda d: d.bin(y=2, x=3, energy=2),
    "masked": lambda d: d.masked(MASK),
    "with_variance": lambda d: d.with_variance(np.ones(M)),
    "with_axes": lambda d: d.with_axes(y=fu.Axis("y", 3.0, units="nm")),
    "data[…]": lambda d: d[3:20, ::2],
    "normalise(by)": lambda d: d.normalise(DIVISORS),
    "align(shifts=…)": lambda d: d.align(shifts=SHIFTS),
    "sample_pixels": lambda d: d.sample_pixels(0.2),
    "sample_entries": lambda d: d.sample_entries(0.2),
    "Anscombe": lambda d: fu.Anscombe().forward(d),
    "to_hyperspy": lambda d: d.to_hyperspy(),
    "subtract_background": removed,
    "remove_spikes": lambda d: d.remove_spikes(),
    "normalise()": lambda d: d.normalise(),
    "align": lambda d: d.align(energy=(150, 195)),
    "KeenanKotula": lambda d: fu.KeenanKotula(d).forward(d),
    "subtract_background(components=…)": lambda d: d.subtract_background(
        WINDOW, "exponential", components=4
    ),
    "denoise": lambda d: d.denoise(3),
    "sum": lambda d: d.sum("energy"),
    "mean": lambda d: d.mean("y", "x"),
    "drifts": lambda d: drifts(d, energy=(150, 195)),
    "noise": lambda d: d.noise(),
    "rank": lambda d: fu.rank(d, held_out=False, ard=False, stability=False, progress=False),
    "plot": lambda d: d.plot(),
    "summary": lambda d: d.summary(),
    "detectability": lambda d: fu.detectability(d, LINE, 0.05, progress=False),
    "result.transform": lambda d: known().transform(d, progress=False),
    "save (zspy, hspy)": None,
    "estimate_variance": lambda d: d.estimate_variance(),
    "save (npz, npy)": None,
    "mlls": lambda d: fu.mlls(d, {"flat": np.ones(M), "line": LINE}, progress=False),
    "numpy": lambda d: d.numpy(),
    "pickle": lambda d: pickle.dumps(d),
}
"""By what the page calls them."""
KINDS = ("stays lazy", "by blocks", "whole")


def known():
    data = dataset(spectra().astype(float))
    model = fu.models.NMF(data, 2)
    return fu.fit(model, Frobenius(data), starts=1, max_steps=5, progress=False)


def told():
    """{step: (kind, most passes)} of the page's table."""
    rows = re.findall(r"^\| (.*) \| (.*) \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    found = {}
    for names, kind, reads in rows:
        if kind in KINDS:
            passes = re.match(r"nothing|a sample|(\d) pass", reads)
            assert passes, reads
            most = {"nothing": 0.0, "a sample": 1.0}.get(passes[0], float(passes[1] or 0))
            found |= dict.fromkeys(re.findall(r"`([^`]+)`", names), (kind, most))
    return found


@pytest.fixture(autouse=True)
def one_block_at_a_time(monkeypatch):
    for room in ("fusion.data.parts", "fusion.prepare.scan_pieces"):
        monkeypatch.setattr(f"{room}.BLOCKS", 8 * 8 * M * 2)
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture(scope="module", autouse=True)
def only_what_is_made_here_is_collected():
    """A collection would go through all that thousands of tests before have left."""
    gc.collect()
    gc.freeze()


def saved(name, tmp_path):
    """The step, of those that write files."""
    endings = re.findall(r"[nhz]\w\w+", name.partition("(")[2])
    return lambda d: [d.save(tmp_path / f"a.{ending}") for ending in endings]


def test_the_page_tells_of_these_steps():
    assert set(told()) == set(STEPS)


@pytest.mark.filterwarnings("ignore::fusion.FusionWarning")
@pytest.mark.parametrize("name", STEPS)
def test_a_step_reads_and_holds_what_the_page_says(name, tmp_path):
    kind, most = told()[name]
    whole = of_many_blocks() if name == "summary" else spectra()  # its sample is of many pixels
    counted = CountedBlocks(whole, (8, 8, M))
    data = dataset(counted.array)
    step = STEPS[name] or saved(name, tmp_path)
    made = step(data)
    gc.collect()
    files = 2 if "(" in name and name.startswith("save") else 1
    assert counted.passes <= most * files
    assert most == 0 or counted.passes > 0
    if kind == "whole":
        assert counted.share == 1
        return
    assert data.lazy is not None
    assert counted.share < (0.75 if name == "summary" else 0.25)  # of neighbouring blocks
    if kind == "stays lazy":
        assert made.lazy is not None if isinstance(made, fu.Dataset) else made._lazy
        del made
        assert counted.held < 0.1 * counted.bytes  # nothing is kept


@pytest.mark.filterwarnings("ignore::fusion.FusionWarning")
@pytest.mark.parametrize(
    ("chunks", "masked"),
    [(CHUNKS[0], True), (CHUNKS[1], False), (CHUNKS[1], True), (CHUNKS[2], False)],
    ids=str,
)
@pytest.mark.parametrize(
    "name", [name for name, (kind, _) in told().items() if kind == "stays lazy"]
)
def test_the_values_are_those_of_data_in_memory(name, chunks, masked):
    if name == "to_hyperspy":
        pytest.importorskip("hyperspy")
    options = masked_options(name) if masked else {}
    lazy = STEPS[name](dataset(CountedBlocks(spectra(), chunks).array, **options))
    expected = in_memory(name, masked)
    values = (lazy.lazy if isinstance(lazy, fu.Dataset) else lazy.data).compute()
    if not isinstance(lazy, fu.Dataset):
        np.testing.assert_array_equal(values, expected.data)
        return
    assert values.dtype == expected.numpy().dtype == lazy.lazy.dtype
    assert lazy.axes == expected.axes
    np.testing.assert_allclose(values, expected.numpy(), rtol=1e-6, atol=1e-7)
    for own, other in ((lazy.mask, expected.mask), (lazy.variance, expected.variance)):
        assert (own is None) == (other is None)
        if own is not None:
            np.testing.assert_allclose(own.double(), other.double())


@pytest.mark.filterwarnings("ignore::fusion.FusionWarning")
@pytest.mark.parametrize("name", ["sum", "mean", "drifts", "noise", "rank", "summary",
                                  "detectability", "estimate_variance"])  # fmt: skip
@pytest.mark.parametrize("chunks", CHUNKS, ids=str)
def test_what_is_told_block_by_block_is_that_of_data_in_memory(name, chunks):
    lazy = STEPS[name](dataset(CountedBlocks(spectra(), chunks).array))
    expected = in_memory(name)
    if name in ("sum", "mean"):
        np.testing.assert_allclose(lazy.numpy(), expected.numpy(), rtol=1e-12)
    elif name == "drifts":
        np.testing.assert_allclose(lazy, expected, rtol=1e-9)
    elif name == "estimate_variance":
        assert lazy.lazy is not None
        np.testing.assert_allclose(lazy.variance, expected.variance, rtol=1e-9)
    elif name == "rank":
        assert lazy.summary() == expected.summary()
    elif name == "detectability":
        assert lazy.amount == pytest.approx(expected.amount, rel=1e-9)
    else:
        assert str(lazy) == str(expected)


@pytest.mark.filterwarnings("ignore::fusion.FusionWarning")
def test_steps_follow_each_other_and_are_read_once_at_the_end():
    counted = CountedBlocks(spectra(), (8, 8, M))

    def prepared(data):
        data = data.masked(MASK).crop(energy=(100, 200)).bin(y=2, x=2)
        return data.normalise(2.0).align(shifts=SHIFTS[: N // 2, : N // 2])

    made = prepared(dataset(counted.array))
    assert counted.passes == 0
    np.testing.assert_allclose(made.lazy.compute(), prepared(dataset(spectra())).numpy())
    assert counted.passes == 1


@pytest.mark.filterwarnings("ignore::fusion.FusionWarning")
def test_spikes_at_the_edges_of_blocks_and_nan_are_as_in_memory():
    values = spectra(np.float32).copy()
    values[7:9, 7:9, 40] += 700  # on both sides of an edge, wide: no spike
    values[15, 16, 50:52] += 900
    values[5, 5, 3] = np.nan
    lazy = dataset(CountedBlocks(values, (8, 8, M)).array).remove_spikes()
    expected = dataset(values).remove_spikes()
    assert int(expected.history[-1].split(": ")[1].split()[0]) > 5
    np.testing.assert_array_equal(lazy.lazy.compute(), expected.numpy())


@pytest.mark.filterwarnings("ignore::fusion.FusionWarning")
def test_single_entries_that_are_masked_are_completed_in_memory():
    mask = np.random.default_rng(0).random((N, N, M)) < 0.01
    lazy = dataset(CountedBlocks(spectra(), (8, 8, M)).array, mask=mask).denoise(3)
    expected = dataset(spectra(), mask=mask).denoise(3)
    np.testing.assert_allclose(lazy.numpy(), expected.numpy(), rtol=1e-9, atol=1e-9)


def test_an_uncertain_background_of_lazy_data_is_told_at_once():
    data = dataset(CountedBlocks(of_many_blocks(), (8, 8, M)).array)
    with pytest.warns(fu.FusionWarning, match=r"the background above the window is uncertain"):
        made = data.subtract_background((100, 115), "exponential")
    assert re.search(r"of 512 spectra that were looked at \d+ of 61440 values", made.history[-1])


@pytest.fixture
def little_memory(monkeypatch):
    """A machine with three times the bytes of the spectra."""
    for place in ("fusion.data.array_input", "fusion.prepare.lazily"):
        monkeypatch.setattr(f"{place}.total_bytes", lambda: 3 * N * N * M * 2)


def test_what_is_read_whole_says_so_where_it_is_large(little_memory):
    data = dataset(CountedBlocks(spectra(), (8, 8, M)).array)
    with pytest.warns(fu.MemoryWarning, match=r"GB are to be read, the machine has .*: crop or"):
        data.numpy()
    larger = dataset(CountedBlocks(np.tile(spectra(), (4, 1, 1)), (8, 8, M)).array)
    with pytest.raises(ValueError, match=r"GB are to be read, the machine has .*: crop or bin it"):
        larger.numpy()


@pytest.mark.filterwarnings("ignore::fusion.NoiseWarning")
def test_a_variance_of_every_entry_is_refused_before_anything_is_made(little_memory):
    counted = CountedBlocks(spectra(), (8, 8, M))
    with pytest.raises(
        ValueError, match=r"needed while a variance of every entry is made.*Poisson"
    ):
        dataset(counted.array).estimate_variance()
    assert counted.share < 0.25


def test_chunks_whose_whole_spectra_are_too_much_are_refused_with_the_line_that_mends_it(
    little_memory,
):
    counted = CountedBlocks(spectra(), (N, N, 10))
    message = r"stored in chunks of \(24, 24, 10\), so that .*rechunk\(\{0: 24, 1: 24, 2: -1\}\)"
    for step in ("subtract_background", "remove_spikes", "align(shifts=…)", "result.transform"):
        result = STEPS[step]
        with pytest.raises(ValueError, match=message):
            result(dataset(counted.array))
    assert counted.passes == 0


def test_a_window_that_is_too_large_to_be_held_is_told(little_memory):
    data = dataset(CountedBlocks(spectra(), (8, 8, M)).array)
    with pytest.raises(ValueError, match=r"GB of 92 channels of .* are held, .*narrower window"):
        data.align(energy=(150, 195))


@pytest.mark.parametrize("persisted", [False, True])
@pytest.mark.filterwarnings("ignore::fusion.FusionWarning")
def test_lazy_signals_of_hyperspy_go_all_the_way(persisted, tmp_path):
    hs = pytest.importorskip("hyperspy.api")
    whole = hs.signals.Signal1D(spectra())
    for axis, (name, scale) in zip(whole.axes_manager._axes, (("y", 2), ("x", 2), ("E", 1)),
                                   strict=True):  # fmt: skip
        axis.name, axis.scale, axis.units = name, scale, "eV" if name == "E" else "nm"
    signal = whole.as_lazy()
    signal.data = CountedBlocks(spectra(), (8, 8, M)).array
    signal.data = signal.data.persist() if persisted else signal.data

    def prepared(signal):
        data = fu.Dataset.from_hyperspy(signal, name="eels").crop(E=(0, 99.5)).remove_spikes()
        return data.bin(y=2, x=2)

    lazy, expected = prepared(signal), prepared(whole)
    assert lazy.lazy is not None
    back = lazy.to_hyperspy()
    assert back._lazy
    np.testing.assert_array_equal(back.data.compute(), expected.numpy())
    lazy.save(tmp_path / "a.zspy")
    again = fu.load(tmp_path / "a.zspy", lazy=True)
    assert again.lazy is not None
    np.testing.assert_array_equal(again.lazy.compute(), expected.numpy())
    result = fu.fit(fu.models.NMF(expected, 2), Frobenius(expected), starts=1, progress=False)
    maps = result.transform(again.renamed("eels"))
    np.testing.assert_allclose(maps, result.transform(expected), rtol=1e-9)
