"""Shipped models complain of arguments that do not fit, with names and numbers."""

import numpy as np
import pytest

import fusion as fu
from fusion.models import CPD, NMF, SharedMaps, SharedSpectra, SoftlyCoupled, Tucker, WithBackground
from tests.helpers.model_data import a, b, dataset, net, raw

short, wide, twin = dataset("b", 4, 6, 9), dataset("wide", 4, 5, 13), dataset("a", 4, 5, 9)
spectrum = dataset("s", 12)


class Wrong:
    """A CP tensor of the wrong shape."""

    weights = None
    factors = [np.ones((4, 2)), np.ones((5, 2)), np.ones((12, 2))]  # noqa: RUF012


COMPLAINTS = {
    "NMF: K above the channels": (lambda: NMF(a, 13), r"\(20, 12\).*1 to 12"),
    "NMF: K = 0": (lambda: NMF(a, 0), "1 to 12"),
    "CPD: one axis": (lambda: CPD(spectrum, 1), r"shape \(12,\).*two or more"),
    "CPD: K = 0": (lambda: CPD(a, 0), "1 to 20"),
    "CPD: K above what is ever needed": (lambda: CPD(a, 21), r"20 components.*\(4, 5, 12\)"),
    "CPD: a number that is not whole": (lambda: CPD(a, 2.5), "whole number from 1 to 20"),
    "CPD: names": (lambda: CPD(a, 2, names=("x", "y")), r"\('x', 'y'\) for 3 axes"),
    "CPD: a name in use": (lambda: CPD(a, 2, names=("x", "y", "forward")), "not 'forward'"),
    "Tucker: ranks": (lambda: Tucker(a, (2, 2)), r"2 ranks for data of shape \(4, 5, 12\)"),
    "Tucker: a rank above its axis": (lambda: Tucker(a, (5, 5, 5)), "rank 5 for axis 'y'.*1 to 4"),
    "Tucker: a rank above the others": (lambda: Tucker(a, (2, 2, 5)), "product of the others, 4"),
    "Tucker: core": (
        lambda: Tucker(a, (2, 2, 2), names=("core", "x", "y")),
        "'core' is the core's",
    ),
    "SharedMaps: none": (lambda: SharedMaps(K=2), "one or more"),
    "SharedMaps: pixels": (lambda: SharedMaps(a, short, K=2), r"pixels \(4, 5\), 'b' \(4, 6\)"),
    "SharedMaps: names": (lambda: SharedMaps(a, twin, K=2), "'a', 'a'.*of its own"),
    "SharedMaps: K": (lambda: SharedMaps(a, b, K=21), "20 pixels, 21 channels in all.*1 to 20"),
    "SharedMaps: no data set": (lambda: SharedMaps(a, 3, K=2), "int is no data set"),
    "SharedSpectra: channels": (lambda: SharedSpectra(a, wide, K=2), r"\(12,\), 'wide' \(13,\)"),
    "SharedSpectra: K": (lambda: SharedSpectra(a, K=13), "12 channels, 20 pixels in all.*1 to 12"),
    "SoftlyCoupled: pixels": (lambda: SoftlyCoupled(a, short, 2), r"\(4, 5\), 'b' \(4, 6\)"),
    "SoftlyCoupled: K": (lambda: SoftlyCoupled(a, b, (2, 10)), r"'b' is \(20, 9\).*1 to 9"),
    "SoftlyCoupled: pairs": (lambda: SoftlyCoupled(a, b, 2, coupled=[(0, 2)]), "second.*0 to 1"),
    "SoftlyCoupled: twice": (
        lambda: SoftlyCoupled(a, b, 2, coupled=[(0, 0), (0, 1)]),
        "at most once",
    ),
    "SoftlyCoupled: none": (lambda: SoftlyCoupled(a, b, 2, coupled=[]), "two `NMF`"),
    "WithBackground: channels": (lambda: WithBackground(raw, wide, 2), r"\(12,\), 'wide' \(13,\)"),
    "WithBackground: K": (lambda: WithBackground(raw, net, 13), "1 to 12"),
    "WithBackground: energies": (lambda: WithBackground(a, None, 2), "lowest 0.*> 0"),
    "from_tensorly: shapes": (lambda: CPD.from_tensorly(b, Wrong()), r"data \(4, 5, 9\)"),
}


@pytest.mark.parametrize(("call", "message"), COMPLAINTS.values(), ids=COMPLAINTS)
def test_complaint_names_the_call_and_the_numbers(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_channels_of_other_energies_are_refused_and_of_another_unit_are_not():
    X = np.random.default_rng(0).random((4, 5, 30))

    def spectra(name, scale, offset, units):
        axes = ["y", "x", fu.Axis("energy", scale, offset, units)]
        return fu.Dataset(name, X, axes=axes)

    first = spectra("a", 1.0, 100.0, "eV")
    for other in ((2.0, 100.0, "eV"), (1.0, 200.0, "eV"), (1.0, 100.0, "keV")):
        with pytest.raises(ValueError, match=r"do not have the same channels.*(steps|begins)"):
            fu.models.SharedSpectra(first, spectra("b", *other), K=2)
    fu.models.SharedSpectra(first, spectra("b", 1e-3, 0.1, "keV"), K=2)


def test_pixels_of_other_steps_are_refused_wherever_they_begin():
    X = np.random.default_rng(0).random((4, 5, 30))

    def scan(name, step, origin):
        axes = [fu.Axis(n, step, origin, "nm") for n in "yx"]
        return fu.Dataset(name, X, axes=[*axes, "channel"])

    with pytest.raises(ValueError, match="do not have the same pixels"):
        fu.models.SharedMaps(scan("a", 1.0, 0.0), scan("b", 2.0, 0.0), K=2)
    fu.models.SharedMaps(scan("a", 1.0, 0.0), scan("b", 1.0, 7.0), K=2)
