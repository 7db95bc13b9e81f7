"""Criteria that fit: surplus components that switch off, answers that depend on the start."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from fusion.answers.matching import match, spectral_angle
from fusion.data.dataset import Dataset
from fusion.engine.autograd import autograd
from fusion.engine.objective import Objective
from fusion.prepare.noise import Noise
from fusion.ranking.criterion import Criterion, integers
from fusion.search.initialisation import Random
from fusion.solvers import GaussNewton, Watch

STEPS = 40  # of a fit
ALIKE = 10.0  # degrees: a spectrum that comes back within it is the same
STARTS = 4
SETTLED = 1e-7  # relative change of the loss at which they end


def in_units_of_noise(noise: Noise) -> Dataset:
    """The data as the singular values read them: of noise 1, neighbours summed as far as needed.

    Least squares of them is the misfit in units of the noise, as a product of a variance of every
    pixel and one of every channel, and is compressed as it is: no pass over all data is left.
    """
    return Dataset("scaled", noise.scree.scaled, variance=1.0, signal=1)


def ard(data: Dataset, most: int, *, seed: int = 0) -> Criterion:
    """Components that are left of `most` under a prior that switches off what is not needed.

    Review, figs 4 and 5; see `fusion.losses.ARD`.
    """
    from fusion.losses import ARD, Frobenius
    from fusion.models import NMF
    from fusion.search.fit import fit_whole

    result = fit_whole(
        NMF(data, most), Frobenius(data) + ARD("C"), starts=2, seed=seed, progress=False,
    )  # fmt: skip
    size = np.linalg.norm(result["C"], axis=0) * np.linalg.norm(result["S"], axis=0)
    order = np.sort(size)[::-1]
    curve = np.zeros(most)
    curve[: len(order)] = order / max(float(order.max()), 1e-300)
    chosen = int((curve > 0).sum())
    said = f"{chosen} of {most} components are left on."
    return Criterion("ARD", "size of the component", integers(1, most), curve, chosen, said)


def stability(data: Dataset, numbers: Iterable[int], *, seed: int = 0) -> Criterion:
    """How far the spectra of an NMF differ from start to start: median of the worst angle.

    The largest K whose answer comes back from random starts. More components than there are, or an
    answer that is not unique, differ from start to start.

    References:
        Brunet et al., PNAS 101:4164 (2004), for the idea.
    """
    tried = sorted({int(K) for K in numbers if K >= 1})
    curve = np.array([_worst_angle(data, K, seed) for K in tried])
    good = [K for K, angle in zip(tried, curve, strict=True) if angle < ALIKE]
    chosen = max(good) if good else None
    said = f"spectra come back within {ALIKE:g}° from every second start for K = "
    said += f"{', '.join(str(K) for K in good)}."
    if chosen is None:
        said = "no K gives the same spectra from every second start."
    return Criterion(
        "stability", "angle between starts (°)", np.array(tried), curve, chosen, said, line=ALIKE
    )


@autograd()
def _worst_angle(data: Dataset, K: int, seed: int) -> float:
    """Median over the starts of the largest angle of a spectrum to that of the best start.

    All starts go down together, as no answer is needed of any but its spectra.
    """
    from fusion.losses import Frobenius
    from fusion.models import NMF

    model, loss = NMF(data, K).double(), 1.0 * Frobenius(data)
    with torch.no_grad():
        objective = Objective(model, loss.compressed(model) or loss)
    flat = Random().starts(objective, STARTS, seed)
    outcome = GaussNewton(tolerance=SETTLED).minimise(objective, flat, Watch(), STEPS)
    spectra = objective.values(outcome.flat)["S"].cpu().numpy()
    best = spectra[outcome.best()]
    others = np.delete(spectra, outcome.best(), axis=0)
    worst = [float(spectral_angle(S[:, match(best, S)], best).max()) for S in others]
    return float(np.median(worst))
