"""Names in any script are drawn in a font that has their letters, if one is installed."""

from __future__ import annotations

import pytest

import fusion as fu
from fusion.losses import Frobenius
from fusion.plots.scripts import _installed, _letters_of, families_for, missing_letters
from tests.helpers.small_results import QUICK, spectrum_image

HERE = ["DejaVu Sans"]


def only_elsewhere() -> str:
    """A letter that DejaVu Sans lacks and another installed font has."""
    files = dict(_installed())
    lacking = _letters_of(files["STIXGeneral"]) - _letters_of(files["DejaVu Sans"])
    return next(chr(code) for code in sorted(lacking) if chr(code).isprintable())


def test_a_letter_that_the_font_lacks_is_taken_from_another():
    letter = only_elsewhere()
    first, other = families_for(f"a {letter}", HERE)
    assert first == "DejaVu Sans"
    assert ord(letter) in _letters_of(dict(_installed())[other])


def test_what_the_font_has_needs_no_other_and_what_none_has_changes_nothing():
    assert families_for("Оболочка, Kα", HERE) == []
    assert families_for(chr(0x10FFF0) if chr(0x10FFF0).isprintable() else "\u0bf5", HERE) == []


@pytest.mark.filterwarnings("error:Glyph")
def test_a_picture_draws_such_a_name_without_a_complaint(tmp_path):
    data = spectrum_image()
    result = fu.fit(fu.models.NMF(data, 2), Frobenius(data), **QUICK)
    named = result.renamed({1: f"phase {only_elsewhere()}"})
    named.plot().savefig(tmp_path / "named.png")


def test_letters_that_no_font_has_are_told_once(tmp_path, recwarn):
    nowhere = next(chr(code) for code in range(0x1B80, 0x1BC0) if chr(code).isprintable())
    if not missing_letters(nowhere, HERE):
        pytest.skip("a font here has Sundanese letters")
    data = spectrum_image()
    named = fu.fit(fu.models.NMF(data, 2), Frobenius(data), **QUICK).renamed({1: f"a {nowhere}"})
    recwarn.clear()
    named.plot().savefig(tmp_path / "named.png")
    told = [str(w.message) for w in recwarn if "font" in str(w.message)]
    assert len(told) == 1
    assert nowhere in told[0]
