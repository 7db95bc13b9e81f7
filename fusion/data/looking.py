"""What can be told of a data set, drawn, and written: methods that hand on to higher rooms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fusion.algebra.calls import checked_call
from fusion.algebra.waiting import waiting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from fusion.prepare.noise import Noise


class Looking:
    """What can be told of a `Dataset`, drawn, and written to a file."""

    @checked_call
    def noise(self, *, progress: bool = True) -> Noise:
        """The noise as the data tell it, the scree, and how many components stand out of it.

        Args:
            progress: whether a line says that it is at work, as in `fit`.
        """
        from fusion.prepare.noise import measure

        with waiting("noise", progress):
            return measure(self)  # type: ignore[arg-type]

    @checked_call
    def summary(self, *, progress: bool = True) -> str:
        """What is in the data: axes, values, zeros, negatives, noise, scree, advice on K.

        Args:
            progress: whether a line says that it is at work, as in `fit`.
        """
        from fusion.prepare.inspection import inspect

        with waiting("summary", progress):
            return str(inspect(self))  # type: ignore[arg-type]

    def to_hyperspy(self) -> Any:
        """A HyperSpy signal of its kind (EELSSpectrum, EDSTEMSpectrum …; eXSpy, LumiSpy have them).

        Axes, units, metadata and title come along, lazy stays lazy. A variance is HyperSpy's
        `get_noise_variance()`; the mask, for which HyperSpy has no place, and the history are in
        `metadata.sdfusion`, and `Dataset.from_hyperspy` takes them back.

        Raises:
            ImportError: if HyperSpy is not installed.
            ValueError: if the data are sparse.
        """
        from fusion.signals.dataset_to_hyperspy import dataset_to_hyperspy

        return dataset_to_hyperspy(self)  # type: ignore[arg-type]

    def save(self, path: Any, *, progress: bool = True) -> Path:
        """Write to a file, whole or not at all, of the kind that the ending says.

        "data.hspy" and "data.zspy" hold all of it, as HyperSpy reads it. "data.npz" the array by
        its name with energies, pixels, mask and variance, without metadata. "image.tif" an image
        or a stack with scale and unit. "spectrum.msa" one spectrum, in six significant digits where
        they are no whole numbers. "data.npy" the array alone. A `CutWarning` says what is lost.

        Args:
            path: of the file; ".npz" is added where the ending is none of these.
            progress: whether a line says that it is at work, as in `fit`.

        Returns:
            The file that was written; `fusion.load` reads it.

        Raises:
            ValueError: if such a file cannot hold the data, they are sparse, or a package is not
                installed (`pip install "sdfusion[io]"`).
            OSError: if the folder cannot be written.
        """
        from fusion.files.dataset_export import save_dataset

        with waiting("save", progress):
            return save_dataset(self, path)  # type: ignore[arg-type]

    @checked_call
    def plot(
        self,
        *,
        noise: Noise | None = None,
        elements: str | Sequence[str] = (),
        figure: Any = None,
    ) -> Figure:
        """Total map, mean spectrum, and the scree; see `fusion.plots.plot_dataset`.

        Args:
            noise: what `noise()` gave, where it is known already.
            elements: whose lines or edges are named on the spectrum: ["Mn", "O"].
            figure: a matplotlib figure, or part of one, to draw into.
        """
        from fusion.plots import plot_dataset

        return plot_dataset(self, noise=noise, elements=elements, figure=figure)  # type: ignore[arg-type]
