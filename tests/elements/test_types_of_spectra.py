"""X-ray lines for EDS, edges for EELS, whatever the unit of the axis."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.text import Text

import fusion as fu
from fusion.algebra.units import in_units
from fusion.elements import Detector, Fitted, explain, labels
from fusion.losses import Frobenius
from tests.helpers.xray_phases import EDXS, K, planted

EDS = {"Signal": {"signal_type": "EDS_TEM"}}
IN_EV = in_units(EDXS, "eV", "")


def test_labels_of_eds_in_ev_are_those_in_kev():
    here = labels(IN_EV, ["O", "Mn"], metadata=EDS)
    there = labels(EDXS, ["O", "Mn"])
    assert [name for _, name in here] == [name for _, name in there]
    np.testing.assert_allclose([x for x, _ in here], [1e3 * x for x, _ in there])


def test_labels_of_eels_in_kev_are_edges():
    axis = fu.Axis("energy", 0.001, 0.4, "keV", size=500)
    ((x, name),) = labels(axis, ["O"], metadata={"Signal": {"signal_type": "EELS"}})
    assert (x, name) == (pytest.approx(0.532), "O K")


def test_spectra_that_have_neither_are_said_with_their_type():
    for kind in ("CL", "XPS"):
        with pytest.raises(ValueError, match=f"spectra of type {kind} have neither X-ray lines"):
            labels(IN_EV, "O", metadata={"Signal": {"signal_type": kind}})


def test_peaks_of_eds_in_ev_are_explained_by_lines():
    counts = np.random.default_rng(0).poisson(1e6 * planted()[:, 0])
    here = explain(counts, IN_EV, ["O", "Mn"], metadata=EDS)
    there = explain(counts, EDXS, ["O", "Mn"])
    assert [p.names for p in here.peaks] == [p.names for p in there.peaks]
    assert len(here) > 0


@pytest.mark.parametrize("what", ["data", "result"])
def test_compositions_on_an_axis_in_ev_are_those_in_kev(what):
    made = []
    for axis in (EDXS, IN_EV):
        data = fu.Dataset("edxs", 1e6 * planted().T, axes=["phase", axis], metadata=EDS)
        if what == "result":
            model = fu.models.NMF(data, K=2)
            data = fu.fit(model, Frobenius(data), starts=1, max_steps=50, progress=False)
        made.append(fu.elements.composition(data, K, by=Fitted(detector=Detector())))
    np.testing.assert_allclose(made[1].atomic, made[0].atomic, rtol=1e-4)


def test_spectra_of_another_type_have_no_composition():
    metadata = {"Signal": {"signal_type": "EELS"}}
    data = fu.Dataset("a", 1e6 * planted().T, axes=["phase", EDXS], metadata=metadata)
    with pytest.raises(ValueError, match="1 signal axes, EELS: give X-ray spectra"):
        fu.elements.composition(data, K)
    result = fu.fit(fu.models.NMF(data, K=1), Frobenius(data), max_steps=2, progress=False)
    with pytest.raises(ValueError, match="of X-ray energies are none, of C, S"):
        result.composition(K)


def test_pictures_and_report_name_x_ray_lines_of_eds_in_ev():
    metadata = {"Signal": {"signal_type": "EDS_TEM"}}
    axis = fu.Axis("energy", 20.0, 100.0, "eV", size=80)
    mean = 5 + 20 * np.exp(-0.5 * ((axis.values - 525) / 35) ** 2)
    y = np.random.default_rng(0).poisson(mean, (6, 5, 80))
    data = fu.Dataset("eds", y, axes=["y", "x", axis], metadata=metadata)
    result = fu.fit(fu.models.NMF(data, K=1), Frobenius(data), max_steps=2, progress=False)
    assert "O Kα" in _texts(data.plot(elements=["O"]))
    assert "O Kα" in _texts(result.plot(elements=["O"]))
    page = result.report(elements=["O"]).html
    assert "O K\\u03b1" in page or "O Kα" in page
    assert 'O K"' not in page


def test_spectra_of_light_are_left_out_beside_those_that_have_lines():
    cl = fu.Axis("energy", 0.02, 1.5, "eV"), {"Signal": {"signal_type": "CL"}}
    eds = fu.Axis("energy", 0.05, 0.1, "keV"), {"Signal": {"signal_type": "EDS_SEM"}}
    line = 1 + 20 * np.exp(-0.5 * ((0.1 + 0.05 * np.arange(40) - 0.525) / 0.04) ** 2)
    sets = [
        fu.Dataset(f"d{i}", np.ones((6, 5, 1)) * line, axes=["y", "x", axis], metadata=metadata)
        for i, (axis, metadata) in enumerate((cl, eds))
    ]
    model = fu.models.SharedMaps(*sets, K=1)
    loss = Frobenius(sets[0]) + Frobenius(sets[1])
    result = fu.fit(model, loss, max_steps=2, progress=False)
    assert _texts(result.plot(elements=["O"])).count("O Kα") == 2  # of the component, of the mean
    with pytest.raises(ValueError, match="spectra of type CL have neither"):
        sets[0].plot(elements=["O"])


def _texts(figure):
    figure.draw_without_rendering()
    return [t.get_text() for t in figure.findobj(Text)]
