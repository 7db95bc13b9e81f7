"""What can be done with a data set before a fit: methods that hand on to `fusion.prepare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fusion.algebra.calls import checked_call
from fusion.algebra.waiting import waiting
from fusion.algebra.words import no_member

if TYPE_CHECKING:
    from fusion.data.dataset import Dataset
    from fusion.prepare.denoise import Scaling


Window = tuple[float | None, float | None]


class Preparing:
    """What can be done with a `Dataset` before it is fitted; the data stay as they are."""

    def __getattr__(self, name: str) -> Any:
        raise no_member(self, "Dataset", name)

    @checked_call
    def crop(self, **ranges: Any) -> Dataset:
        """A part of the data: `crop(energy=(500, 560), y=(None, 20), x=slice(0, 32))`.

        Args:
            ranges: for an axis by its name, (first, last) position in its units, both included
                (`data[…, 90.0:120.0]` leaves the last out), None for the end; or a slice of
                indices. A name may be shortened where it stays unique, and has `_` for a blank:
                `energy` or `energy_loss` for "energy loss". `energy`, `wavelength` and `wavenumber`
                mean the spectral axis of such a unit, whatever it is called.

        Raises:
            ValueError: if there is no such axis, or several, or nothing lies in the range.

        Example:
            >>> from fusion.simulate import layers
            >>> data = layers(shape=(8, 10), channels=60).datasets["net"]
            >>> data.crop(energy_loss=(90, 120), x=slice(2, 8)).history[-1]
            'crop(energy_loss=(90, 120), x=slice(2, 8))'
        """
        from fusion.prepare.crop_bin import crop

        return crop(self, ranges)  # type: ignore[arg-type]

    __iter__ = None  # so that Python does not take `data[0]`, `data[1]` … for it

    @checked_call
    def __getitem__(self, key: Any) -> Dataset:
        """A part of the data: `eels[3, 4]`, `eels[:, 10:20]`, `eels[..., 500.0:600.0]`.

        Axes in the order of the array, energies last. Whole numbers count entries, negative ones
        from the end; floats are positions in the axis' units, rounded to the nearest entry. The
        last is not included (`crop` includes it): both as HyperSpy's `inav[…].isig[…]`. A single
        number takes its axis away: `eels[3, 4]` is a spectrum, `eels[..., 532.0]` an image. Steps
        are whole and positive. Mask and variance come along; what is lazy stays so, and sparse
        counts stay sparse but for a single spectrum or image.

        Raises:
            IndexError: if there are too many parts, or one lies outside its axis.
            TypeError: if one is a text, a list or an array.
            ValueError: if nothing is left.

        Example:
            >>> from fusion.simulate import layers
            >>> data = layers(shape=(8, 10), channels=60).datasets["net"]
            >>> data[2:5, -1].shape
            (3, 60)
            >>> data[..., 90.0:120.0].history[-1]
            '[…, 90.0:120.0]'
        """
        from fusion.prepare.slicing import part_of

        return part_of(self, key)  # type: ignore[arg-type]

    @checked_call
    def sum(self, *axes: str, progress: bool = True) -> Dataset:
        """The sum spectrum, `eels.sum()`; or along axes: `eels.sum("energy loss")` is an image.

        As HyperSpy's, it gives a data set without these axes, `eels.sum().plot()`; that of all
        values is `eels.data.sum()`. Masked, NaN and infinite values are left out; where fewer are
        left than elsewhere, the sum is scaled up as if there were as many. Variances add up. Counts
        stay counts (int64). What is lazy is read now, a block at a time; sums are dense.

        Args:
            axes: names of those that go, as in `crop`; default: all of the pixels.
            progress: whether a line says that it is at work, as in `fit`.

        Raises:
            ValueError: if there is no such axis, or none would be left.

        Example:
            >>> data = fu.Dataset("eels", np.ones((8, 10, 60)), axes=["y", "x", "energy"])
            >>> data.sum().shape, data.sum("energy").shape, data.sum("y", "energy").shape
            ((60,), (8, 10), (10,))
        """
        from fusion.prepare.sums import total

        with waiting("sum", progress):
            return total(self, axes)  # type: ignore[arg-type]

    @checked_call
    def mean(self, *axes: str, progress: bool = True) -> Dataset:
        """The mean spectrum, or means along axes; as `sum`, each over the values that are left.

        Args:
            axes: names of those that go, as in `crop`; default: all of the pixels.
            progress: whether a line says that it is at work, as in `fit`.

        Raises:
            ValueError: if there is no such axis, or none would be left.
        """
        from fusion.prepare.sums import mean

        with waiting("mean", progress):
            return mean(self, axes)  # type: ignore[arg-type]

    @checked_call
    def bin(self, *, progress: bool = True, **factors: int) -> Dataset:
        """Sums of neighbours: `bin(energy=2, y=2, x=2)`. Counts stay counts, variances add up.

        A bin is masked where one of its entries is. Sums of integers are int64.

        Args:
            progress: whether a line says that it is at work, as in `fit`.

        Raises:
            ValueError: if there is no such axis, or a length does not divide.

        Example:
            >>> data = fu.Dataset("eels", np.ones((8, 10, 60)), axes=["y", "x", "energy"])
            >>> data.bin(y=2, x=2, energy=3).shape
            (4, 5, 20)
        """
        from fusion.prepare.crop_bin import bin_by

        with waiting("bin", progress):
            return bin_by(self, factors)  # type: ignore[arg-type]

    @checked_call
    def with_axes(self, **axes: Any) -> Dataset:
        """With another calibration: `with_axes(energy=fu.Axis("energy", 0.01, -0.2, "keV"))`.

        Args:
            axes: for an axis by its name, as in `crop`: the `Axis` that takes its place.

        Raises:
            ValueError: if there is no such axis, or the new one has another length.

        Example:
            >>> data = fu.Dataset("eds", np.ones((8, 10, 60)))
            >>> data.with_axes(channel=fu.Axis("energy", 0.02, units="keV")).axes[-1].label
            'energy (keV)'
        """
        from fusion.prepare.recalibrate import with_axes

        return with_axes(self, axes)  # type: ignore[arg-type]

    @checked_call
    def subtract_background(
        self,
        window: Window,
        model: str = "power law",
        *,
        components: int | None = None,
        progress: bool = True,
    ) -> Dataset:
        """Less a background that is fitted to every spectrum in a window and extrapolated.

        A m E^(−r), or another model, is fitted by maximum likelihood of counts: variance
        proportional to the mean, zero counts and low counts without bias in the window. The
        background falls with energy: where the fit would rise, it is constant. The difference keeps
        its negatives; `history` says how many. Its variance is that of the data before: call
        `estimate_variance` first. The error of the extrapolation differs from pixel to pixel and
        acts as a component of its own; equation (15), `WithBackground`, avoids that.

        Args:
            window: (first, last) energy of the fit, in the axis' unit; (None, None) for all.
            model: "power law", "exponential", or the name of a baseline of the package pybaselines
                ("snip", "asls", "modpoly", …), which reads the whole spectrum in the window.
            components: fit to the data compressed to so many leading components, in units of
                counting noise, so that no pixel's background is ruled by its own noise; what is
                subtracted from is still the data (review, ref. 41). Too few make backgrounds alike.
            progress: whether a line says that it is at work, as in `fit`.

        Raises:
            ValueError: if fewer than three channels lie in the window, an energy is not positive
                (power law), there is no such model, or the components are out of range.

        References:
            Egerton, Electron Energy-Loss Spectroscopy in the Electron Microscope (2011), 4.4.

        Example:
            >>> from fusion.simulate import with_background
            >>> raw = with_background(shape=(8, 10), channels=60).datasets["raw"]
            >>> print(raw.subtract_background((500, 525)).history[-1])
            subtract_background((500, 525), 'power law'): ... of 4800 values negative, lowest ...
        """
        from fusion.prepare.background import subtract_background

        with waiting("subtract_background", progress):
            return subtract_background(self, window, model, components)  # type: ignore[arg-type]

    @checked_call
    def remove_spikes(self, *, threshold: float = 8.0, progress: bool = True) -> Dataset:
        """Cosmic rays and the like, replaced by the median of their neighbours in the spectrum.

        A spike is one or two channels wide, and stands out from its neighbours in the spectrum and
        from the same channel in neighbouring pixels, by more than `threshold` standard deviations
        of the noise at that level: so neither an edge nor a bright particle is one. Of wider ones
        the part that stands out is replaced. `history` says how many. The noise is told by the
        data; sparse counts less a background tell little: give them a `variance` before. Faults of
        a channel in all pixels are left: mask it.

        Args:
            threshold: in standard deviations, > 0.
            progress: whether a line says that it is at work, as in `fit`.

        Raises:
            ValueError: if the threshold is not positive or the data are no spectra.
        """
        from fusion.prepare.spikes import remove_spikes

        with waiting("remove_spikes", progress):
            return remove_spikes(self, threshold)  # type: ignore[arg-type]

    @checked_call
    def align(self, *, shifts: Any = None, progress: bool = True, **window: Window) -> Dataset:
        """Spectra shifted so that a feature lies at one energy in all: `align(energy=(-5, 5))`.

        The drift of every pixel is looked for by `fusion.prepare.drifts`; the feature comes to lie
        where it is in the median pixel. Spectra are moved by linear interpolation, which correlates
        neighbouring channels; those at the ends that not every pixel covers any more are cut off.

        Args:
            shifts: how far every pixel has drifted, instead of looking for it: in channels of these
                data, positive where a feature lies at a higher channel, of the shape of the pixels;
                `fusion.prepare.drifts(low_loss, energy=(-5, 5))` of another detector, times the
                ratio of the channel widths if they differ.
            window: the energies that hold the feature; default: all.
            progress: whether a line says that it is at work, as in `fit`.

        Raises:
            ValueError: if the window is outside the axis or has fewer than eight channels, shows no
                clear feature in half of the pixels, is too narrow for the drift, or if the drift
                leaves nothing.
        """
        from fusion.prepare.energy_drift import align

        with waiting("align", progress):
            return align(self, window, shifts)  # type: ignore[arg-type]

    @checked_call
    def estimate_variance(self, *, progress: bool = True) -> Dataset:
        """With the variance of every entry, as the data tell it.

        Counts have their mean as variance. Else the gain (variance over mean) and the read-out
        noise come from what the significant components leave over. Where values are negative, for
        instance behind a background subtraction, every channel has its own variance.
        One value per pixel times one per channel where that is right to 10 %, as fits are quicker
        with it; else the mean of every entry comes from the components that stand clearly out of
        the noise. `history` says what was found.

        Args:
            progress: whether a line says that it is at work, as in `fit`.

        Warns:
            NoiseWarning: if the noise of neighbouring channels is correlated: a fit then trusts the
                data more than they deserve.
        """
        from fusion.prepare.noise import estimate_variance

        with waiting("estimate_variance", progress):
            return estimate_variance(self)  # type: ignore[arg-type]

    @checked_call
    def denoise(
        self,
        components: int | None = None,
        *,
        scaling: Scaling | None = None,
        progress: bool = True,
    ) -> Dataset:
        """The data as a few principal components have them, without the noise of all others.

        Entries are divided by the size of their noise first, so that none counts more for being
        bright. What is left of the noise is shared by all pixels and channels: read no error bar,
        no noise and no number of components off denoised data; factorise the data as measured.

        Args:
            components: how many; None: all that stand out of the noise so clearly that the data
                are nearer to the truth with them.
            scaling: of `fusion.prepare.denoise`: `Estimated()`, the default, by the variance of the
                data set or the noise that it shows; `KeenanKotula()` for counts; `Unscaled()`.
            progress: whether a line says that it is at work, as in `fit`.

        Raises:
            ValueError: if no component stands out, or the number is out of range.
        """
        from fusion.prepare.denoise import denoise

        with waiting("denoise", progress):
            return denoise(self, components, scaling)  # type: ignore[arg-type]

    @checked_call
    def normalise(self, by: Any = None) -> Dataset:
        """Divided by a number, by a value for every pixel, or by another detector's intensity.

        Args:
            by: a number; an array of the shape of the pixels; a data set of the same pixels, whose
                spectra are summed without what is masked (`eels.normalise(low_loss)`,
                `eels.normalise(eels)`); default: the mean of the data.

        Raises:
            ValueError: if shapes differ or a divisor is not positive.
        """
        from fusion.prepare.normalise import normalise

        return normalise(self, by)  # type: ignore[arg-type]

    @checked_call
    def sample_pixels(self, share: float, *, seed: int = 0) -> Dataset:
        """With all but a share of the pixels masked, as if no more had been scanned.

        Drawn at random from the pixels that are not masked; the others are 0, so that nothing
        reads them. A fit gives maps of what is left, `fill_maps` fills the gaps. `mask` is the
        sampling pattern.

        Args:
            share: above 0, at most 1.
            seed: of the pattern.

        Raises:
            ValueError: if the share is none, or nothing is left.

        References:
            Monier et al., IEEE Trans. Comput. Imaging 4:585 (2018).
        """
        from fusion.prepare.sample import sample_pixels

        return sample_pixels(self, share, seed)  # type: ignore[arg-type]

    @checked_call
    def sample_entries(self, share: float, *, seed: int = 0) -> Dataset:
        """With all but a share of the single values masked and 0: a spectrum has its own gaps.

        Args:
            share: above 0, at most 1.
            seed: of the pattern.

        Raises:
            ValueError: if the share is none, or nothing is left.
        """
        from fusion.prepare.sample import sample_entries

        return sample_entries(self, share, seed)  # type: ignore[arg-type]
