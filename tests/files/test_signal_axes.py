"""Which axes are spectral: unit before type before name before flag."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fusion.files.signal_dictionaries import arranged


def entry(*axes: tuple[str, int, str, bool], kind: str = "", **more: Any) -> dict[str, Any]:
    """RosettaSciIO's dictionary of an array with axes (name, size, unit, navigate)."""
    shape = [size for _, size, _, _ in axes]
    told = [
        {"name": name, "size": size, "units": units, "navigate": navigate, "scale": 2.0}
        for name, size, units, navigate in axes
    ]
    data = np.arange(np.prod(shape)).reshape(shape)
    return {"data": data, "axes": told, "metadata": {"Signal": {"signal_type": kind}}, **more}


def order(held: dict[str, Any]) -> tuple[list[str], int]:
    """(names of the axes, how many are spectral) as they are arranged."""
    array, axes, signal = arranged(held)
    assert array.shape == tuple(axis.size for axis in axes)
    return [axis.name for axis in axes], signal


@pytest.mark.parametrize("unit", ["eV", "meV", "keV", "1/cm", "cm^-1", "cm⁻¹"])
@pytest.mark.parametrize("flags", [(True, False, False), (False, True, True), (True,) * 3])
def test_a_unit_of_spectra_tells_whatever_the_flags(unit, flags):
    held = entry(*zip(("depth", "y", "x"), (5, 3, 4), (unit, "nm", "nm"), flags, strict=True))
    assert order(held) == (["y", "x", "depth"], 1)


@pytest.mark.parametrize(
    ("unit", "kind", "named"),
    [("nm", "CL", "Wavelength"), ("", "EDS_TEM", "z"), ("", "EELS", "z"), ("nm", "", "Wavelength")],
)
def test_a_stack_of_images_of_a_type_of_spectra_is_a_map(unit, kind, named):
    post = [len] if kind else []  # what turns it into spectra in HyperSpy
    held = entry(
        (named, 5, unit, True), ("y", 3, "nm", False), ("x", 4, "nm", False), kind=kind,
        post_process=post,
    )  # fmt: skip
    assert order(held) == (["y", "x", named.lower()], 1)


def test_gatans_own_word_tells_images_of_lost_energy_from_spectra():
    def words(word: str) -> dict[str, Any]:
        tags = {"ImageTags": {"Meta Data": {"Format": word}}}
        return {"original_metadata": {"ImageList": {"TagGroup0": tags}}}

    axes = ("y", 3, "", False), ("x", 4, "", False)
    assert order(entry(*axes, kind="EELS", **words("Image"))) == (["y", "x"], 0)
    assert order(entry(*axes, kind="EELS", **words("Spectrum"))) == (["y", "x"], 1)


def test_an_image_of_lost_energies_has_no_spectral_axis():
    held = entry(("y", 3, "nm", True), ("x", 4, "nm", True), kind="EELS")
    assert order(held) == (["y", "x"], 0)


def test_flags_tell_of_patterns_and_of_stacks_without_a_spectral_axis():
    patterns = [("y", 2, "nm", True), ("x", 3, "nm", True)]
    patterns += [("ky", 4, "1/nm", False), ("kx", 5, "1/nm", False)]
    assert order(entry(*patterns)) == (["y", "x", "ky", "kx"], 2)
    stack = [("time", 2, "s", True), ("y", 3, "nm", False), ("x", 4, "nm", False)]
    assert order(entry(*stack)) == (["time", "y", "x"], 2)


def test_axes_stand_in_the_order_of_the_list_also_where_the_index_says_otherwise():
    held = entry(("y", 4, "nm", True), ("x", 4, "nm", True), ("Energy-loss", 6, "eV", False))
    for axis, index in zip(held["axes"], (1, 0, 2), strict=True):
        axis["index_in_array"] = index
    array, axes, _ = arranged(held)
    assert [axis.name for axis in axes] == ["y", "x", "energy loss"]
    np.testing.assert_array_equal(array, held["data"])


def test_steps_of_metres_are_told_in_nm_or_µm_and_values_stay():
    held = entry(("Y", 3, "m", True), ("X", 4, "mm", True), ("Wavelength", 6, "mm", False))
    for axis, scale in zip(held["axes"], (7.8e-9, 2e-3, 1.084e-6), strict=True):
        axis |= {"scale": scale, "offset": 3 * scale}
    held["axes"][1]["scale"] = 2e-4
    _, axes, _ = arranged(held)
    assert [(a.units, round(a.scale, 9)) for a in axes] == [("nm", 7.8), ("µm", 0.2), ("nm", 1.084)]
    assert axes[2].offset == pytest.approx(3 * 1.084)


def test_the_unit_of_the_standard_of_msa_is_taken_out_of_its_words():
    held = entry(("", 6, "Energy Loss (eV)", False), kind="EELS")
    _, (axis,), _ = arranged(held)
    assert (axis.name, axis.units) == ("energy loss", "eV")


Y, X = ("y", 3, "nm", False), ("x", 4, "nm", False)


@pytest.mark.parametrize(
    ("axes", "kind", "names", "signal"),
    [
        # images of whatever was measured
        ((Y, X), "CL", ["y", "x"], 0),
        ((("y", 3, "µm", False), ("x", 4, "µm", False)), "XPS", ["y", "x"], 0),
        ((("y", 3, "1/nm", False), ("x", 4, "1/nm", False)), "EELS", ["y", "x"], 0),
        ((("time", 2, "s", True), Y, X), "EELS", ["time", "y", "x"], 2),
        # series over an energy that is set
        (
            (("beam energy", 2, "keV", True), ("y", 3, "nm", True), ("x", 4, "nm", True),
             ("Wavelength", 5, "nm", False)),
            "CL_SEM", ["beam energy", "y", "x", "wavelength"], 1,
        ),
        (
            (("energy", 2, "keV", True), ("y", 3, "nm", True), ("x", 4, "nm", True),
             ("ky", 5, "1/nm", False), ("kx", 6, "1/nm", False)),
            "", ["energy", "y", "x", "ky", "kx"], 2,
        ),
        # names that other axes have, too
        ((("focus shift", 2, "nm", True), Y, X), "", ["focus shift", "y", "x"], 2),
        ((("Color|EM-Wavelength|Channel", 2, "", True), Y, X), "", None, 2),
        (
            (("drive frequency", 2, "kHz", True), ("ky", 5, "1/nm", False),
             ("kx", 6, "1/nm", False)),
            "electron_diffraction", ["drive frequency", "ky", "kx"], 2,
        ),
        # stacks over losses, spectra along momentum
        ((("Energy", 5, "eV", True), Y, X), "", ["y", "x", "energy"], 1),
        ((("q", 5, "1/nm", False), ("Energy", 6, "eV", False)), "EELS", ["q", "energy loss"], 1),
        (
            (("tilt", 2, "deg", True), ("y", 3, "nm", True), ("x", 4, "nm", True),
             ("Energy loss", 6, "eV", False)),
            "EELS", ["tilt", "y", "x", "energy loss"], 1,
        ),
        ((("binding energy", 7, "eV", False),), "XPS", ["binding energy"], 1),
    ],
)  # fmt: skip
def test_what_laboratories_measure(axes, kind, names, signal):
    got, spectral = order(entry(*axes, kind=kind))
    assert spectral == signal
    assert names is None or got == names
