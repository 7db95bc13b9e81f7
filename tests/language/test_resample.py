"""`resample`: the same field of view on other pixels, and one phantom seen at two resolutions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

import fusion as fu
from fusion.algebra.prediction import CP
from fusion.engine.objective import Objective
from fusion.language.resample import matrix
from fusion.likelihood.metric import CPGrams
from fusion.losses import Frobenius
from fusion.simulate.maps import grain_maps
from tests.helpers.planted_factors import nearest_angles


def axis(name: str, size: int, scale: float, offset: float = 0.0, units: str = "nm") -> fu.Axis:
    return fu.Axis(name, scale, offset, units, size=size)


FINE = (axis("y", 16, 0.5), axis("x", 12, 0.5))
COARSE = tuple(a.binned(2) for a in FINE)


def random(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).random(shape))


def test_coarser_pixels_are_means_of_the_fine_ones_and_the_same_are_themselves():
    C = random(16 * 12, 3)
    means = C.reshape(8, 2, 6, 2, 3).mean((1, 3)).reshape(-1, 3)
    torch.testing.assert_close(fu.resample(C, FINE, COARSE), means)
    torch.testing.assert_close(fu.resample(C, FINE, FINE), C)


def test_pixels_that_overlap_in_part_get_their_shares():
    W = matrix(axis("x", 4, 1.0), axis("x", 2, 1.5, 0.25))
    np.testing.assert_allclose(W, [[2 / 3, 1 / 3, 0, 0], [0, 1 / 3, 2 / 3, 0]], atol=1e-12)


def test_a_shift_moves_what_is_seen_in_units_of_the_axis():
    C = random(16 * 12, 2).reshape(16, 12, 2)
    part = tuple(a.cut(slice(2, -2)) for a in FINE)
    moved = fu.resample(C.flatten(0, 1), FINE, part, shift=(0.5, -1.0))
    torch.testing.assert_close(moved.reshape(12, 8, 2), C[3:15, 0:8])


def test_a_blur_is_a_gaussian_filter_away_from_the_border():
    x, fine = axis("x", 60, 0.5), np.random.default_rng(0).random(60)
    made = fu.resample(torch.from_numpy(fine)[:, None], x, x, blur=2.0)[:, 0].numpy()
    np.testing.assert_allclose(made[20:40], gaussian_filter1d(fine, 4.0)[20:40], atol=3e-3)
    np.testing.assert_allclose(matrix(x, x, 0.0, 2.0).sum(1), 1)


def test_other_units_falling_axes_and_uneven_axes_are_followed():
    micro = axis("x", 6, 1e-3, 0.25e-3, "µm")
    np.testing.assert_allclose(matrix(FINE[1], micro), matrix(FINE[1], COARSE[1]), atol=1e-9)
    falling = axis("x", 12, -0.5, 5.5)
    np.testing.assert_allclose(matrix(FINE[1], falling), np.eye(12)[::-1], atol=1e-12)
    uneven = fu.Axis("x", units="nm", values=[0.25, 1.25, 3.25])
    W = matrix(FINE[1], uneven)
    np.testing.assert_allclose(W.sum(1), 1)
    np.testing.assert_allclose(W[0], [0.5, 0.5, *[0] * 10], atol=1e-12)


@pytest.mark.parametrize(
    ("of", "to", "options", "said"),
    [
        (FINE, (axis("y", 16, 0.5), axis("x", 12, 0.5, 30.0)), {}, "12 of 12 entries of x lie"),
        (FINE, FINE, {"shift": (0.0, 5.0)}, "with the shift"),
        (FINE, FINE[:1], {}, "from 2 axes to 1"),
        (
            FINE,
            (axis("y", 16, 0.5), axis("x", 12, 0.5, 0, "eV")),
            {},
            "x is in eV, the other in nm",
        ),
        (FINE[:1], FINE[:1], {}, r"\(192, 1\) for axes of sizes \(16,\)"),
        (FINE, FINE, {"blur": -1.0}, "of a blur ≥ 0"),
    ],
)
def test_what_does_not_pair_is_said(of, to, options, said):
    with pytest.raises(ValueError, match=said):
        fu.resample(random(192, 1), of, to, **options)


# --- two resolutions -------------------------------------------------------------------------

K = 4
SHIFT = (0.2, -0.3)  # nm, of the coarse scan
BLUR = 0.3


class TwoResolutions(fu.Model):
    """EELS sees the maps C, EDXS the same ones on coarser pixels, displaced."""

    def __init__(self, eels: fu.Dataset, edxs: fu.Dataset, *, seen: bool = True) -> None:
        super().__init__()
        self.of, self.to, self.seen = eels.pixels, edxs.pixels, seen
        self.C = fu.Factor((eels.pixels, K))
        self.S1 = fu.Factor((eels.channels, K), fu.constraints.NonNegative(),
                            fu.constraints.UnitColumns())  # fmt: skip
        self.S2 = fu.Factor((edxs.channels, K))

    def forward(self):
        options = {"shift": SHIFT, "blur": BLUR} if self.seen else {}
        coarse = fu.resample(self.C, self.of, self.to, **options)
        return {"eels": fu.cp(self.C, self.S1), "edxs": fu.cp(coarse, self.S2)}


def phantom():
    """Grains of four phases; 0 and 1 differ in EDXS alone, 2 and 3 in EELS alone."""
    noise = np.random.default_rng(2)
    C = grain_maps((12, 12), K, blur=0.7, seed=1).reshape(-1, K)
    x = np.linspace(0, 1, 40)[:, None]

    def peaks(*centres: float) -> np.ndarray:
        return np.exp(-0.5 * ((x - np.array(centres)) / 0.05) ** 2)

    S1, S2 = peaks(0.2, 0.2, 0.5, 0.8) + 1e-3, peaks(0.2, 0.4, 0.7, 0.7) + 1e-3
    fine = (axis("y", 12, 0.5), axis("x", 12, 0.5))
    coarse = tuple(a.binned(2) for a in fine)
    seen = fu.resample(torch.from_numpy(C), fine, coarse, shift=SHIFT, blur=BLUR).numpy()
    X1 = (C @ S1.T + 0.02 * noise.standard_normal((144, 40))).reshape(12, 12, 40)
    X2 = (seen @ S2.T + 0.02 * noise.standard_normal((36, 40))).reshape(6, 6, 40)
    loss, kev = axis("energy loss", 40, 0.5, 90, "eV"), axis("energy", 40, 0.05, 0.2, "keV")
    eels = fu.Dataset("eels", X1, axes=[*fine, loss], variance=4e-4)
    edxs = fu.Dataset("edxs", X2, axes=[*coarse, kev], variance=4e-4)
    return eels, edxs, C, seen, S2


def test_both_predictions_stay_products_and_their_curvature_closed():
    eels, edxs, *_ = phantom()
    model, loss = TwoResolutions(eels, edxs), Frobenius(eels) + Frobenius(edxs)
    assert all(isinstance(M, CP) for M in model.predict().values())
    objective = Objective(model, loss)
    _, told = objective.closed(objective.values(objective.current()))
    assert [metric for _, _, metric, _ in told] == [CPGrams, CPGrams]


def test_one_phantom_at_two_resolutions_is_resolved_where_neither_is_alone():
    eels, edxs, C, seen, S2 = phantom()
    loss = Frobenius(eels) + Frobenius(edxs)
    solver = fu.GaussNewton(tolerance=1e-8)
    told = {"solver": solver, "starts": 2, "race": False, "progress": False}
    result = fu.fit(TwoResolutions(eels, edxs), loss, **told)
    assert result.converged
    np.testing.assert_allclose(result.losses, result.loss, rtol=1e-6)  # from every start
    assert nearest_angles(result["S2"], S2).max() < 2
    options = {"shift": SHIFT, "blur": BLUR}
    coarse = fu.resample(torch.from_numpy(result["C"]), eels.pixels, edxs.pixels, **options)
    assert nearest_angles(coarse.numpy(), seen).max() < 3
    assert nearest_angles(result["C"], C)[2:].max() < 3  # on fine pixels, what EELS tells apart

    once = {"starts": 1, "progress": False}
    fine = fu.fit(fu.models.NMF(eels, K), Frobenius(eels), max_steps=20, **once)
    assert nearest_angles(fine["C"], C)[:2].max() > 15
    few = fu.fit(fu.models.NMF(edxs, K), Frobenius(edxs), max_steps=20, **once)
    assert nearest_angles(few["C"], seen)[2:].max() > 15
    naive = fu.fit(TwoResolutions(eels, edxs, seen=False), loss, max_steps=20, **once)
    assert naive.loss > 1.2 * result.loss  # without the shift and the blur it fits worse
