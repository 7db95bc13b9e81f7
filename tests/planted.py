"""Planted data for the tests: factors with pure rows, so that they are the only answer."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

import fusion as fu
from fusion import losses, models

K = 3
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A model with a loss, and the factors that its data were made of."""

    model: fu.Model
    loss: fu.Loss
    truth: Mapping[str, Array]


def pure(rng: np.random.Generator, n: int, rank: int = K) -> Array:
    """A matrix (n, rank) ≥ 0 with several pure rows of every component, the others mixed."""
    values = rng.random((n, rank)) + 0.1
    for k in range(rank):
        rows = slice(2 * k, 2 * k + 2)
        values[rows] = 0
        values[rows, k] = 1 + rng.random(2)
    return values


def noisy(rng: np.random.Generator, X: Array, noise: float) -> Array:
    """X with Gaussian noise of this share of its root mean square."""
    return X + noise * np.sqrt(np.mean(X**2)) * rng.standard_normal(X.shape)


def unit(values: Array) -> Array:
    return values / np.linalg.norm(values, axis=0)


def angles(found: Array, truth: Array) -> Array:
    """Degrees between matched columns, in the order of the truth."""
    found, truth = (np.asarray(a) / np.linalg.norm(a, axis=0) for a in (found, truth))
    degrees = np.degrees(np.arccos(np.clip(found.T @ truth, -1, 1)))
    i, j = linear_sum_assignment(degrees)
    return degrees[i, j][np.argsort(j)]


def nmf(noise: float) -> Case:
    rng = np.random.default_rng(1)
    C, S = pure(rng, 56), pure(rng, 30)
    data = fu.Dataset("a", noisy(rng, C @ S.T, noise).reshape(7, 8, 30))
    return Case(models.NMF(data, K), losses.Loss([(1.0, losses.Frobenius(data))]), {"C": C, "S": S})


def cpd(noise: float) -> Case:
    rng = np.random.default_rng(2)
    A, B, C = (rng.random((n, K)) for n in (8, 9, 30))
    X = np.einsum("ik,jk,lk->ijl", A, B, C)
    data = fu.Dataset("a", noisy(rng, X, noise))
    loss = losses.Loss([(1.0, losses.Frobenius(data))])
    return Case(models.CPD(data, K), loss, {"A": A, "B": B, "C": C})


def tucker(noise: float) -> Case:
    rng = np.random.default_rng(3)
    A, B, C = pure(rng, 9, 2), pure(rng, 10, 3), pure(rng, 20, 2)
    core = rng.random((2, 3, 2)) * (rng.random((2, 3, 2)) > 0.4)
    X = np.einsum("pqr,ip,jq,lr->ijl", core, A, B, C)
    data = fu.Dataset("a", noisy(rng, X, noise))
    loss = losses.Loss([(1.0, losses.Frobenius(data))])
    return Case(models.Tucker(data, (2, 3, 2)), loss, {"A": A, "B": B, "C": C})


def shared_maps(noise: float) -> Case:
    rng = np.random.default_rng(4)
    C, S1, S2, S3 = (pure(rng, n) for n in (56, 30, 20, 1 + 2 * K))
    S3 = S3[-1:]  # an image
    a = fu.Dataset("a", noisy(rng, C @ S1.T, noise).reshape(7, 8, 30))
    b = fu.Dataset("b c", noisy(rng, C @ S2.T, noise).reshape(7, 8, 20))
    adf = fu.Dataset("adf", noisy(rng, C @ S3.T, noise).reshape(7, 8), signal=0)
    loss = losses.Frobenius(a) + losses.Frobenius(b) + losses.Frobenius(adf)
    return Case(models.SharedMaps(a, b, adf, K=K), loss, {"C": C, "S_a": S1, "S_b_c": S2})


def shared_spectra(noise: float) -> Case:
    rng = np.random.default_rng(5)
    C1, C2, S = pure(rng, 56), pure(rng, 21), pure(rng, 30)
    C2[:, 1] = 0  # absent from the second specimen
    a = fu.Dataset("a", noisy(rng, C1 @ S.T, noise).reshape(7, 8, 30))
    b = fu.Dataset("b", noisy(rng, C2 @ S.T, noise).reshape(3, 7, 30))
    loss = losses.Frobenius(a) + losses.Frobenius(b)
    return Case(models.SharedSpectra(a, b, K=K), loss, {"C_a": C1, "S": S})


def softly_coupled(noise: float) -> Case:
    rng = np.random.default_rng(6)
    C, S1, S2 = (pure(rng, n) for n in (56, 30, 20))
    C = unit(C)
    N = 0.005 * rng.standard_normal(C.shape) * (C > 0)
    a = fu.Dataset("a", noisy(rng, (C + N) @ S1.T, noise).reshape(7, 8, 30))
    b = fu.Dataset("b", noisy(rng, C @ S2.T, noise).reshape(7, 8, 20))
    loss = losses.Frobenius(a) + losses.Frobenius(b) + 1e-4 * losses.SquaredNorm("N", 0.005)
    return Case(models.SoftlyCoupled(a, b, K), loss, {"C": C, "S_a": S1, "S_b": S2})


def with_background(noise: float) -> Case:
    rng = np.random.default_rng(7)
    energy = fu.Axis("energy loss", scale=2.0, offset=100.0, units="eV")
    E = 100 + 2 * np.arange(40)
    C, S = pure(rng, 56), pure(rng, 40)
    C = unit(C)
    N = 3 * np.stack([(E / 100.0) ** -r for r in (2.0, 3.0, 4.0)], 1)
    raw = noisy(rng, C @ (S + N).T, noise).reshape(7, 8, 40)
    net = noisy(rng, C @ S.T, noise).reshape(7, 8, 40)
    raw, net = (fu.Dataset(n, x, axes=("y", "x", energy)) for n, x in (("raw", raw), ("net", net)))
    loss = losses.Frobenius(raw) + losses.Frobenius(net)
    return Case(models.WithBackground(raw, net, K), loss, {"C": C, "S": S, "N": N})


LINEAR = [nmf, cpd, tucker, shared_maps, shared_spectra, softly_coupled]
"""Linear in every factor by itself."""
CASES = [*LINEAR, with_background]
