"""Rows beside another program, on draws from the truth, on few counts, and of `convolve` alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch

import fusion as fu
from benchmarks.science.eels_cases import (
    SEED,
    Array,
    Measured,
    Pair,
    Runs,
    fitted,
    model_of,
    said_angles,
)
from benchmarks.science.line import angles
from fusion.answers.matching import match
from fusion.losses import Frobenius, SoftOrthogonality

BEFORE = (480.0, 520.0)
"""eV, the window before the first edge."""
WEIGHTS = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
"""Of soft orthogonality, of which the best is taken."""
INTERVAL = 1.96


def fourier_ratio(runs: Runs) -> Measured:
    """Every pixel deconvolved by eXSpy, then NMF at the weight that is best by the truth."""
    if find_spec("exspy") is None:
        return "not run: pip install exspy hyperspy", None
    pair, ours = runs.fine, angles(runs.default["S"], runs.fine.S)
    single = _deconvolved(pair)
    tried = []
    for weight in WEIGHTS:
        loss = Frobenius(single) + weight * SoftOrthogonality("C")
        result = fu.fit(fu.models.NMF(single, 3), loss, starts=4, progress=False)
        tried.append(angles(result["S"], pair.S))
    best = min(tried, key=lambda found: found.max())
    said = f"ours {said_angles(ours)}, theirs {said_angles(best)} (weight 0: "
    return f"{said}{said_angles(tried[0])})", bool((ours < best).all())


def _deconvolved(pair: Pair) -> fu.Dataset:
    """The core loss without background, by eXSpy's Fourier ratio with its defaults."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = pair.core.subtract_background(BEFORE, components=6).to_hyperspy()
        low = pair.low.to_hyperspy()
        net, low = (signal.as_signal1D(-1) for signal in (net, low))
        for signal in (net, low):
            signal.set_signal_type("EELS")
            signal.change_dtype("float64")
        made = net.fourier_ratio_deconvolution(low)
    return fu.Dataset("single", np.asarray(made.data), axes=pair.core.axes)


def coverage(runs: Runs) -> Measured:
    """Intervals of the spectra that hold the truth, of entries that are not at zero."""
    inside = [_inside(pair) for pair in map(runs_drawn(runs), range(runs.draws))]
    each = np.nanmean(np.concatenate(inside), 0)
    mean = float(np.mean(each))
    said = f"{100 * mean:.1f} % ({' / '.join(f'{100 * share:.0f}' for share in each)})"
    return said, 0.90 <= mean <= 0.98 and bool(each.min() >= 0.88)


def runs_drawn(runs: Runs) -> Callable[[int], Pair]:
    """What draws a pair at 1 eV, of the low loss as it is known and the true spectra and maps."""
    coarse, file = runs.coarse, runs.file
    model = model_of(coarse)
    gain, readout = float(file["gain"]), float(file["readout"])
    model.S, model.C = torch.from_numpy(coarse.S), torch.from_numpy(coarse.C)
    expected = model.predict()["core"].dense().detach().numpy()

    def draw(number: int) -> Pair:
        rng = np.random.default_rng([SEED, number])
        core = gain * rng.poisson(np.maximum(expected, 0) / gain)
        core = core + rng.normal(0, np.sqrt(2) * readout, core.shape)
        data = coarse.core.derive(core.reshape(coarse.core.shape), "drawn")
        low = gain * rng.poisson(file["low"] / gain)
        return Pair(data, coarse.low.derive(low, "drawn"), coarse.S, coarse.C, coarse.t)

    return draw


def _inside(pair: Pair) -> Array:
    """(channel, component) 1 where the interval holds the truth, NaN where an entry is at 0."""
    result = fitted(pair, starts=1)
    order = match(pair.S, result["S"])
    S, error = result["S"][:, order], result.errors(progress=False)["S"][:, order]
    held = np.abs(S - pair.S) <= INTERVAL * error
    return np.where(error > 0, held.astype(float), np.nan)


def tenth(runs: Runs) -> Measured:
    """A tenth of the core dose: the answer is right, or a caution says that it is not known."""
    file, gain = runs.file, float(runs.file["gain"])
    counts = np.maximum(np.rint(file["core"] / gain), 0).astype(int)
    thinned = gain * np.random.default_rng(SEED).binomial(counts, 0.1)
    pair = runs.pair(thinned, file["low"], binned=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = fitted(pair)
    found = angles(result["S"], pair.S)
    told = [str(w.message) for w in caught if issubclass(w.category, fu.ClaimWarning)]
    said = f"{said_angles(found)}; cautions: {len(told)}"
    return said, bool((found <= 4).all()) or bool(told)


def convolve(runs: Runs) -> Measured:
    """Value, gradient and curvature product beside those of a dense matrix."""
    rng, worst = np.random.default_rng(SEED), 0.0
    for n, losses, zero in ((480, 480, 40), (479, 700, 0), (240, 61, 5)):
        S = torch.from_numpy(rng.standard_normal((n, 3))).requires_grad_()
        D = torch.from_numpy(rng.random((losses, 4)) / losses)
        w = torch.from_numpy(rng.standard_normal((n, 12)))
        lag = torch.arange(n)[:, None] - torch.arange(n) + zero
        T = torch.where((lag >= 0) & (lag < losses), D.T[:, lag.clamp(0, losses - 1)], 0)
        both = fu.convolve(S, D, zero=zero), (T @ S).movedim(0, 1).flatten(1)
        pairs = [both, tuple(torch.autograd.grad(made, S, w)[0] for made in both)]
        fast = fu.convolve(S.detach(), D, zero=zero)
        pulled = torch.autograd.grad(fu.convolve(S, D, zero=zero), S, fast)[0]
        shaped = fast.reshape(n, 4, 3).movedim(1, 0)
        pairs.append((pulled, (T.mT @ shaped).sum(0)))
        off = [((a - b).abs().max() / b.abs().max()).detach() for a, b in pairs]
        worst = max(worst, *map(float, off))
    return f"{worst:.1e}", worst <= 1e-10
