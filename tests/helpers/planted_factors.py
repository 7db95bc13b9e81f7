"""Planted data for the tests: factors with pure rows, so that they are the only answer."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import fusion as fu
from fusion import losses, models
from fusion.answers.matching import match, spectral_angle

K = 3
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A model with a loss, the factors that its data were made of, and the data without noise."""

    model: fu.Model
    loss: fu.Loss
    truth: Mapping[str, Array]
    clean: Mapping[str, Array]


class Bilinear(fu.Model):
    """X ≈ C Sᵀ with constraints of one's choice."""

    def __init__(self, data, K=K, C=(), S=()):
        super().__init__()
        self.name = data.name
        self.C, self.S = fu.Factor((data.pixels, K), *C), fu.Factor((data.channels, K), *S)

    def forward(self):
        return {self.name: fu.cp(self.C, self.S)}


class Decays(fu.Model):
    """X ≈ C Nᵀ, N power laws: not linear in its unknowns."""

    def __init__(self, data):
        super().__init__()
        energy = fu.Axis("energy", offset=100.0, size=data.shape[-1])
        self.name = data.name
        self.C = fu.Factor((data.pixels, 2))
        self.N = fu.Factor((energy, 2), fu.constraints.PowerLaw(energy))

    def forward(self):
        return {self.name: fu.cp(self.C, self.N)}


def noisy_dataset(rng, name: str, X: Array, noise: float, **options) -> fu.Dataset:
    """X with Gaussian noise of this share of its root mean square."""
    sizes = noise * np.sqrt(np.mean(X**2)) * rng.standard_normal(X.shape)
    return fu.Dataset(name, X + sizes, **options)


def noisy_map(noise=0.02, seed=0):
    """Three components in an 8 × 9 map."""
    rng = np.random.default_rng(seed)
    X = pure(rng, 72) @ pure(rng, 30).T
    X = X + noise * np.sqrt(np.mean(X**2)) * rng.standard_normal(X.shape)
    return fu.Dataset("a", X.reshape(8, 9, 30))


def counts(*shape: int, rank: int = 3, level: float = 5.0, seed: int = 0) -> Array:
    """Poisson counts of a low-rank mean, so many an entry."""
    rng = np.random.default_rng(seed)
    factors = [rng.gamma(0.5, 1, (n, rank)) for n in shape]
    letters = "abcd"[: len(shape)]
    mean = np.einsum(",".join(f"{x}k" for x in letters) + "->" + letters, *factors)
    return rng.poisson(level * mean / mean.mean()).astype(float)


def few_counts(*shape: int) -> Array:
    """Most are zero, and yet there are some for every unknown."""
    rng = np.random.default_rng(3)
    C, S = rng.gamma(0.5, 1, (int(np.prod(shape[:-1])), 3)), rng.gamma(0.05, 1, (shape[-1], 3))
    mean = C @ S.T
    return rng.poisson(mean / mean.mean()).reshape(shape).astype(float)


def pure(rng: np.random.Generator, n: int, rank: int = K) -> Array:
    """A matrix (n, rank) ≥ 0 with several pure rows of every component, the others mixed."""
    values = rng.random((n, rank)) + 0.1
    for k in range(rank):
        rows = slice(2 * k, 2 * k + 2)
        values[rows] = 0
        values[rows, k] = 1 + rng.random(2)
    return values


def unit(values: Array) -> Array:
    return values / np.linalg.norm(values, axis=0)


def angles(found: Array, truth: Array) -> Array:
    """Degrees between matched columns, in the order of the truth."""
    return spectral_angle(found[:, match(truth, found)], truth)


def nearest_angles(found: Array, meant: Array) -> Array:
    """Degrees of every column that is meant from the nearest found."""
    found, meant = (a / np.linalg.norm(a, axis=0) for a in (found, meant))
    return np.degrees(np.arccos(np.clip(found.T @ meant, -1, 1).max(0)))


def nmf(noise: float) -> Case:
    rng = np.random.default_rng(1)
    C, S = pure(rng, 56), pure(rng, 30)
    clean = {"a": (C @ S.T).reshape(7, 8, 30)}
    data = noisy_dataset(rng, "a", clean["a"], noise)
    return Case(models.NMF(data, K), 1.0 * losses.Frobenius(data), {"C": C, "S": S}, clean)


