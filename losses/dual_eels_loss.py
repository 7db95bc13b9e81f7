"""The loss that goes with `models.DualEELS`."""

from __future__ import annotations

from fusion.algebra.calls import checked_call
from fusion.data.dataset import Dataset, check_dataset
from fusion.language.loss import Loss
from fusion.losses.frobenius import Frobenius
from fusion.losses.learned_smoothness import LearnedSmoothness
from fusion.losses.overlap import Overlap


@checked_call
def dual_eels_loss(core: Dataset, *, overlap: float = 20.0) -> Loss:
    """Frobenius(core) + overlap · Overlap("C") + LearnedSmoothness("S"): what fits `DualEELS`.

    Args:
        core: the core losses of the model, with their variance.
        overlap: weight of what two maps have in one pixel, without unit; between 4 and 100 little
            moves.

    Raises:
        ValueError: if the variance is not known, without which the weight means nothing, or the
            weight is negative.

    Example:
        >>> from fusion.simulate import dual_eels
        >>> core = dual_eels(shape=(6, 8), channels=80).datasets["core"].estimate_variance()
        >>> fu.losses.dual_eels_loss(core)
        Frobenius(core) + 20 * Overlap('C') + LearnedSmoothness('S')
          = ½‖(core − M_core)/σ‖² + 20·Σ_{j<k} Cⱼᵀ Cₖ/c̄² + ½ Σ λₖ‖D² Sₖ‖²
    """
    call = f"dual_eels_loss({check_dataset('dual_eels_loss', core)})"
    if core.variance is None:
        raise ValueError(
            f"`{call}`: the variance of {core.name!r} is not known, and the weights are in units "
            f"of the noise: give `{core.name}.estimate_variance()`."
        )
    if not overlap >= 0:
        raise ValueError(f"`{call}`: overlap={overlap:g}: give 0 or more.")
    fit = Loss([(1.0, Frobenius(core))])
    return (fit + overlap * Overlap("C") if overlap else fit) + LearnedSmoothness("S")
