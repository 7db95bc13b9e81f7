"""`WithReferences`: known spectra beside unknown ones."""

from __future__ import annotations

import numpy as np
import pytest

import fusion as fu
from fusion.losses import Frobenius, Poisson
from fusion.models import WithReferences
from tests.helpers.planted_factors import angles
from tests.helpers.reference_data import amounts, named, scan, silicon, spectra


@pytest.mark.parametrize("scale", [1.0, 1e5])
@pytest.mark.parametrize("kind", [Frobenius, Poisson])
def test_a_planted_unknown_is_found_beside_known_references(kind, scale):
    rng = np.random.default_rng(23)
    S = spectra(K=4)
    C = amounts(rng, 300, 4)
    C[:, 3] = np.where(rng.random(300) < 0.4, 20 * rng.random(300), 0)
    mean = 5 * C @ S.T
    X = rng.poisson(mean).astype(float)
    data = fu.Dataset("eels", X)
    known = {name: scale * s for name, s in named(S[:, :3]).items()}
    model = WithReferences(data, known, 1)
    result = fu.fit(model, kind(data), starts=3, progress=False)
    assert angles(result["S"][:, 3:], S[:, 3:]).max() < 3
    assert result["S"][:, :3] == pytest.approx(S[:, :3] / np.linalg.norm(S[:, :3], axis=0))
    maps = result["C"][:, :3] / model.norms.numpy() * scale
    assert np.corrcoef(maps[:, 1], C[:, 1])[0, 1] > 0.99
    assert maps.mean(0) == pytest.approx(5 * C[:, :3].mean(0), rel=0.03)
    assert model.component_names == ("ref 0", "ref 1", "ref 2", "unknown 1")


def test_the_model_shows_names_warns_of_resampling_and_refuses_a_wrong_k():
    data = scan(np.random.default_rng(24))
    at = np.arange(95, 135, 0.1)
    with pytest.warns(UserWarning, match="'a': resampled"):
        model = WithReferences(data, {"a": (at, np.exp(-(((at - 110) / 5) ** 2)))}, 1)
    result = fu.fit(model, Frobenius(data), starts=1, max_steps=3, progress=False)
    words = [t.get_text() for panel in result.plot().axes for t in panel.texts]
    assert any(word.startswith("unknown 1") for word in words)
    for K in (0, 60, 1.5):
        with pytest.raises(ValueError, match="WithReferences"):
            WithReferences(data, named(spectra()), K)


def test_a_spectrum_left_out_is_told_and_then_found():
    data, known, _ = silicon("counts")
    missing = known.pop("SiO2")
    assert "references do not suffice" in fu.mlls(data, known).messages[0]
    model = WithReferences(data, known, 1)
    found = fu.fit(model, Frobenius(data), starts=2, progress=False)["S"][:, 2:]
    assert angles(found, missing[:, None]).max() < 2