def cpd(noise: float) -> Case:
    rng = np.random.default_rng(2)
    A, B, C = (rng.random((n, K)) for n in (8, 9, 30))
    clean = {"a": np.einsum("ik,jk,lk->ijl", A, B, C)}
    data = noisy_dataset(rng, "a", clean["a"], noise)
    loss = 1.0 * losses.Frobenius(data)
    return Case(models.CPD(data, K), loss, {"A": A, "B": B, "C": C}, clean)


def tucker(noise: float) -> Case:
    """Its factors are not unique: only what they predict is."""
    rng = np.random.default_rng(3)
    A, B, C = rng.random((9, 2)), rng.random((10, 3)), rng.random((20, 2))
    core = rng.random((2, 3, 2))
    clean = {"a": np.einsum("pqr,ip,jq,lr->ijl", core, A, B, C)}
    data = noisy_dataset(rng, "a", clean["a"], noise)
    return Case(models.Tucker(data, (2, 3, 2)), 1.0 * losses.Frobenius(data), {}, clean)


def shared_maps(noise: float) -> Case:
    rng = np.random.default_rng(4)
    C, S1, S2, S3 = pure(rng, 56), pure(rng, 30), pure(rng, 20), rng.random((1, K))
    cubes = {"a": C @ S1.T, "b c": C @ S2.T}
    clean = {n: X.reshape(7, 8, -1) for n, X in cubes.items()} | {"adf": (C @ S3.T).reshape(7, 8)}
    a, b = (noisy_dataset(rng, name, clean[name], noise) for name in ("a", "b c"))
    adf = noisy_dataset(rng, "adf", clean["adf"], noise, signal=0)
    loss = losses.Frobenius(a) + losses.Frobenius(b) + losses.Frobenius(adf)
    truth = {"C": C, "S_a": S1, "S_b_c": S2}
    return Case(models.SharedMaps(a, b, adf, K=K), loss, truth, clean)


def shared_spectra(noise: float) -> Case:
    rng = np.random.default_rng(5)
    C1, C2, S = pure(rng, 56), pure(rng, 21), pure(rng, 30)
    clean = {"a": (C1 @ S.T).reshape(7, 8, 30), "b": (C2 @ S.T).reshape(3, 7, 30)}
    a, b = (noisy_dataset(rng, name, X, noise) for name, X in clean.items())
    loss = losses.Frobenius(a) + losses.Frobenius(b)
    truth = {"C_a": C1, "C_b": C2, "S": S}
    return Case(models.SharedSpectra(a, b, K=K), loss, truth, clean)


def softly_coupled(noise: float) -> Case:
    rng = np.random.default_rng(6)
    C, S1, S2 = unit(pure(rng, 56)), pure(rng, 30), pure(rng, 20)
    N = 0.005 * rng.standard_normal(C.shape) * (C > 0)
    clean = {"a": ((C + N) @ S1.T).reshape(7, 8, 30), "b": (C @ S2.T).reshape(7, 8, 20)}
    a, b = (noisy_dataset(rng, name, X, noise) for name, X in clean.items())
    loss = losses.Frobenius(a) + losses.Frobenius(b) + 1e-4 * losses.SquaredNorm("N", 0.005)
    truth = {"C": C, "S_a": S1, "S_b": S2}
    return Case(models.SoftlyCoupled(a, b, K), loss, truth, clean)


def with_background(noise: float) -> Case:
    rng = np.random.default_rng(7)
    axes = ("y", "x", fu.Axis("energy loss", scale=2.0, offset=100.0, units="eV"))
    E = 100 + 2 * np.arange(40)
    C, S = unit(pure(rng, 56)), pure(rng, 40)
    N = 3 * np.stack([(E / 100.0) ** -r for r in (2.0, 3.0, 4.0)], 1)
    cubes = {"raw": C @ (S + N).T, "net": C @ S.T}
    clean = {name: X.reshape(7, 8, 40) for name, X in cubes.items()}
    raw, net = (noisy_dataset(rng, name, X, noise, axes=axes) for name, X in clean.items())
    loss = losses.Frobenius(raw) + losses.Frobenius(net)
    truth = {"C": C, "S": S, "N": N}
    return Case(models.WithBackground(raw, net, K), loss, truth, clean)


LINEAR = [nmf, cpd, tucker, shared_maps, shared_spectra, softly_coupled]
"""Linear in every factor by itself, with factors that take up the norms of the others."""
CASES = [*LINEAR, with_background]
