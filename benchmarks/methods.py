"""The methods that are compared: this software, and its peers at rising efforts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

import fusion as fu
from benchmarks import loops
from benchmarks.loops import Moment
from benchmarks.problems import Core, Counts, Factors, Matrix, Polyadic, Problem

TOLERANCES = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
"""Efforts of this software: the tolerance at which the solver stops."""
ITERATIONS = tuple(2**n for n in range(17))
"""Efforts of those that have no callback."""

PEERS = {"sklearn": "sklearn", "tensorly": "tensorly", "torchnmf": "torchnmf"}
"""Peers that may be missing, with the name they are imported by."""


@dataclass(frozen=True)
class Method:
    """A way to solve a problem.

    Attributes:
        name: in the table.
        peer: by which `--peers` chooses it; "" is this software.
        moments: (problem, seconds granted) → seconds and factors, of rising effort.
    """

    name: str
    peer: str
    moments: Callable[[Any, float], Iterator[Moment]]

    @property
    def missing(self) -> bool:
        """Whether it is not installed."""
        return self.peer in PEERS and find_spec(PEERS[self.peer]) is None


def afresh(
    run: Callable[[Any, Any], Factors], efforts: Sequence[Any]
) -> Callable[[Any, float], Iterator[Moment]]:
    """Every effort run from the start and timed as a whole; the caller ends it."""

    def moments(problem: Problem, limit: float) -> Iterator[Moment]:
        for effort in efforts:
            begun = time.perf_counter()
            factors = run(problem, effort)
            yield time.perf_counter() - begun, factors

    return moments


def sdfusion(problem: Problem, tolerance: float) -> Factors:
    """One start; the data set is made within the time."""
    model, loss = problem.ours()
    kind = fu.RowNewton if isinstance(problem, Counts) else fu.GaussNewton  # what fit picks, too
    solver = kind(tolerance=tolerance)
    result = fu.fit(model, loss, init=[problem.start], starts=1, solver=solver, progress=False)
    return result.factors


def sklearn_nmf(problem: Matrix | Counts, iterations: int, **options: Any) -> Factors:
    """scikit-learn's `NMF` in the precision of the data; `init` "custom" is the common start."""
    from sklearn.decomposition import NMF

    C, S = (problem.start[name].astype(problem.dtype) for name in "CS")
    # tol=0: it stops at max_iter alone
    model = NMF(C.shape[1], tol=0, max_iter=iterations, random_state=0, **options)
    given = {"W": C, "H": np.ascontiguousarray(S.T)} if options["init"] == "custom" else {}
    return {"C": model.fit_transform(problem.X, **given), "S": model.components_.T}


def sklearn_cd(problem: Matrix, iterations: int) -> Factors:
    """Coordinate descent from the common start."""
    return sklearn_nmf(problem, iterations, init="custom", solver="cd")


def sklearn_cd_svd(problem: Matrix, iterations: int) -> Factors:
    """Coordinate descent from scikit-learn's own start, whose time counts."""
    return sklearn_nmf(problem, iterations, init="nndsvda", solver="cd")


def sklearn_mu(problem: Counts, iterations: int) -> Factors:
    """Multiplicative updates of the Kullback–Leibler divergence."""
    return sklearn_nmf(
        problem, iterations, init="custom", solver="mu", beta_loss="kullback-leibler"
    )


def torchnmf_mu(problem: Matrix | Counts, iterations: int) -> Factors:
    """torchnmf's multiplicative updates, on a sparse tensor where the data are sparse."""
    from torchnmf.nmf import NMF

    C, S = (torch.from_numpy(problem.start[name].astype(problem.dtype)) for name in "CS")
    model = NMF(W=S, H=C)
    if isinstance(problem, Counts):
        coo = problem.X.tocoo()
        V = torch.sparse_coo_tensor(np.stack([coo.row, coo.col]), coo.data, coo.shape).coalesce()
    else:
        V = torch.from_numpy(problem.X)
    # tol=-1: it stops at max_iter alone
    model.fit(V, beta=1 if isinstance(problem, Counts) else 2, tol=-1.0, max_iter=iterations)
    return {"C": model.H.detach().numpy(), "S": model.W.detach().numpy()}


def tensorly_hals(problem: Matrix | Polyadic, iterations: int) -> Factors:
    """tensorly's `non_negative_parafac_hals`; a matrix is a tensor of two modes."""
    import tensorly as tl
    from tensorly.decomposition import non_negative_parafac_hals

    factors = [value.astype(problem.dtype) for value in problem.start.values()]
    rank = factors[0].shape[1]
    init = (np.ones(rank, dtype=problem.dtype), factors)
    with tl.backend_context("numpy", local_threadsafe=True):
        weights, factors = non_negative_parafac_hals(
            problem.X, rank, n_iter_max=iterations, init=init, tol=0
        )
    factors[0] = factors[0] * weights
    return dict(zip(problem.start, factors, strict=True))


def tensorly_tucker(problem: Core, iterations: int) -> Factors:
    """tensorly's `non_negative_tucker_hals`."""
    import tensorly as tl
    from tensorly.decomposition import non_negative_tucker_hals

    core, *factors = (value.astype(problem.dtype) for value in problem.start.values())
    with tl.backend_context("numpy", local_threadsafe=True):
        core, factors = non_negative_tucker_hals(
            problem.X, list(core.shape), n_iter_max=iterations, init=(core, factors), tol=0
        )
    return dict(zip(problem.start, [core, *factors], strict=True))


OURS = Method("sdfusion", "", afresh(sdfusion, TOLERANCES))
LOOPS = (Method("Adam, x = a²", "adam", loops.adam), Method("L-BFGS, x = a²", "lbfgs", loops.lbfgs))

FOR_MATRIX = (
    Method("scikit-learn CD", "sklearn", afresh(sklearn_cd, ITERATIONS)),
    Method("scikit-learn CD, nndsvda", "sklearn", afresh(sklearn_cd_svd, ITERATIONS)),
    Method("tensorly HALS", "tensorly", afresh(tensorly_hals, ITERATIONS)),
    Method("torchnmf MU", "torchnmf", afresh(torchnmf_mu, ITERATIONS)),
    *LOOPS,
)
FOR_COUNTS = (
    Method("scikit-learn MU, CSR", "sklearn", afresh(sklearn_mu, ITERATIONS)),
    Method("torchnmf MU, sparse", "torchnmf", afresh(torchnmf_mu, ITERATIONS)),
    *LOOPS,
)
FOR_POLYADIC = (Method("tensorly HALS", "tensorly", afresh(tensorly_hals, ITERATIONS)), *LOOPS)
FOR_CORE = (Method("tensorly HALS", "tensorly", afresh(tensorly_tucker, ITERATIONS)), *LOOPS)
