"""The first mistakes: each is answered by one line that holds the line which mends it."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius
from tests.helpers.short_fits import counts

ARRAY = counts((4, 5, 8))
EELS = fu.Dataset("eels", ARRAY)
SIGNAL = SimpleNamespace(axes_manager=None, data=ARRAY)  # all that is looked at
EVERY, TURNED = np.ones((4, 5), bool), np.zeros((5, 4), bool)


@cache
def answer() -> fu.Result:
    model = fu.models.NMF(EELS, 2)
    return fu.fit(model, Frobenius(EELS), starts=1, max_steps=5, progress=False)


def fit(loss, **options):
    return fu.fit(fu.models.NMF(EELS, 2), loss, progress=False, **options)


def load_of(name, tmp_path):
    (tmp_path / name).write_text("1,2,3")
    return fu.load(tmp_path / name)


MISTAKES = {
    "an array for a data set": (
        lambda _: fu.models.NMF(ARRAY, K=2),
        "`fusion.Dataset('name', array, axes=…)` makes one of an array",
    ),
    "an array without a name": (
        lambda _: fu.Dataset(ARRAY),
        "the name comes first: `Dataset('eels', array)`",
    ),
    "an array for the data of a loss": (
        lambda _: Frobenius(ARRAY),
        "`fusion.Dataset('name', array, axes=…)` makes one of an array",
    ),
    "a signal for a data set": (
        lambda _: fu.models.NMF(SIGNAL, K=2),
        "`fusion.Dataset.from_hyperspy(signal)` makes a data set of a HyperSpy signal",
    ),
    "a signal for an array": (
        lambda _: fu.Dataset("eels", SIGNAL),
        "`Dataset.from_hyperspy(signal)` keeps its axes and metadata",
    ),
    "a signal without a name": (
        lambda _: fu.Dataset(SIGNAL),
        "`Dataset.from_hyperspy(signal)` keeps its axes and metadata",
    ),
    "a constraint in the place of a factor": (
        lambda _: setattr(fu.models.NMF(EELS, K=2), "S", fu.constraints.Fixed(np.ones((8, 2)))),
        "NonNegative(), Fixed(",
    ),
    "a loss without data": (
        lambda _: fu.fit(fu.models.NMF(EELS, K=2), 0.1 * fu.losses.L1("C")),
        "no term of this loss reads data",
    ),
    "a unit in the place of a scale": (
        lambda _: fu.Axis("energy", "eV"),
        "scale and offset are numbers, units a text after them",
    ),
    "K in quotes": (lambda _: fu.models.NMF(EELS, K="3"), "from 1 to 8: give K=3"),
    "K in quotes of two": (
        lambda _: fu.models.SharedMaps(EELS, EELS.renamed("b"), K="3"),
        "give K=3",
    ),
    "a wrong ending of a file": (lambda tmp: load_of("map.xlsx", tmp), "no reader for .xlsx"),
    "a picture for a result": (
        lambda tmp: answer().save(tmp / "fit.png"),
        "a picture is `result.plot().savefig(path)`",
    ),
    "a page for a result": (
        lambda tmp: answer().save(tmp / "fit.html"),
        "a page is `result.report(path)`",
    ),
    "a pdf for a page": (
        lambda tmp: answer().report(tmp / "fit.pdf"),
        "give a name that ends in .html",
    ),
    "a factor that is none": (lambda _: answer()["A"], "the result has C, S"),
    "a number for a factor": (lambda _: answer()[0], "one component is `result.map(1)`"),
    "the class of a loss": (lambda _: fit(Frobenius), "`fu.fit(model, fu.losses.Frobenius(data))`"),
    "k of a model": (lambda _: fu.models.NMF(EELS, k=3), "use `K=`"),
    "k of a fit": (lambda _: fit(Frobenius(EELS), k=3), "`NMF(data, K=3)`"),
    "data for a model": (
        lambda _: fu.fit(EELS, 3),
        "`fu.fit(fu.models.NMF(data, K=3), fu.losses.Frobenius(data))`",
    ),
    "a mask of all": (
        lambda _: fit(Frobenius(EELS.masked(EVERY))),
        "True means excluded: give `~mask` where True marks what is used",
    ),
    "a mask with x first": (
        lambda _: EELS.masked(TURNED),
        "in the array's order: `mask.T` is that",
    ),
    "several scans for one": (
        lambda _: fu.models.NMF([EELS, EELS.renamed("b")], K=2),
        "`fusion.models.SharedSpectra(*scans, K=3)` takes several scans",
    ),
    "a file of several for one": (
        lambda _: fu.rank({"eels": EELS, "edxs": EELS}),
        "it holds 'eels', 'edxs': give one of them, `…['eels']`",
    ),
    "a scan for a data set": (
        lambda _: fu.models.NMF(fu.Scan(EELS, EELS.renamed("b")), K=2),
        "it holds 'eels', 'b': give one of them, `…['eels']`",
    ),
    "a path for a data set": (
        lambda _: fu.models.NMF("map.dm4", K=2),
        "`fusion.load(path)` reads one from a file",
    ),
    "a path for an array": (
        lambda _: fu.Dataset("eels", "map.dm4"),
        "`fusion.load('map.dm4')` reads it",
    ),
    "rows of different lengths": (
        lambda _: fu.Dataset("eels", [[1, 2], [3]]),
        "give an array of real numbers, filled up and with a mask",
    ),
    "an axis for the number of them": (
        lambda _: fu.Dataset("eels", ARRAY, signal="energy"),
        "signal='energy', the array has 3 axes: give 0 to that many",
    ),
    "a scale before the name": (
        lambda _: fu.Axis(0.5, "energy loss"),
        "the name comes first: `Axis('energy loss', 0.5, 100, 'eV')`",
    ),
    "several data sets in a list": (
        lambda _: fu.models.SharedMaps([EELS, EELS.renamed("b")], K=2),
        "`SharedMaps(*detectors, K=3)` several detectors of one",
    ),
    "several data sets by name": (
        lambda _: fu.models.SharedMaps({"a": EELS}, K=2),
        "`SharedMaps(dict, K=2)`: dict is no data set: it holds 'a'",
    ),
    "K behind several data sets": (
        lambda _: fu.models.SharedMaps(EELS, EELS.renamed("b"), 2),
        "K missing: `SharedMaps(…, K=…)`",
    ),
    "a list for a scan": (
        lambda _: fu.Scan([EELS]),
        "`Scan(list)`: list has no name: give data sets",
    ),
    "an array for a scan": (lambda _: fu.Scan(ARRAY), "or signals by name, `Scan(eels=signal)`"),
    "one number of components for three axes": (
        lambda _: fu.models.Tucker(EELS, 2),
        "give one number of components for each axis, (3, 3, 4)",
    ),
    "the class of a solver": (
        lambda _: fit(Frobenius(EELS), solver=fu.HALS),
        "give an object of it, `HALS()`",
    ),
    "a solver by its name": (
        lambda _: fit(Frobenius(EELS), solver="mu"),
        "such as `GaussNewton()`",
    ),
    "a loss by its name": (
        lambda _: fit("frobenius"),
        "the second argument is a loss, which names its data",
    ),
    "a start by its name": (lambda _: fit(Frobenius(EELS), init="nndsvd"), "give `Random()`"),
    "a loss of another data set": (
        lambda _: fit(Frobenius(EELS.renamed("b"))),
        "the model predicts 'eels', not 'b'",
    ),
    "model and loss the other way round": (
        lambda _: fu.fit(Frobenius(EELS), fu.models.NMF(EELS, 2)),
        "`fu.fit(fu.models.NMF(data, K=3), fu.losses.Frobenius(data))`",
    ),
    "more components than channels": (
        lambda _: fu.models.NMF(EELS, 99),
        "whole number from 1 to 8",
    ),
    "a folder for a file": (lambda tmp: fu.load(tmp), "is a folder: give a file"),
    "a folder to save to": (lambda tmp: answer().save(tmp), "is a folder: give a file in it"),
    "a folder to save data to": (lambda tmp: EELS.save(tmp), "is a folder: give a file in it"),
    "a folder to load a result from": (
        lambda tmp: fu.Result.load(tmp),
        "is a folder: give a file in it",
    ),
    "nothing to save to": (lambda _: answer().save(None), "give the path of a file"),
    "a result for data": (lambda _: fu.load(answer()), "`load(Result)`: give a path"),
    "a range without a name": (lambda _: EELS.crop((1, 2)), "`crop(name=range)`"),
    "a window without a name": (lambda _: EELS.align((0, 3)), "`align(…, name=window)`"),
    "the number of an axis": (lambda _: EELS.sum(axis=0), "`data.sum('energy')`"),
    "per cent for a share": (lambda _: EELS.sample_pixels(20), "20 % are 0.2"),
    "per cent for a confidence": (lambda _: fu.ambiguity(answer(), level=95), "give level=0.95"),
    "data for a result": (
        lambda _: fu.standard_errors(EELS),
        "`standard_errors(Dataset)`: give the result of `fu.fit(model, loss)`",
    ),
    "answers in a list": (lambda _: fu.compare([answer(), answer()]), "`compare(*answers)`"),
    "elements for k-factors": (
        lambda _: answer().composition(["Si", "Fe"]),
        '{"Si Ka": 1.0, "Fe Ka": 1.2}',
    ),
    "a component from 0": (lambda _: answer().map(0), "give a number from 1 to 2"),
    "two components of one name": (
        lambda _: answer().renamed(["a", "a"]),
        "give each a name of its own",
    ),
    "two data sets for one": (
        lambda _: fu.models.NMF(EELS, EELS, 2),
        "several data sets go into `SharedMaps(a, b, K=3)`",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_first_mistake_is_answered_by_the_line_that_mends_it(mistake, tmp_path):
    call, line = MISTAKES[mistake]
    with pytest.raises((ValueError, TypeError, KeyError)) as caught:
        call(tmp_path)
    said = str(caught.value.args[0])
    assert line in said
    assert "\n" not in said


def test_what_the_lines_say_is_done_and_works():
    assert fu.models.NMF(fu.Dataset("name", ARRAY, axes=["y", "x", "e"]), K=3).C.shape == (20, 3)
    assert EELS.masked(TURNED.T).mask is not None
    assert fit(Frobenius(EELS.masked(~EVERY)), max_steps=2, starts=1)["C"].shape == (20, 2)
    scans = [EELS, EELS.renamed("b")]
    assert fu.models.SharedSpectra(*scans, K=3).factors["S"].shape == (8, 3)
