"""Non-negative matrix factorisation."""

from fusion.algebra.calls import checked_call
from fusion.algebra.prediction import Prediction, cp
from fusion.constraints import NonNegative, UnitColumns
from fusion.data.dataset import Dataset, check_dataset
from fusion.language.factor import Factor
from fusion.language.model import Model
from fusion.models.checks import check_rank


class NMF(Model):
    """X ≈ C Sᵀ: maps C (pixel, K) and spectra S (channel, K). Review, eqs (2), (3).

    The maps hold the amount, the spectra have unit columns.

    Args:
        data: the data set; of any number of axes, compared as (pixel, channel).
        K: number of components.

    Raises:
        ValueError: if K is below 1 or above the smaller dimension.

    Example:
        >>> from fusion.simulate import layers
        >>> data = layers(shape=(8, 10), channels=60).datasets["net"]
        >>> model = fu.models.NMF(data, K=3)
        >>> result = fu.fit(model, fu.losses.Frobenius(data), starts=2, progress=False)
        >>> np.linalg.norm(result["S"], axis=0).round(6).tolist()
        [1.0, 1.0, 1.0]
    """

    interchangeable = ("C", "S")
    structure = ("cp", ("C", "S"))

    @checked_call
    def __init__(self, data: Dataset, K: int) -> None:
        super().__init__()
        shape = check_dataset("NMF(…)", data).matrix_shape
        what = f"the data are {shape} (pixel, channel)"
        check_rank(f"NMF({data}, K={K!r})", K, min(shape), what)
        self.data_name = data.name
        self.C = Factor((data.pixels, K), NonNegative())
        self.S = Factor((data.channels, K), NonNegative(), UnitColumns())

    def forward(self) -> dict[str, Prediction]:
        return {self.data_name: cp(self.C, self.S)}
