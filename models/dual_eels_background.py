"""The background of core losses with plural scattering: power laws, and options that mean them."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np
import torch
from torch import Tensor

from fusion.models.dual_eels_input import Array, Bools, CoreLoss
from fusion.models.plural import MOST, Kernels
from fusion.prepare.first_onset import first_onset, power_laws

MOST_LAWS, HIGHEST, NEAREST_LAWS = 4, 8.0, 0.05
"""Power laws at most, their steepest, and how far apart they are at least."""


def background_laws(
    call: str, core: CoreLoss, used: Bools, exponents: tuple[float, ...], onset: float | None
) -> tuple[Tensor, int]:
    """(power laws (channel, law), first channel of the edges).

    Raises:
        ValueError: if there is no edge, or the onset is not on the axis.
    """
    energies = core.axis.values
    ends = f"from {energies[0]:g} to {energies[-1]:g} eV"
    if onset is None:
        mean = core.spectra[torch.from_numpy(used)].mean(0).numpy()
        first = first_onset(energies, mean, exponents)
        if first is None:
            raise ValueError(
                f"`{call}`: no edge rises above the background {ends}: give `onset=`, in eV."
            )
    else:
        first = int(np.searchsorted(energies, onset - core.axis.scale / 2))
    if onset is not None and not energies[0] <= onset < energies[-1]:
        raise ValueError(f"`{call}`: onset={onset:g} eV: the core loss runs {ends}.")
    return torch.from_numpy(power_laws(energies, exponents)), first


def scattered_laws(
    energies: Array, exponents: tuple[float, ...], kernels: Kernels, used: Bools
) -> Tensor:
    """Power laws after the mean plural scattering, (channel, law), of 1 at their largest.

    They go on below the first energy, from where electrons are scattered into the range: down to
    half of it, and as high as there below.
    """
    h = (kernels.B[used] @ kernels.D.T).mean(0)
    step, reach = energies[1] - energies[0], len(h) - 1
    below = energies[0] - step * np.arange(reach, 0, -1)
    whole = np.concatenate([np.maximum(below, energies[0] / 2), energies])
    laws = np.stack(
        [
            np.convolve(h, law)[reach : reach + len(energies)]
            for law in power_laws(whole, exponents).T
        ],
        1,
    )
    return torch.from_numpy(laws / laws.max(0))


def orthonormal(laws: Tensor, weights: Tensor) -> Tensor:
    """The same span, orthonormal under the weights of the channels; the first of them positive."""
    root = weights.sqrt()[:, None]
    upper = torch.linalg.qr(root * laws)[1]
    return laws @ torch.linalg.inv(upper * upper.diagonal().sign()[:, None])


def check_options(call: str, exponents: object, onset: object, rank: object) -> tuple[float, ...]:
    """The exponents, all options checked.

    Raises:
        ValueError: if one is none that means anything.
    """
    given = exponents if isinstance(exponents, Sequence | np.ndarray) else (exponents,)
    laws = tuple(float(r) if isinstance(r, Real) else float("nan") for r in given)
    apart = np.diff(np.sort(laws))
    if not 1 <= len(laws) <= MOST_LAWS or not all(0 < r < HIGHEST for r in laws):
        raise ValueError(
            f"`{call}`: exponents={exponents!r}: give one to {MOST_LAWS} numbers above 0, below "
            f"{HIGHEST:g}, as (2.6, 3.4)."
        )
    if apart.size and apart.min() < NEAREST_LAWS:
        raise ValueError(
            f"`{call}`: exponents={exponents!r}: two are nearer than {NEAREST_LAWS:g} and cannot "
            "be told apart: as (2.6, 3.4)."
        )
    if onset is not None and not isinstance(onset, Real):
        raise ValueError(f"`{call}`: onset={onset!r}: give it in eV, `onset=525.0`.")
    if rank is not None and (not isinstance(rank, Integral) or rank < 1):
        raise ValueError(f"`{call}`: rank={rank!r}: give a number of kernels, 1 to {MOST}.")
    return laws
