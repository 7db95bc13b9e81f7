"""`Unmixer`: non-negative factorisation as a scikit-learn estimator."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from fusion.algebra.axis import Axis
from fusion.algebra.calls import checked_call
from fusion.algebra.cautions import ClaimWarning, FusionWarning
from fusion.algebra.threads import limited_threads
from fusion.algebra.waiting import waiting
from fusion.answers.result import Result
from fusion.data.dataset import Dataset
from fusion.estimators.jobs import threads_of
from fusion.estimators.number import stand_out
from fusion.estimators.rare_pixels import BatchSample
from fusion.estimators.scaled_data import warn_if_scaled
from fusion.language.fit_term import Fit
from fusion.language.loss import Loss
from fusion.language.term import Term
from fusion.losses import Gaussian
from fusion.models import NMF
from fusion.references.known_spectra import Detector, known_maps
from fusion.search.fit import fit
from fusion.search.initialisation import Init
from fusion.solvers import Solver

Array = NDArray[Any]
SPARSE = ("csr", "csc", "coo")
QUICK = 15
"""Steps of a fit that tells what stands out of it."""


class Unmixer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """X ≈ C Sᵀ with C, S ≥ 0: maps and spectra of a matrix (pixel, channel). Review, eqs (2), (3).

    For scikit-learn's pipelines and for HyperSpy: `s.decomposition(algorithm=Unmixer(4))`, of EDS
    signals `s.decomposition(False, None, algorithm=Unmixer(4, likelihood=Poisson))`, which leaves
    the counts as they are. HyperSpy calls the spectra factors and the maps loadings. Of a lazy
    signal leave `output_dimension` out where `ARD` may switch components off.

    Args:
        n_components: K; None: as many as stand out of the noise (`fusion.rank`), all where there
            are too few data to tell.
        likelihood: makes the fit of a data set: `Gaussian` (noise of one unknown size, the
            default), `Frobenius`, `Poisson` for counts, or a function such as
            `lambda data: Frobenius(data.estimate_variance())`.
        penalty: beliefs about the maps "C" (pixel, K) and the spectra "S" (channel, K, unit
            columns): `0.05 * SoftOrthogonality("C")`, `ARD("C")`, `10 * Smoothness("S")`, or their
            sum.
        scan: (ny, nx) of the map, for penalties that need neighbours, such as `SpatialSmoothness`.
        solver, starts, init, max_steps, device: as in `fusion.fit`.
        n_jobs: threads of the CPU; None: what suits, −1: all cores, −2: all but one.
        memory: values that `partial_fit` keeps; of more it keeps a random sample of the pixels, and
            those that stand out of them.
        random_state: of the starts.
        progress: whether a line says what `fit` and `transform` do now, as in `fusion.fit`.

    Attributes:
        components_: Sᵀ (K, channel); the amounts are in the maps.
        n_components_: their number; smaller than `n_components` where `ARD` switched some off.
        explained_variance_: ⟨M_k, M⟩ / pixels, M_k = c_k s_kᵀ, (K,), largest first as a rule; they
            add up to that of M, about zero, not about the mean. One component alone has none.
        result_: the `fusion.Result`; its `write_to(s)` gives `s` results that HyperSpy can save.
            After `partial_fit` it has no maps: their pixels came in the order of the batches.
        n_features_in_: number of channels.

    Raises:
        ValueError: by `fit`, if K is out of range, data, likelihood and penalty do not fit, or no
            component is left.

    Warns:
        ScaledDataWarning: if HyperSpy has scaled the data before handing them over.
    """

    @checked_call
    def __init__(
        self,
        n_components: int | None = None,
        *,
        likelihood: Callable[[Dataset], Fit] = Gaussian,
        penalty: Loss | Term | None = None,
        scan: Sequence[int] | None = None,
        solver: Solver | None = None,
        starts: int = 10,
        init: Init | Sequence[Any] | None = None,
        max_steps: int | None = None,
        device: str | None = None,
        n_jobs: int | None = None,
        memory: int = 2**27,
        random_state: Any = 0,
        progress: bool = True,
    ) -> None:
        self.n_components = n_components
        self.likelihood = likelihood
        self.penalty = penalty
        self.scan = scan
        self.solver = solver
        self.starts = starts
        self.init = init
        self.max_steps = max_steps
        self.device = device
        self.n_jobs = n_jobs
        self.memory = memory
        self.random_state = random_state
        self.progress = progress

    def fit(self, X: Any, y: Any = None) -> Unmixer:
        """Find the spectra of X (pixel, channel); returns self."""
        self._factorise(self._validated(X, pixels=2))
        return self

    def fit_transform(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, X: Any, y: Any = None
    ) -> Array:
        """Find maps and spectra; returns the maps (pixel, K), as the penalty has them."""
        return self._factorise(self._validated(X, pixels=2))

    def partial_fit(self, X: Any, y: Any = None) -> Unmixer:
        """Take in some pixels more; the spectra are found when they are asked for.

        All pixels are kept while they are no more than `memory` values: the answer is that of
        `fit` on all of them. Of more a random sample is kept, and up to 256 pixels beside it that
        are not met by its spectra: where `n_components` is more than the sample shows above its
        noise, the component that is over is theirs, so that a phase of a few pixels is found;
        `result_.messages` says so. The others are fitted to the sample alone. An earlier `fit` is
        forgotten, and so are pixels that all have got their maps by `transform` since: another
        signal begins.
        """
        fresh = getattr(self, "_sample", None) is None or self._is_another_signal()
        X = self._validated(X, reset=fresh)
        X = X.toarray() if hasattr(X, "toarray") else X
        if fresh:
            most = int(self.memory) // X.shape[1]
            self._sample: BatchSample | None = BatchSample(most, self._seed(), self._fit_term)
            self._mapped_rows = 0
        assert self._sample is not None
        with limited_threads(threads_of("Unmixer", self.n_jobs)):
            self._sample.add(X, self._learned)
        self._answer: dict[str, Any] | None = None
        return self

    def _is_another_signal(self) -> bool:
        """Whether all pixels taken in have their maps, as HyperSpy asks for at the end."""
        seen = self._sample.random.seen_rows if self._sample is not None else 0
        if self._mapped_rows < seen:
            return False
        warnings.warn(
            f"`Unmixer.partial_fit`: begins anew, as all {seen} pixels taken in before have got "
            "their maps: to find spectra in both, take in all pixels before the first `transform`.",
            ClaimWarning,
            stacklevel=3,
        )
        return True

    def transform(self, X: Any) -> Array:
        """Maps (pixel, K) of other pixels: the likeliest amounts ≥ 0; no penalty is read."""
        check_is_fitted(self)
        S = torch.from_numpy(np.ascontiguousarray(self.components_.T))
        X = self._validated(X, reset=False)
        X = X.tocsr() if hasattr(X, "tocsr") else X
        if getattr(self, "_sample", None) is not None:
            self._mapped_rows += X.shape[0]
        threads = limited_threads(threads_of("Unmixer", self.n_jobs))
        with waiting("Unmixer.transform", self.progress), threads:
            return self._maps(X, S)

    def inverse_transform(self, C: Any) -> Array:
        """C Sᵀ (pixel, channel) of maps (pixel, K)."""
        check_is_fitted(self)
        return np.asarray(C) @ self.components_

    @property
    def components_(self) -> Array:
        return self._fitted("components")

    @property
    def explained_variance_(self) -> Array:
        variance = self._fitted("variance")
        if len(variance) < 2:  # HyperSpy 2.5 looks for an elbow where there is one, and fails
            raise AttributeError(
                "`explained_variance_`: one component alone has none here; see `result_`."
            )
        return variance

    @property
    def n_components_(self) -> int:
        return len(self.components_)

    @property
    def result_(self) -> Result:
        return self._fitted("result")

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def _validated(self, X: Any, *, reset: bool = True, pixels: int = 1) -> Any:
        # one channel has no spectrum to find; after a fit it is told against the number of that
        fewest = 2 if reset else 1
        X = validate_data(
            self,
            X,
            reset=reset,
            accept_sparse=SPARSE,
            dtype="numeric",
            ensure_min_samples=pixels,  # one alone has nothing to be told apart by
            ensure_min_features=fewest,
        )
        if self._counting and X.min() < 0:
            count, size = int((X < 0).sum()), X.shape[0] * X.shape[1]
            raise ValueError(
                f"`Unmixer`: Negative values in data passed to a fit of counts: {count} of {size} "
                f"(lowest {X.min():.3g}): use `Gaussian` or `Frobenius`, or keep the background."
            )
        return X

    @property
    def _counting(self) -> bool:
        """Whether the likelihood is one of counts, as far as can be told without data."""
        return getattr(self.likelihood, "noise", "") == "poisson"

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _fit_term(self, data: Dataset) -> Fit:
        if not callable(self.likelihood):
            raise ValueError(
                f"`Unmixer(likelihood={self.likelihood!r})`: give what makes the fit of a data "
                "set: `fusion.losses.Gaussian`, `Frobenius` or `Poisson`, the class itself."
            )
        term = self.likelihood(data)
        if not isinstance(term, Fit):
            raise ValueError(
                f"`Unmixer(likelihood={self.likelihood!r})`: it makes a {type(term).__name__} of "
                "a data set: give `Gaussian`, `Frobenius`, `Poisson`, or what makes such a fit."
            )
        return term

    def _factorise(self, X: Any, sample: BatchSample | None = None) -> Array:
        """Find and keep the answer; the maps."""
        with waiting("Unmixer", self.progress):
            return self._factorised(X, sample)

    def _factorised(self, X: Any, sample: BatchSample | None) -> Array:
        """The same."""
        share = 1.0 if sample is None else sample.random.share
        data = self._dataset(X, share)
        term = self._fit_term(data)
        warn_if_scaled(X, counts=term.noise == "poisson", share=share, stacklevel=5)
        K = stand_out(data) if self.n_components is None else int(self.n_components)
        loss = Loss([(1.0, term)]) if self.penalty is None else term + self.penalty
        result = fit(
            NMF(data, K),
            loss,
            solver=self.solver,
            starts=self.starts,
            init=self.init,
            seed=self._seed(),
            max_steps=self.max_steps,
            **self._on(),
        )
        C, each = np.nan_to_num(result["C"]).astype(float), None
        if not C.any():
            why = "; ".join(result.messages) or "the likeliest amounts of all components are zero"
            raise ValueError(f"`Unmixer`: {why}.")
        if sample is not None:
            completed = sample.completed(result, K, **self._on())
            if completed is not result:
                rows, each = sample.weighted()
                C = self._maps(rows, torch.from_numpy(completed["S"]).double())
            # maps in the order of batches must not be taken for a picture
            result = replace(completed, factors={"S": completed["S"]}, model=None, structure=None)
        S = np.nan_to_num(result["S"]).astype(float)
        each = np.ones(len(C)) if each is None else each
        self._sample = sample
        self._answer = {
            "components": np.ascontiguousarray(S.T),
            "variance": (((C.T * each) @ C) * (S.T @ S)).sum(0) / each.sum(),
            "result": replace(result, minimised=None),  # which holds the data
        }
        return C

    def _learned(self, X: Array) -> Result | None:
        """A quick fit of some pixels without beliefs, to tell which others stand out of them."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FusionWarning)
                data = self._fit_term(Dataset("data", X)).dataset
                K = stand_out(data) if self.n_components is None else int(self.n_components)
                model, loss = NMF(data, K), Loss([(1.0, self._fit_term(data))])
                quick = {"starts": 1, "max_steps": QUICK, "progress": False}
                return fit(model, loss, seed=self._seed(), **quick, **self._on())
        except ValueError:  # nothing to see in them yet; what is wrong with all is said at the end
            return None

    def _on(self) -> dict[str, Any]:
        """Where fits run."""
        return {"device": self.device, "threads": threads_of("Unmixer", self.n_jobs)}

    def _maps(self, X: Any, S: torch.Tensor) -> Array:
        """The likeliest amounts of pixels with something in them, of empty ones none."""
        empty = np.asarray(abs(X).sum(axis=1)).ravel() == 0
        C = np.zeros((X.shape[0], S.shape[1]))
        if not empty.all():
            term = self._fit_term(Dataset("data", X[~empty]))
            C[~empty] = np.nan_to_num(known_maps([Detector(term, S)], device=self.device).c)
        return C

    def _dataset(self, X: Any, share: float) -> Dataset:
        """The data set of a matrix, as a map where the scan is known."""
        if self.scan is None:
            return Dataset("data", X)
        sizes = tuple(int(n) for n in self.scan)
        if prod(sizes) != X.shape[0] or share < 1:
            raise ValueError(
                f"`Unmixer(scan={self.scan})`: {prod(sizes)} pixels, the data have {X.shape[0]}: "
                "give the shape of the whole map (ny, nx); masked or sampled pixels have no "
                "neighbours: fit a `fusion.Dataset` with a mask instead."
            )
        names = ("z", "y", "x")[-len(sizes) :]
        axes = [Axis(name, size=n) for name, n in zip(names, sizes, strict=True)]
        X = X if hasattr(X, "nnz") else X.reshape(*sizes, -1)
        return Dataset("data", X, axes=[*axes, Axis("channel", size=X.shape[-1])])

    def _fitted(self, key: str) -> Any:
        """Something of the answer, which is found now where batches were taken in."""
        answer, sample = getattr(self, "_answer", None), getattr(self, "_sample", None)
        if answer is None and sample is not None:
            self._factorise(sample.random.rows, sample)
            answer = self._answer
            assert answer is not None
            K, kept = self.n_components, len(answer["components"])
            if K is not None and kept < K:
                warnings.warn(
                    f"`Unmixer`: {kept} of {K} components are left: if this is a lazy "
                    "`s.decomposition`, leave its `output_dimension` out, or its maps come out in "
                    "the wrong order of pixels.",
                    ClaimWarning,
                    stacklevel=3,
                )
        if answer is None:
            raise AttributeError(f"`{type(self).__name__}` has no answer yet: call `fit` first.")
        return answer[key]

    def __sklearn_is_fitted__(self) -> bool:
        return any(getattr(self, name, None) is not None for name in ("_answer", "_sample"))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = self._counting
        return tags
