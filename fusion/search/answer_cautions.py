"""What a user should know of an answer before it is believed, raised at the end of a fit."""

from __future__ import annotations

import warnings

import torch

from fusion.algebra.cautions import ClaimWarning, NoiseWarning, users_line
from fusion.answers.near_spectra import near_spectra
from fusion.answers.result import Result
from fusion.answers.single_lines import single_lines
from fusion.engine.status import Status
from fusion.language.loss import Loss

ENOUGH, STILL = 20, 1e-5
"""Steps, and the share of what is left by which the last lowered it, at which little is to be
found: the status tells that it was stopped, and no caution is raised."""
EXACT = 1e-12
"""Share of the data's squares that may be left where a fit is exact."""
USUAL = "20 to 130"
"""Steps that a start takes to converge."""
MISFIT = 3.0
"""χ² per value from which it is told."""
MET = 1e-6
"""χ² per value below which data are met with all their noise."""


def raise_cautions(result: Result, loss: Loss, *, stopped: bool) -> None:
    """All of them.

    Args:
        result: with its model; loss: that was minimised.
        stopped: whether it was meant to end where it did, by Ctrl-C or at no step.
    """
    assert result.model is not None
    nothing, near = _predicts_nothing(result), near_spectra(result.model, loss)
    if near:
        warnings.warn(near, ClaimWarning, stacklevel=users_line())
    if alone := single_lines(result.model, loss):
        warnings.warn(alone, ClaimWarning, stacklevel=users_line())
    if not result.converged and not stopped:
        _warn_of_no_answer(result, loss)
    if nothing:
        _warn_of_nothing()
    else:
        _warn_of_misfits(result)


def _warn_of_no_answer(result: Result, minimised: Loss) -> None:
    """Say how far a fit has come that was stopped well before it converged."""
    loss = result.history["loss"]
    made = len(loss) - 1
    exact = all(data.explained_variance > 1 - EXACT for data in result.data.values())
    if exact and len(minimised.fits) == len(minimised.terms):
        result.messages.append("exact: nothing is left of the data but rounding")
        return
    fall = (loss[-2] - loss[-1]) / max(result.left_over(), 1e-300) if made else float("inf")
    if result.status == Status.MAX_STEPS.value and made >= ENOUGH and abs(fall) < STILL:
        return
    last = f", the last of which lowered the loss by {fall:.2g} of what is left" if made else ""
    last = ", and nothing is left of the data but rounding" if exact else last
    warnings.warn(
        f"`fit`: {made} step{'s' * (made != 1)} of the best start{last}; {USUAL} are usual: this "
        "is not an answer yet. Go on with `fu.fit(model, loss, init=result, starts=1)`.",
        ClaimWarning,
        stacklevel=users_line(),
    )


def _predicts_nothing(result: Result) -> bool:
    """Whether the answer is 0 everywhere."""
    assert result.model is not None
    with torch.no_grad(), result.model.once():
        predictions = [M.map(torch.Tensor.double) for M in result.model.predict().values()]
        return sum(float(M.inner(M)) for M in predictions) == 0


def _warn_of_misfits(result: Result) -> None:
    """Say where far more is left of the data than their noise, or more than there was."""
    for name, data in result.data.items():
        if data.explained_variance < 0:
            warnings.warn(
                f"`fit`: of {name!r} more is left than there was (explained variance "
                f"{100 * data.explained_variance:.3g} %): a penalty or another data set outweighs "
                "it: lower that weight.",
                ClaimWarning,
                stacklevel=users_line(),
            )
        elif data.chi2 is not None and data.chi2 < MET:
            warnings.warn(
                f"`fit`: {name!r} is met exactly, noise and all (χ² per value {data.chi2:.2g}, "
                "where noise leaves 1): there are as many unknowns as values, so the fit tells "
                "nothing of its own errors: fewer components, more pixels, or a spectrum that is "
                "known.",
                ClaimWarning,
                stacklevel=users_line(),
            )
        elif data.chi2 is not None and data.chi2 > MISFIT:
            warnings.warn(
                f"`fit`: χ² per value of {name!r} is {data.chi2:.3g}, where noise as it is assumed "
                "leaves 1: components are missing, a penalty or another data set outweighs it, or "
                "the noise is larger; data with a gain are no counts: `Frobenius` after "
                "`estimate_variance()`.",
                NoiseWarning,
                stacklevel=users_line(),
            )


def _warn_of_nothing() -> None:
    """Say that no factor is left to predict anything: the end of a penalty, or of a poor start."""
    warnings.warn(
        "`fit`: the answer predicts 0 everywhere. That is right where the data are below 0 or a "
        "penalty outweighs them; else the descent has lost all components: try another `seed`, "
        "`init` or solver.",
        ClaimWarning,
        stacklevel=users_line(),
    )
