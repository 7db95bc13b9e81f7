"""Words of other programs get the right one in the error, and are never taken for it."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import fusion as fu
from fusion.algebra.words import MEMBERS, NAMES, OPTIONS, ROOMS
from tests.helpers.short_fits import complaint, counts, fit

DATA = fu.Dataset("eels", counts())

NOWHERE = {
    "LeastSquares": "use `fu.losses.Frobenius(data)`",
    "Frobenius": "it is `fu.losses.Frobenius`",
    "NMF": "it is `fu.models.NMF`",
    "nmf": "did you mean `fu.models.NMF`",
    "NonNegative": "it is `fu.constraints.NonNegative`",
    "PCA": "use `data.denoise()`",
    "decomposition": "use `fu.fit(model, loss)`",
    "read": "use `fu.load(path)`",
    "Datset": "did you mean `Dataset`",
    "Signal1D": "use `fu.Dataset('eels', array)`",
}


@pytest.mark.parametrize("name", NOWHERE)
def test_a_name_that_the_package_does_not_have_gets_the_right_one(name):
    with pytest.raises(AttributeError, match=complaint(repr(name), NOWHERE[name])):
        getattr(fu, name)


@pytest.mark.parametrize(
    ("room", "name", "said"),
    [
        ("losses", "MSE", "use `fu.losses.Frobenius(data)`"),
        ("losses", "KLDivergence", "use `fu.losses.Poisson(data)`"),
        ("losses", "NMF", "it is `fu.models.NMF`"),
        ("models", "PARAFAC", "use `fu.models.CPD`"),
        ("models", "SharedMap", "did you mean `fu.models.SharedMaps`"),
        ("solvers", "SGD", "use `fu.Adam(lr=0.05)`"),
        ("constraints", "Nonnegative", "did you mean `fu.constraints.NonNegative`"),
        ("plots", "plot_maps", "did you mean `plot_map`"),
    ],
)
def test_a_name_that_a_room_does_not_have_gets_the_right_one(room, name, said):
    with pytest.raises(AttributeError, match=complaint(f"module 'fusion.{room}'", said)):
        getattr(getattr(fu, room), name)


def test_what_is_like_nothing_is_told_as_python_does():
    with pytest.raises(AttributeError, match=r"^module 'fusion' has no attribute 'zzzz'$"):
        fu.zzzz  # noqa: B018
    for private in ("__wrapped__", "_private"):
        assert not hasattr(fu, private)
        assert not hasattr(fu.losses, private)


def test_members_of_other_programs_results_get_the_right_ones():
    result = fit(DATA)
    said = {
        "components_": "`result.spectra, (channel, K)`",
        "explained_variance_ratio_": "`result.explained_variance`",
        "n_iter_": "result.history['loss']",
        "C": "result['C']",
        "rename": "result.renamed({1: 'shell'})",
        "map_": "did you mean `map`",
    }
    for name, words in said.items():
        with pytest.raises(AttributeError, match=complaint(words)):
            getattr(result, name)


def test_members_of_signals_get_those_of_data_sets():
    said = {
        "isig": "data[..., 500.0:600.0]",
        "decomposition": "fu.fit(fu.models.NMF(data, K=3), fu.losses.Frobenius(data))",
        "values": "data.data",
        "rebin": "data.bin(energy=2)",
        "normalize": "data.normalise()",
        "croop": "did you mean `crop`",
    }
    for name, words in said.items():
        with pytest.raises(AttributeError, match=complaint("'Dataset'", repr(name), words)):
            getattr(DATA, name)
    assert not hasattr(DATA, "axes_manager")  # it is not taken for a HyperSpy signal


OPTION_OF = {
    "n_starts": (lambda: fit(DATA, n_starts=3), "use `starts=`"),
    "n_iter": (lambda: fit(DATA, n_iter=3), "use `max_steps=`"),
    "max_iter": (lambda: fit(DATA, max_iter=3), "use `max_steps=`"),
    "random_state": (lambda: fit(DATA, random_state=0), "use `seed=`"),
    "lr": (lambda: fit(DATA, lr=0.1), "solver=Adam(lr=0.05)"),
    "learning_rate": (lambda: fu.Adam(learning_rate=0.1), "use `lr=`"),
    "n_components": (lambda: fu.models.NMF(DATA, n_components=3), "use `K=`"),
    "output_dimension": (lambda: fu.models.NMF(DATA, output_dimension=3), "use `K=`"),
    "beta_loss": (lambda: fit(DATA, beta_loss="kullback-leibler"), "use `loss=`"),
    "start of an axis": (lambda: fu.Axis("x", start=3), "use `offset=`"),
    "k of a map": (lambda: fit(DATA).map(k=1), "use `component=`"),
    "a navigation mask": (lambda: fit(DATA, navigation_mask=None), "data.masked(mask)"),
    "the variance of a fit": (lambda: fit(DATA, variance=2.0), "data.with_variance(variance)"),
    "two data sets": (lambda: fu.models.NMF(DATA, DATA, 3), "SharedMaps(a, b, K=3)"),
}


@pytest.mark.parametrize("case", OPTION_OF)
def test_an_option_of_other_programs_gets_the_right_one(case):
    call, said = OPTION_OF[case]
    with pytest.raises(TypeError, match=complaint(said)) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_every_room_has_the_names_that_are_told_of_it():
    for room, names in ROOMS.items():
        there = set(importlib.import_module(f"fusion.{room}").__all__)
        assert set(names) <= there
        if room in ("models", "constraints"):
            assert there - set(names) <= {"check_chain"}
        if room == "losses":
            assert there - set(names) == {"Loss", "Term", "term"}  # of `fusion` itself


def test_no_word_of_others_is_a_word_of_ours_and_what_is_told_is_there():
    for theirs in NAMES.values():
        for name in theirs:
            assert name not in fu.__all__, name
    result = fit(DATA)
    owners = {"Result": (fu.Result, result), "Dataset": (fu.Dataset, DATA)}
    for kind, table in MEMBERS.items():
        cls, owner = owners[kind]
        short = {"Result": "result", "Dataset": "data"}[kind]
        for ours, theirs in table.items():
            for name in theirs:
                assert not hasattr(cls, name), (kind, name)
                assert name not in getattr(cls, "__dataclass_fields__", {}), (kind, name)
            code = ours.partition(";")[0]
            member = code.partition(f"{short}.")[2].split("(")[0].split("[")[0].split(")")[0]
            if code.startswith(f"{short}."):
                assert hasattr(owner, member.split(".")[0].split(",")[0]), ours
    for code in NAMES:  # such as "fu.losses.Frobenius(data)"
        path = code.partition("(")[0].split(".")
        place = {"fu": fu, "data": DATA, "result": result}[path[0]]
        for part in path[1:]:
            place = getattr(place, part)
    assert all(theirs for theirs in OPTIONS.values())


def test_a_data_set_and_a_result_are_copied_and_pickled_as_before():
    import copy
    import pickle

    for owner in (DATA, fit(DATA)):
        assert type(copy.copy(owner)) is type(owner)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(DATA)).data, DATA.data)
