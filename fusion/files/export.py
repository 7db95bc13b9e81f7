"""Results as files of other programs: hspy, zspy, msa, tif through RosettaSciIO; csv."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fusion._version import __version__
from fusion.axis import Axes, Axis
from fusion.files.calibration import slug

if TYPE_CHECKING:
    from fusion.result import Result

Array = NDArray[Any]
Signal = dict[str, Any]

CARRIED = ("Acquisition_instrument", "Sample")
"""Of the metadata of the data: what holds for a spectrum of a component, too."""


def signals(result: Result) -> list[Signal]:
    """The factors as RosettaSciIO's dictionaries, which HyperSpy reads as signals.

    Spectra are (component | energy), EELS by an axis in eV or of a loss, EDS by one in keV; maps
    (component | x, y) with their calibration; what runs along neither, (component | index).
    """
    return [_signal(result, name) for name, F in result.factors.items() if F.ndim == 2]


def hspy(result: Result, path: Path) -> list[Path]:
    """All factors in one hspy file, a signal each."""
    import h5py

    with _finished(path) as made, h5py.File(made, "w") as file:
        for i, signal in enumerate(signals(result)):
            part = made.with_name(f"{i}.hspy")
            _write("hspy", part, signal)
            with h5py.File(part, "r") as other:
                for key, value in other.attrs.items():
                    file.attrs[key] = value
                other.copy(f"Experiments/{signal['metadata']['General']['title']}", _held(file))
    return [path]


def _held(file: Any) -> Any:
    return file.require_group("Experiments")


def zspy(result: Result, path: Path) -> list[Path]:
    """All factors in one zspy folder, a signal each."""
    import zarr

    with _finished(path) as made:
        for i, signal in enumerate(signals(result)):
            part = made.with_name(f"{i}.zspy")
            _write("zspy", part, signal)
            if not made.exists():
                part.rename(made)
                continue
            for folder in (part / "Experiments").iterdir():
                if folder.is_dir():
                    folder.rename(made / "Experiments" / folder.name)
        zarr.consolidate_metadata(str(made))  # pyright: ignore[reportArgumentType]
    return [path]


def msa(result: Result, path: Path) -> list[Path]:
    """Every spectrum in an msa file of its own, "answer_S_1.msa"."""
    made = []
    for name in _spectra(result):
        whole = _signal(result, name)
        axis = whole["axes"][-1]
        if "scale" not in axis:
            raise ValueError(
                f"`save({str(path)!r})`: the energies of {name} are not even, and msa knows scale "
                "and offset alone: save as csv or hspy."
            )
        for k, spectrum in enumerate(whole["data"]):
            told = {**whole["metadata"], "General": {"title": f"{slug(name)} {k + 1}"}}
            single = whole | {"data": spectrum, "axes": [axis | {"index_in_array": 0}]}
            out = path.with_name(f"{path.stem}_{slug(name) or 's'}_{k + 1}{path.suffix}")
            with _finished(out) as part:
                _write("msa", part, single | {"metadata": told})
            made.append(out)
    return made


def tif(result: Result, path: Path) -> list[Path]:
    """Maps as stacks of 32-bit images with scale and unit, "answer_C.tif" where there are several.

    HyperSpy, ImageJ and DigitalMicrograph read the calibration.
    """
    names = [name for name in result.factors if len(_along(result, name)) == 2]
    if not names:
        raise ValueError(
            f"`save({str(path)!r})`: no factor runs along two axes, so there is no map: save as "
            "csv or hspy."
        )
    made = []
    for name in names:
        axes = _along(result, name)
        if not all(axis.uniform for axis in axes):
            raise ValueError(
                f"`save({str(path)!r})`: the pixels of {name} are not even, and tif knows scale "
                "alone: save as hspy."
            )
        out = path if len(names) == 1 else path.with_name(f"{path.stem}_{slug(name)}{path.suffix}")
        signal = _signal(result, name)
        signal |= {"data": signal["data"].astype(np.float32)}
        signal |= {"axes": [_nanometres(axis) for axis in signal["axes"]]}
        with _finished(out) as part:
            _write("tiff", part, signal)
        made.append(out)
    return made


def csv(result: Result, path: Path) -> list[Path]:
    """All spectra in one table: for every detector its energies, then the components."""
    from fusion.storage import whole

    with whole(path) as file:
        file.write(table(result).encode())
    return [path]


WRITERS: dict[str, Callable[[Result, Path], list[Path]]] = {
    ".hspy": hspy,
    ".zspy": zspy,
    ".msa": msa,
    ".tif": tif,
    ".tiff": tif,
    ".csv": csv,
}
"""By ending; npz is `fusion.storage.save`."""


def save(result: Result, path: Path, write: Callable[[Result, Path], list[Path]]) -> list[Path]:
    """Write with one of the writers.

    Raises:
        ValueError: if the package that it needs is not installed, or the result has nothing that
            such a file can hold.
    """
    try:
        return write(result, path)
    except ImportError as error:
        raise ValueError(
            f"`save({str(path)!r})`: {error.name} is not installed: pip install "
            '"sdfusion[io]", or save as npz or csv.'
        ) from error


def table(result: Result) -> str:
    """Spectra as comma-separated columns: for every detector its energies, then the components."""
    import csv
    import io

    columns: list[list[Any]] = []
    for name in _spectra(result):
        axis = _along(result, name)[0]
        columns.append([f"{name}: {axis.label}", *(f"{x:.10g}" for x in axis.values)])
        columns += [
            [f"{name} {i + 1}", *(f"{x:.10g}" for x in column)]
            for i, column in enumerate(result.factors[name].T)
        ]
    longest = max(map(len, columns), default=0)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([c[i] if i < len(c) else "" for c in columns] for i in range(longest))
    return text.getvalue()


def _spectra(result: Result) -> list[str]:
    """Factors that run along the channels of a data set of spectra."""
    channels = [d.axes[-1:] for d in result.data.values() if d.signal == 1]
    return [
        name
        for name, F in result.factors.items()
        if F.ndim == 2 and (result.axes.get(name) or (None,))[0] in channels
    ]


def _along(result: Result, name: str) -> Axes:
    """What the rows of a factor run along; an index where nothing is told."""
    axes = (result.axes.get(name) or (None,))[0]
    return axes or (Axis("index", size=len(result.factors[name])),)


def _signal(result: Result, name: str) -> Signal:
    """One factor, components first."""
    axes, F = _along(result, name), result.factors[name]
    components = Axis("component", offset=1.0, size=F.shape[1])
    spectral = name in _spectra(result)
    shown = 1 if spectral or len(axes) == 1 else 2
    data = np.ascontiguousarray(F.T.reshape(F.shape[1], *(axis.size or 1 for axis in axes)))
    every = (components, *axes)
    told = [_axis(a, i, navigate=i < len(every) - shown) for i, a in enumerate(every)]
    metadata = _metadata(result, axes) if spectral else {}
    general = {"title": name, "notes": result.summary()}
    return {
        "data": data,
        "axes": told,
        "metadata": {
            **metadata,
            "General": general,
            "Signal": {"signal_type": _kind(axes[0], metadata) if spectral else ""},
        },
        "original_metadata": {"sdfusion": _about(result, name)},
        "package_info": {"package": "", "package_version": ""},
        "attributes": {"_lazy": False, "ragged": False},
        "tmp_parameters": {},
        "learning_results": {},
        "models": {},
    }


def _axis(axis: Axis, index: int, *, navigate: bool) -> dict[str, Any]:
    """RosettaSciIO's dictionary of an axis."""
    told: dict[str, Any] = {"name": axis.name, "units": axis.units, "size": int(axis.size or 0)}
    told |= {"navigate": navigate, "index_in_array": index, "is_binned": False}
    if axis.uniform:
        return told | {"_type": "UniformDataAxis", "scale": axis.scale, "offset": axis.offset}
    return told | {"_type": "DataAxis", "axis": axis.values}


