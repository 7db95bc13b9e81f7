"""One small problem of every kind that the engine treats differently: for precision and device."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch

import fusion as fu
from benchmarks import generators
from fusion.losses import ARD, Frobenius, Poisson, SoftOrthogonality
from fusion.models import CPD, NMF, WithBackground

BENCHMARKED = ["nmf", "sparse counts", "cpd", "tucker", "joint"]
OWN = [
    "dense counts", "masked, weighted", "soft orthogonality", "ARD", "masked tensor", "background",
]  # fmt: skip
LEARNING = ("ARD", "soft orthogonality")
"""What these have learned on the way is in their value, too."""


def benchmark_problem(name: str):
    """(model, loss, start) of a problem of the benchmarks, small."""
    problem = {
        "nmf": lambda: generators.nmf(1024, 96, 3, 0),
        "sparse counts": lambda: generators.poisson(2048, 128, 3, 0, counts=0.2),
        "cpd": lambda: generators.cpd((20, 24, 28), 3, 0),
        "tucker": lambda: generators.tucker((12, 16, 20), (2, 2, 2), 0),
        "joint": lambda: generators.joint(256, (64, 50), 3, 0),
    }[name]()
    return *problem.ours(), problem.start


def counts(shape=(400, 60), K=3, seed=0, scale=40.0):
    rng = np.random.default_rng(seed)
    C, S = rng.random((shape[0], K)) ** 2, rng.random((shape[1], K)) ** 3
    return rng.poisson(scale * C @ S.T).astype(np.float64)


def own_problem(name: str):
    """(model, loss) with what the benchmarks leave out."""
    X = counts()
    if name == "dense counts":
        data = fu.Dataset("a", X)
        return NMF(data, 3), Poisson(data)
    if name == "masked, weighted":
        rng = np.random.default_rng(1)
        data = fu.Dataset("a", X, variance=1 + X, mask=rng.random(X.shape) < 0.05)
        return NMF(data, 3), Frobenius(data)
    if name == "soft orthogonality":
        data = fu.Dataset("a", X)
        return NMF(data, 3), Frobenius(data) + 0.5 * SoftOrthogonality("C")
    if name == "ARD":
        data = fu.Dataset("a", X)
        return NMF(data, 5), Frobenius(data) + ARD("C")
    if name == "masked tensor":
        rng = np.random.default_rng(2)
        T = np.einsum("ik,jk,lk->ijl", *(rng.random((n, 2)) for n in (8, 9, 10)))
        T += 0.01 * rng.standard_normal(T.shape)
        data = fu.Dataset("a", T, mask=rng.random(T.shape) < 0.1)
        return CPD(data, 2), Frobenius(data)
    energy = fu.Axis("energy loss", 1.0, 500.0, units="eV")
    falling = 200 * (energy.offset / (500.0 + np.arange(60))) ** 3
    raw = fu.Dataset("raw", X + falling, axes=(fu.Axis("x", 1.0), energy))
    net = fu.Dataset("net", X, axes=(fu.Axis("x", 1.0), energy))
    return WithBackground(raw, net, 3), Frobenius(raw) + Frobenius(net)


def loss_in_float64(result: fu.Result, loss) -> float:
    """The loss of the answer, on the CPU in float64."""
    with torch.no_grad():
        return float(loss(deepcopy(result.model).to("cpu", torch.float64)))


def fit_options(name: str) -> dict:
    """Of a fit that is compared."""
    return (
        {"init": [benchmark_problem(name)[2]], "starts": 1}
        if name in BENCHMARKED
        else {"starts": 3}
    )


def problem(name: str):
    """(model, loss) of any."""
    return benchmark_problem(name)[:2] if name in BENCHMARKED else own_problem(name)
