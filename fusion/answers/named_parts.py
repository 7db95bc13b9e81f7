"""What users ask of a `Result` by name: maps and spectra in their shape, names, an order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fusion.algebra.axes_array import AxesArray
from fusion.algebra.calls import checked_call
from fusion.algebra.words import no_member
from fusion.answers import components, labelled_parts, reordered

if TYPE_CHECKING:
    from fusion.answers.labelled_parts import ByDataset
    from fusion.answers.result import Result


class NamedParts:
    """Members of `Result` about its components, by the names or numbers that everything prints."""

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("factors", ()):
            raise AttributeError(f"factors are asked for by name: `result[{name!r}]`")
        raise no_member(self, "Result", name)

    @property
    def maps(self) -> AxesArray | ByDataset:
        """Maps in the shape of the scan, (y, x, K), with their axes; masked pixels are NaN.

        Where the data sets have maps of their own, C and C + N, or C_a and C_b, a mapping: {data
        set: maps}, each as its detector sees them.

        Raises:
            ValueError: if no factor, nor the sum of two, are the maps, as in a tensor decomposition
                with a factor for every axis.

        Example:
            >>> from fusion.simulate import layers
            >>> data = layers(shape=(8, 10), channels=60).datasets["net"]
            >>> model = fu.models.NMF(data, K=3)
            >>> result = fu.fit(model, fu.losses.Frobenius(data), starts=2, progress=False)
            >>> result.maps.shape, result.spectra.shape
            ((8, 10, 3), (60, 3))
            >>> [axis.name for axis in result.maps.axes]
            ['y', 'x', 'component']
        """
        return labelled_parts.maps(self)  # type: ignore[arg-type]

    @property
    def spectra(self) -> AxesArray | ByDataset:
        """Spectra along the channels, (channel, K), with their axes.

        Where there are several detectors, a mapping: {data set: spectra}.

        Raises:
            ValueError: if no factor, nor the sum of two, are the spectra.
        """
        return labelled_parts.spectra(self)  # type: ignore[arg-type]

    @checked_call
    def map(self, component: int | str, *, data: str | None = None) -> AxesArray:
        """One component's map, of the scan's shape, with its axes.

        Args:
            component: its name, or its number from 1 to K, as pictures and tables have it.
            data: name of the data set, where each has maps of its own.

        Raises:
            ValueError: if there is no such component or data set, or none was named.
        """
        return labelled_parts.one(self, "map", component, data)  # type: ignore[arg-type]

    @checked_call
    def spectrum(self, component: int | str, *, data: str | None = None) -> AxesArray:
        """One component's spectrum, with its axis; `.peak` is where it is highest.

        Args:
            component: its name, or its number from 1 to K, as pictures and tables have it.
            data: name of the data set, where there are several detectors.

        Raises:
            ValueError: if there is no such component or data set, or none was named.
        """
        return labelled_parts.one(self, "spectrum", component, data)  # type: ignore[arg-type]

    @property
    def components(self) -> list[str]:
        """What the components go by: their names; of those without one the number, from 1."""
        return components.names_of(self, components.count(self, "components"))  # type: ignore[arg-type]

    @checked_call
    def renamed(self, names: Mapping[Any, str] | Sequence[str]) -> Result:
        """The same with names for components: `renamed({1: "shell", 2: "core"})`.

        Pictures, reports, tables, files and compositions have them from there on; a name may be in
        any script, and of any length. Components without a name keep their numbers.

        Args:
            names: {number from 1, or name until now: new name}, or a list of one for each.

        Raises:
            ValueError: if a name is no text, is empty, is a number, or two are the same; if there
                is no such component; or if the factors have different numbers of components.

        Example:
            >>> from fusion.simulate import layers
            >>> data = layers(shape=(8, 10), channels=60).datasets["net"]
            >>> model = fu.models.NMF(data, K=3)
            >>> result = fu.fit(model, fu.losses.Frobenius(data), starts=2, progress=False)
            >>> result.renamed({1: "shell"}).components
            ['shell', '2', '3']
        """
        return reordered.renamed(self, names)  # type: ignore[arg-type]

    @checked_call
    def sorted_by(
        self,
        key: Callable[[AxesArray], Any] | Sequence[int | str] | None = None,
        *,
        energy: float | tuple[float | None, float | None] | None = None,
        data: str | None = None,
        reverse: bool = False,
    ) -> Result:
        """The same with its components in another order; names go with them.

        `sorted_by()` puts the one with the most intensity first; `sorted_by(energy=(700, 730))` the
        one with the largest share of its intensity there, `energy=710.0` at that channel;
        `sorted_by([3, 1, 2])` has the order told; `sorted_by(lambda s: s.peak)` that of a number of
        each spectrum, smallest first. Equal ones keep their order.

        Args:
            key: a function of a spectrum (`.peak`, `.axes`, NumPy's methods), or all numbers, or
                names, in the new order.
            energy: a position, or (first, last), along the spectral axis, in its unit; None for
                an end.
            data: name of the data set whose spectra are meant; default: the first that has some.
            reverse: the other way round.

        Raises:
            ValueError: if the order is none, the model gives the places of its components a
                meaning, or the factors have different numbers of components.
        """
        return reordered.sorted_by(self, key, energy, data, reverse)  # type: ignore[arg-type]

    def to_xarray(self) -> Any:
        """Maps and spectra as an xarray `Dataset`: dimensions and coordinates from the axes.

        Variables "maps" and "spectra", with several detectors "maps_eels", "spectra_eels" …; the
        components are a dimension, by name where they have one. `.attrs` has status and formula.

        Raises:
            ImportError: if xarray is not installed (`pip install "sdfusion[xarray]"`).
            ValueError: if the model has no maps and spectra.
        """
        return labelled_parts.to_xarray(self)  # type: ignore[arg-type]