def _kind(axis: Axis, metadata: dict[str, Any]) -> str:
    """HyperSpy's type of a spectrum on an axis."""
    if axis.units == "eV" or "loss" in axis.name:
        return "EELS"
    if axis.units != "keV":
        return ""
    instrument = metadata.get("Acquisition_instrument") or {}
    return "EDS_SEM" if "SEM" in instrument else "EDS_TEM"


def _metadata(result: Result, axes: Axes) -> dict[str, Any]:
    """What is known of the measurement that has these channels."""
    fits = [] if result.minimised is None else [fit for _, _, fit in result.minimised.fits]
    for data in (fit.dataset for fit in fits if fit.dataset is not None):
        if data.channels == axes:
            return {key: data.metadata[key] for key in CARRIED if key in data.metadata}
    return {}


def _about(result: Result, name: str) -> dict[str, Any]:
    """How the factor was found."""
    told = {
        "version": __version__,
        "factor": name,
        "formula": result.formula,
        "loss": float(result.loss),
    }
    told |= {
        "status": result.status,
        "solver": result.solver,
        "messages": "\n".join(result.messages),
    }
    for key, data in result.data.items():
        told[f"explained_variance_{key}"] = float(data.explained_variance)
        told[f"history_{key}"] = "\n".join(data.history)
    return told


OPTIONS: dict[str, dict[str, Any]] = {
    "hspy": {"show_progressbar": False},
    "zspy": {"show_progressbar": False},
    "msa": {"format": "XY"},  # six significant digits; "Y" has six decimals
}


def _write(api: str, path: Path, signal: Signal) -> None:
    """With RosettaSciIO's writer."""
    writer = import_module(f"rsciio.{api}").file_writer
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        writer(str(path), signal, **OPTIONS.get(api, {}))


def _nanometres(axis: dict[str, Any]) -> dict[str, Any]:
    """The axis in nm where it is in m: tif has the scale as a fraction with eight digits."""
    if axis["units"] != "m":
        return axis
    return axis | {"units": "nm", "scale": 1e9 * axis["scale"], "offset": 1e9 * axis["offset"]}


@contextmanager
def _finished(path: Path) -> Iterator[Path]:
    """A name in a folder beside, to write to: what is there takes the place of the path at last.

    Raises:
        OSError: if the folder cannot be written.
    """
    with tempfile.TemporaryDirectory(dir=path.absolute().parent, prefix=f".{path.name}.") as folder:
        made = Path(folder) / path.name
        yield made
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(made, path)
