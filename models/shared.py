"""Several data sets that share their maps, or their spectra."""

from fusion.algebra.calls import checked_call, in_call
from fusion.algebra.prediction import Prediction, cp
from fusion.constraints import NonNegative, UnitColumns
from fusion.data.dataset import Dataset
from fusion.language.factor import Factor
from fusion.language.model import Model
from fusion.models.checks import check_axes, check_datasets, check_rank, identifier


class SharedMaps(Model):
    """X_d ≈ C S_dᵀ: several detectors d on one scan see the same maps C (pixel, K).

    The spectra "S_<name>" (channel, K) of the first data set have unit columns, so that C holds its
    amounts and a penalty such as `ARD("C")` has a scale to act on; those of the others are free in
    scale. So the first data set must see every component: put the detector first that does (a
    component absent there is only approached, as C → 0).

    Args:
        datasets: one or more, with equal numbers of pixels along every navigation axis; an image
            counts as one channel.
        K: number of components.

    Raises:
        ValueError: if names or pixels do not fit, or K is below 1 or above the pixels or all
            channels together.

    Example:
        >>> from fusion.simulate import concurrent
        >>> scan = concurrent(shape=(6, 8), channels=60).datasets
        >>> sorted(fu.models.SharedMaps(scan["eels"], scan["edxs"], K=4).factors)
        ['C', 'S_edxs', 'S_eels']
    """

    @checked_call
    def __init__(self, *datasets: Dataset, K: int) -> None:
        super().__init__()
        call = f"SharedMaps({', '.join(map(in_call, datasets))}, K={K!r})"
        check_datasets(call, datasets)
        check_axes(call, datasets, "pixels")
        pixels, channels = datasets[0].matrix_shape[0], sum(d.matrix_shape[1] for d in datasets)
        what = f"{pixels} pixels, {channels} channels in all"
        check_rank(call, K, min(pixels, channels), what)
        self.spectra = {d.name: f"S_{identifier(d.name)}" for d in datasets}
        self.interchangeable = ("C", *self.spectra.values())
        self.C = Factor((datasets[0].pixels, K), NonNegative())
        for data in datasets:
            scale = [UnitColumns()] if data is datasets[0] else []
            setattr(
                self, self.spectra[data.name], Factor((data.channels, K), NonNegative(), *scale)
            )

    def forward(self) -> dict[str, Prediction]:
        return {data: cp(self.C, getattr(self, name)) for data, name in self.spectra.items()}


class SharedSpectra(Model):
    """X_d ≈ C_d Sᵀ: several scans d of one detector share the spectra S (channel, K).

    S has unit columns; the maps "C_<name>" (pixel, K) hold the amounts of their own data set, which
    may be zero.

    Args:
        datasets: one or more, with equal numbers of channels along every signal axis; their pixels
            may differ.
        K: number of components.

    Raises:
        ValueError: if names or channels do not fit, or K is below 1 or above the channels or all
            pixels together.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> a = fu.Dataset("a", rng.random((4, 6, 50)))
        >>> b = fu.Dataset("b", rng.random((7, 5, 50)))
        >>> sorted(fu.models.SharedSpectra(a, b, K=3).factors)
        ['C_a', 'C_b', 'S']
    """

    @checked_call
    def __init__(self, *datasets: Dataset, K: int) -> None:
        super().__init__()
        call = f"SharedSpectra({', '.join(map(in_call, datasets))}, K={K!r})"
        check_datasets(call, datasets)
        check_axes(call, datasets, "channels")
        pixels, channels = sum(d.matrix_shape[0] for d in datasets), datasets[0].matrix_shape[1]
        what = f"{channels} channels, {pixels} pixels in all"
        check_rank(call, K, min(pixels, channels), what)
        self.maps = {d.name: f"C_{identifier(d.name)}" for d in datasets}
        self.interchangeable = (*self.maps.values(), "S")
        for data in datasets:
            setattr(self, self.maps[data.name], Factor((data.pixels, K), NonNegative()))
        self.S = Factor((datasets[0].channels, K), NonNegative(), UnitColumns())

    def forward(self) -> dict[str, Prediction]:
        return {data: cp(getattr(self, name), self.S) for data, name in self.maps.items()}
