"""All starts over each other: which are equal, and how far they are from the reference."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.plots import plot_starts
from fusion.plots.starts import OTHER
from fusion.plots.style import BLUE

N, K = 30, 2
ENERGY = fu.Axis("energy", offset=500.0, scale=0.5, size=N, units="eV")


def spectra(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((N, K))


def comparison(*seeds: int) -> fu.Comparison:
    truth = fu.Dataset("truth", spectra(0).T, axes=("component", ENERGY))
    return fu.compare(truth, *({"S": spectra(seed)} for seed in seeds))


def drawn(figure, color: str) -> int:
    return sum(line.get_color() == color for panel in figure.axes for line in panel.lines)


def notes(figure) -> list[str]:
    return [text.get_text() for panel in figure.axes for text in panel.texts]


def test_starts_of_equal_loss_are_coloured_and_others_grey():
    figure = plot_starts(comparison(1, 2, 3), [100.0, 100.005, 101.0])
    assert drawn(figure, BLUE) == 2 * K
    assert drawn(figure, OTHER) == K
    assert drawn(figure, "black") == K


def test_the_range_of_angles_is_that_of_the_starts_of_equal_loss():
    found = comparison(1, 2, 3)
    angles = [found.angles[name]["S"] for name in found.names[1:3]]
    expected = [f"{min(a):.1f}–{max(a):.1f}°" for a in zip(*angles, strict=True)]
    assert notes(plot_starts(found, [5.0, 5.0, 9.0])) == expected


def test_equal_means_near_the_lowest_also_where_it_is_negative_and_a_failed_start_is_not():
    figure = plot_starts(comparison(1, 2, 3), [-1000.0, -999.95, np.nan])
    assert (drawn(figure, BLUE), drawn(figure, OTHER)) == (2 * K, K)
    figure = plot_starts(comparison(1, 2), [-1000.0, -999.95], equal=1e-6)
    assert (drawn(figure, BLUE), drawn(figure, OTHER)) == (K, K)


def test_the_axis_has_its_name_and_unit_and_images_are_left_out(tmp_path):
    y, x = (fu.Axis(name, scale=1.0, units="nm") for name in "yx")
    data = fu.Dataset("a", np.random.default_rng(0).random((3, 4, N)), axes=(y, x, ENERGY))
    told = {"starts": 1, "max_steps": 2, "progress": False}
    model, loss = fu.models.NMF(data, K), fu.losses.Frobenius(data)
    answers = [fu.fit(model, loss, seed=seed, **told) for seed in range(3)]
    figure = plot_starts(fu.compare(*answers), [answer.loss for answer in answers[1:]])
    figure.savefig(tmp_path / "starts.png", dpi=40)
    assert [panel.get_title() for panel in figure.axes] == ["S", ""]
    assert [panel.get_xlabel() for panel in figure.axes] == ["", "energy (eV)"]


def test_wrong_losses_and_factors_are_named():
    with pytest.raises(ValueError, match=r"losses of shape \(1,\) for 2 answers beside"):
        plot_starts(comparison(1, 2), [1.0])
    with pytest.raises(ValueError, match=r"'D' is not one of the curves .*: choose of S"):
        plot_starts(comparison(1), factors=["D"])
    y, x = (fu.Axis(name, scale=1.0, units="nm") for name in "yx")
    image = fu.Dataset("image", np.ones((5, 5)), axes=(y, x), signal=0)
    with pytest.raises(ValueError, match="only images were compared"):
        plot_starts(fu.compare(image, {"C": np.ones((25, 1))}))
