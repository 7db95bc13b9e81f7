"""Spectra on a background that is a part of the model."""

from fusion.algebra.calls import checked_call
from fusion.algebra.prediction import Prediction, cp
from fusion.constraints import Constraint, NonNegative, PowerLaw, UnitColumns
from fusion.data.dataset import Dataset
from fusion.language.factor import Factor
from fusion.language.model import Model
from fusion.models.checks import check_axes, check_datasets, check_rank


class WithBackground(Model):
    """Raw ≈ C (S + N)ᵀ, net ≈ C Sᵀ: a background N under every spectrum. Review, eq. (15).

    The maps C (pixel, K) have unit columns; S and N (channel, K) hold the amounts, in counts.
    `net`, the data less a background that was extrapolated pixel by pixel, tells S from N; it keeps
    its negatives. Without it S and N are told apart by their constraints alone.

    Args:
        raw: the data as measured.
        net: the data after subtraction, of the same shape; None if there are none.
        K: number of components.
        background: what is known of N; default `PowerLaw(raw.channels)`.

    Raises:
        ValueError: if the data sets do not fit each other, K is below 1 or above the smaller
            dimension, or an energy is not positive (`PowerLaw`).

    Example:
        >>> from fusion.losses import Frobenius
        >>> from fusion.simulate import with_background
        >>> scan = with_background(shape=(8, 10), channels=60).datasets
        >>> model = fu.models.WithBackground(scan["raw"], scan["net"], K=2)
        >>> loss = Frobenius(scan["raw"]) + 0.05 * Frobenius(scan["net"])
        >>> fu.fit(model, loss, starts=2, max_steps=20, progress=False)["N"].shape
        (60, 2)
    """

    interchangeable = ("C", "S", "N")

    @checked_call
    def __init__(
        self, raw: Dataset, net: Dataset | None, K: int, *, background: Constraint | None = None
    ) -> None:
        super().__init__()
        call = f"WithBackground({raw}, {net}, {K})"
        datasets = [raw] if net is None else [raw, net]
        check_datasets(call, datasets)
        check_axes(call, datasets, "pixels")
        check_axes(call, datasets, "channels")
        what = f"{raw.name!r} is {raw.matrix_shape} (pixel, channel)"
        check_rank(call, K, min(raw.matrix_shape), what)
        self.raw_name, self.net_name = raw.name, None if net is None else net.name
        self.C = Factor((raw.pixels, K), NonNegative(), UnitColumns())
        self.S = Factor((raw.channels, K), NonNegative())
        background = PowerLaw(raw.channels) if background is None else background
        self.N = Factor((raw.channels, K), background)

    def forward(self) -> dict[str, Prediction]:
        predictions = {self.raw_name: cp(self.C, self.S + self.N)}
        if self.net_name is not None:
            predictions[self.net_name] = cp(self.C, self.S)
        return predictions
