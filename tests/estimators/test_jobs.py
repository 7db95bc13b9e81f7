"""`n_jobs` of estimators, as scikit-learn counts."""

import numpy as np
import pytest
from joblib import Parallel, delayed

from fusion.algebra.threads import asked_threads
from fusion.estimators import Unmixer, jobs, unmixer
from tests.helpers.planted_pixels import K, planted


@pytest.mark.parametrize(
    ("n_jobs", "expected"), [(None, None), (1, 1), (12, 12), (-1, 8), (-2, 7), (-20, 1)]
)
def test_negative_numbers_count_from_all_cores(monkeypatch, n_jobs, expected):
    monkeypatch.setattr(jobs, "cores", lambda: 8)
    assert jobs.threads_of("Unmixer", n_jobs) == expected
    assert jobs.threads_of("Unmixer", None if n_jobs is None else np.int64(n_jobs)) == expected


@pytest.mark.parametrize("n_jobs", [0, 1.5, "2"])
def test_what_means_nothing_is_refused_when_the_estimator_is_fitted(n_jobs):
    with pytest.raises(ValueError, match=r"`Unmixer\(n_jobs="):
        Unmixer(K, n_jobs=n_jobs).fit(planted()[0])


def test_fit_and_transform_work_within_the_number(monkeypatch):
    seen = []
    true_fit, true_maps = unmixer.fit, unmixer.known_maps

    def fit(*args, threads, **options):
        seen.append(threads)
        return true_fit(*args, threads=threads, **options)

    def known_maps(*args, **options):
        seen.append(asked_threads())
        return true_maps(*args, **options)

    monkeypatch.setattr(unmixer, "fit", fit)
    monkeypatch.setattr(unmixer, "known_maps", known_maps)
    X, _, _ = planted()
    Unmixer(K, starts=1, n_jobs=2).fit(X).transform(X)
    assert seen == [2, 2]
    assert asked_threads() is None


def test_several_estimators_at_a_time_find_what_one_finds():
    X, _, _ = planted()
    one = Unmixer(K, starts=2).fit(X).components_
    many = Parallel(n_jobs=2, backend="threading")(
        delayed(Unmixer(K, starts=2).fit)(X) for _ in range(3)
    )
    for each in many:
        np.testing.assert_allclose(each.components_, one, rtol=1e-9, atol=1e-12)
