"""Standard errors of maps that the last pass writes into the store: those of `transform`."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
import zarr

import fusion as fu
from fusion.constraints import NonNegative, UnitColumns
from fusion.losses import BetaDivergence, Frobenius, Gaussian, Poisson, SquaredNorm
from fusion.models import NMF, Detectors, SharedMaps, SoftlyCoupled
from tests.helpers.block_data import SCAN, K, by_blocks, counted, lazy, noisy, planted

C, S = planted()
C2, S2 = planted(channels=36, seed=5)
S2 = S2[:, [1, 2, 0]] + 0.02
EELS, EDXS = noisy(C, S), counted(C, S2, level=50)
CHUNKS = 13, 15
RNG = np.random.default_rng(3)
PIXELS, ENTRIES = RNG.random(SCAN) < 0.1, RNG.random(EELS.shape) < 0.1
VARIANCES = {
    "channels": 0.5 + RNG.random(EELS.shape[-1]),
    "entries": 0.5 + RNG.random(EELS.shape),
}


class UnitMaps(fu.Model):
    """Maps with unit columns, whose norms are set after a pass."""

    def __init__(self, data):
        super().__init__()
        self.C = fu.Factor((data.pixels, K), NonNegative(), UnitColumns())
        self.S = fu.Factor((data.channels, K), NonNegative())

    def forward(self):
        return {"eels": fu.cp(self.C, self.S)}


def eels(**options):
    return fu.Dataset("eels", lazy(EELS, CHUNKS), **options)


def edxs(**options):
    return fu.Dataset("edxs", lazy(EDXS, CHUNKS), **options)


def stored(path, model, loss, **settings):
    """(the result, its store)."""
    settings = {"passes": 3} | settings
    result = by_blocks(model, loss, settings={"out": path / "answer.zarr", **settings})
    return result, zarr.open_group(str(path / "answer.zarr"), mode="r")


def one_data_set(case):
    kind, what = case.split(", ")
    if kind == "Poisson":
        masks = {"pixels": PIXELS, "entries masked": ENTRIES[..., :36]}
        data = edxs(mask=masks[what])
        return data, Poisson(data)
    masks = {"pixels": PIXELS, "entries masked": ENTRIES}
    data = eels(mask=masks.get(what), variance=VARIANCES.get(what))
    return data, {"Frobenius": Frobenius, "Gaussian": Gaussian}[kind](data)


CASES = (
    "Frobenius, channels",
    "Gaussian, none",
    "Gaussian, pixels",
    "Gaussian, entries",
    "Frobenius, entries masked",
    "Poisson, pixels",
    "Poisson, entries masked",
)


@pytest.mark.parametrize("case", CASES)
def test_errors_are_those_of_transform(case, tmp_path):
    data, loss = one_data_set(case)
    result, group = stored(tmp_path, NMF(data, K), loss)
    _, errors = result.transform(data, errors=True, progress=False)
    close = 1e-5 if "Poisson" in case else 1e-7  # of counts maps are found step by step
    np.testing.assert_allclose(group["errors of C"][:], errors, rtol=close)
    assert group["errors of C"].attrs["data"] == [data.name]
    assert group["errors of C"].attrs["axes"] == group["C"].attrs["axes"]
    assert group["errors of C"].dtype == group["C"].dtype
    masked = PIXELS if "pixels" in case else np.zeros(SCAN, dtype=bool)
    np.testing.assert_array_equal(np.isnan(group["errors of C"][:]).all(-1), masked)
    assert not result.messages or "standard errors" not in result.messages[-1]


def test_errors_are_those_of_the_gram_matrix_of_what_is_above_zero(tmp_path):
    data = eels(variance=VARIANCES["entries"])
    result, group = stored(tmp_path, NMF(data, K), Frobenius(data))
    spectra, found = result["S"].astype(float), group["errors of C"][:].reshape(-1, K)
    x, w = EELS.reshape(len(C), -1), 1 / VARIANCES["entries"].reshape(len(C), -1)
    for i in range(0, len(C), 7):
        G = (spectra.T * w[i]) @ spectra
        free = np.ones(K, dtype=bool)
        while True:  # of three overlapping Gaussians the negative ones go
            c = np.zeros(K)
            c[free] = np.linalg.solve(G[np.ix_(free, free)], (spectra.T @ (w[i] * x[i]))[free])
            if (c >= 0).all():
                break
            free &= c > 0
        expected = np.sqrt(np.diag(np.linalg.inv(G[np.ix_(free, free)])))
        np.testing.assert_allclose(found[i, free], expected, rtol=1e-6)


@pytest.mark.parametrize("kind", ["squares and counts", "learned noise"])
def test_detectors_that_share_maps_are_taken_together(kind, tmp_path):
    known = kind == "squares and counts"
    one, two = eels(variance=VARIANCES["channels"] if known else None), edxs()
    loss = Frobenius(one) + 2 * Poisson(two) if known else Gaussian(one) + Gaussian(two)
    result, group = stored(tmp_path, SharedMaps(one, two, K=K), loss, passes=4)
    _, errors = result.transform({"eels": one, "edxs": two}, errors=True, progress=False)
    close = 1e-7 if known else 1e-2  # a level that is learned is that before the last pass
    np.testing.assert_allclose(group["errors of C"][:], errors, rtol=close)
    assert group["errors of C"].attrs["data"] == ["eels", "edxs"]


def test_maps_of_their_own_have_errors_of_their_own(tmp_path):
    one, two = eels(variance=1.0), edxs(variance=1.0)
    loss = Frobenius(one) + Frobenius(two) + SquaredNorm("N", 0.02)
    result, group = stored(tmp_path, SoftlyCoupled(one, two, K=K), loss)
    _, errors = result.transform({"eels": one, "edxs": two}, errors=True, progress=False)
    np.testing.assert_allclose(group["errors of C + N"][:], errors["eels"], rtol=1e-7)
    np.testing.assert_allclose(group["errors of C"][:], errors["edxs"], rtol=1e-7)


def test_errors_are_in_the_unit_of_maps_that_are_stretched_after_the_pass(tmp_path):
    data = eels(variance=1.0)
    result, group = stored(tmp_path, UnitMaps(data), Frobenius(data))
    _, errors = result.transform(data, errors=True, progress=False)
    np.testing.assert_allclose(group["errors of C"][:], errors, rtol=1e-6)


def test_maps_whose_errors_are_not_known_are_named(tmp_path):
    part = slice(8), slice(9)
    segments = fu.Dataset("edxs", np.stack([g * EDXS[part] for g in (0.4, 0.6)]))
    one, counts = (
        fu.Dataset(n, lazy(x[part], (5, 9))) for n, x in (("eels", EELS), ("edxs", EDXS))
    )
    for name, model, loss, words in (
        ("a", Detectors(one, segments, K=K), Gaussian(one) + Gaussian(segments), "'edxs' is"),
        ("b", NMF(counts, K), BetaDivergence(counts, beta=0.5), "known are those of squares and"),
    ):
        (tmp_path / name).mkdir()
        result, group = stored(tmp_path / name, model, loss)
        assert any(re.search(f"no standard errors of maps.*{words}", m) for m in result.messages)
        assert not [each for each in group if each.startswith("errors")]


def test_no_pass_is_made_for_them(tmp_path):
    data = eels()
    result, _ = stored(tmp_path, NMF(data, K), Gaussian(data), passes=4)
    without = by_blocks(NMF(data, K), Gaussian(data), settings={"passes": 4})
    passes = [re.findall(r"\d+ passes", each.solver) for each in (result, without)]
    assert passes[0] == passes[1] != []
    np.testing.assert_allclose(result["C"], without["C"], rtol=1e-9)


@pytest.mark.parametrize("higher", [False, True])
def test_of_two_points_of_a_last_pass_the_errors_are_those_of_the_answer(
    higher, tmp_path, monkeypatch
):
    monkeypatch.setattr("fusion.blocks.way.Way._higher", lambda *_: higher)
    data = edxs()
    result, group = stored(tmp_path, NMF(data, K), Poisson(data))
    _, errors = result.transform(data, errors=True, progress=False)
    np.testing.assert_allclose(group["errors of C"][:], errors, rtol=1e-5)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_fit_that_ends_while_they_are_written_leaves_nothing(error, tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, _):
            raise error

    data = eels()
    monkeypatch.setattr("fusion.blocks.store.TemporaryFile", lambda **_: Full())
    with pytest.raises(type(error)) as caught:
        stored(tmp_path, NMF(data, K), Gaussian(data), checkpoint=tmp_path / "fit.ckpt")
    told = "".join([str(caught.value), *getattr(caught.value, "__notes__", ())])
    assert "goes on from" in told
    assert [each.name for each in tmp_path.iterdir()] == ["fit.ckpt"]
