"""Small files as microscopes' programs write them, and what comes back from them."""

from __future__ import annotations

import json
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import fusion as fu
from fusion.files import SeveralDatasets, one

io = pytest.mark.skipif(find_spec("rsciio") is None, reason='needs pip install "sdfusion[io]"')
CUBE = np.random.default_rng(0).poisson(9, (5, 6, 12)).astype(np.uint16)
EV = np.linspace(90, 101, 12)
PLACES = {"y": (0.5, 1.0, "nm"), "x": (0.5, 2.0, "nm"), "Energy loss": (0.25, 90.0, "eV")}
MAP = (fu.Axis("y", *PLACES["y"]), fu.Axis("x", *PLACES["x"]))
LOSS = fu.Axis("energy loss", 0.25, 90.0, "eV")


def axes_of(data: np.ndarray, *labels: str, signal: int = 1, **changes) -> list[dict]:
    """RosettaSciIO's axes of an array, the last `signal` of them not navigated."""
    told = []
    for i, (label, n) in enumerate(zip(labels, data.shape, strict=True)):
        scale, offset, units = PLACES.get(label, (1.0, 0.0, ""))
        entry = {"name": label, "size": n, "scale": scale, "offset": offset, "units": units}
        entry |= {"navigate": i < data.ndim - signal, "index_in_array": i, "is_binned": False}
        told.append(entry | {"_type": "UniformDataAxis"} | changes.get(label.partition(" ")[0], {}))
    return told


def write(path: Path, api: str, data: np.ndarray, axes: list[dict], kind: str = "", **options):
    """Write the array with RosettaSciIO's own writer."""
    told = {"General": {"title": options.pop("title", "a map")}, "Signal": {"signal_type": kind}}
    signal = {"data": data, "axes": axes, "metadata": told, "original_metadata": {}}
    signal |= {key: {} for key in ("tmp_parameters", "learning_results", "models")}
    signal |= {"package_info": {"package": "sdfusion", "package_version": "0"}}
    signal |= {"attributes": {"_lazy": False, "ragged": False}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_module(f"rsciio.{api}").file_writer(str(path), signal, **options)
    return path


def hspy(path: Path, data: np.ndarray, *labels: str, kind: str = "", **options) -> Path:
    pytest.importorskip("h5py", reason="hspy needs h5py")
    return write(path, "hspy", data, axes_of(data, *labels, **options), kind)


def eels(path: Path) -> Path:
    return hspy(path, CUBE, "y", "x", "Energy loss", kind="EELS")


def velox(
    path: Path,
    cube: np.ndarray,
    images: dict[str, np.ndarray],
    detectors: int = 1,
    scan: tuple[int, int] | None = None,
) -> Path:
    """An emd as Velox writes it: images, and a stream of X-ray events per detector.

    Args:
        path: of the file.
        cube: counts (y, x, energy) of every detector.
        images: by name; Velox's names are random, and their order is that of the names.
        detectors: number of streams.
        scan: (rows, columns) that its metadata tell, as part of a frame of 16 × 16.
    """
    h5py = pytest.importorskip("h5py", reason="emd needs h5py")
    pytest.importorskip("sparse", reason="RosettaSciIO needs sparse for Velox's X-ray maps")
    place = {"PixelSize": {"width": "5e-10", "height": "5e-10"}, "Offset": {"x": "0", "y": "0"}}
    place |= {"PixelUnitX": "m", "PixelUnitY": "m", "DetectorIndex": "0", "Detector": "SuperX"}
    detector = {"DetectorName": "SuperX", "Dispersion": "10", "OffsetEnergy": "-100"}
    told = {"BinaryResult": place, "Detectors": {"Detector-0": detector}, "Scan": {}}
    if scan is not None:
        area = {"left": "0", "top": "0", "right": str(scan[1] / 16), "bottom": str(scan[0] / 16)}
        told["Scan"] = {"ScanSize": {"width": "16", "height": "16"}, "ScanArea": area}
    told["Acquisition"] = {"AcquisitionStartDatetime": {"DateTime": "0"}}
    pixels = cube.reshape(-1, cube.shape[-1])
    events = [[*np.repeat(np.arange(len(counts)), counts), 65535] for counts in pixels]
    stream = np.concatenate(events).astype(np.uint16)[:, None]
    with h5py.File(path, "w") as file:

        def put(where: str, content: dict) -> None:
            text = h5py.string_dtype("utf-8")
            file.create_dataset(where, data=[json.dumps(content)], dtype=text)

        def data(where: str, array: np.ndarray) -> None:
            file.create_dataset(f"{where}/Data", data=array, chunks=array.shape)
            letters = np.frombuffer(json.dumps(told).encode(), dtype=np.uint8)
            file.create_dataset(f"{where}/Metadata", data=letters[:, None])

        put("Version", {"format": "Velox", "version": "10"})
        file.create_group("Presentation/Displays/ImageDisplay")
        for name, image in images.items():
            data(f"Data/Image/{name}", image[..., None])
            source = {"dataPath": f"/Data/Image/{name}", "detector": name}
            put(f"Operations/StemInputOperation/{name}", source)
        put("Data/SpectrumImage/0/SpectrumImageSettings", {"endFramePosition": "1"})
        for i in range(detectors):
            data(f"Data/SpectrumStream/{i}", stream)
            settings = {"bincount": str(cube.shape[-1]), "StreamEncoding": "uint16"}
            put(f"Data/SpectrumStream/{i}/AcquisitionSettings", settings)
        data("Data/Spectrum/0", cube.sum((0, 1))[:, None].astype(np.float32))
    return path


def wrong(path: Path, **options) -> str:
    """The line that says why a file cannot be used; the lines, where there is a choice."""
    with pytest.raises((ValueError, OSError)) as caught:
        one(path, **options)
    assert isinstance(caught.value, SeveralDatasets) or "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def same(dataset: fu.Dataset, data: np.ndarray, *axes: fu.Axis) -> None:
    np.testing.assert_array_equal(dataset.numpy(), data)
    for got, meant, n in zip(dataset.axes, axes, data.shape, strict=True):
        assert (got.name, got.units, got.uniform) == (meant.name, meant.units, meant.uniform)
        np.testing.assert_allclose(got.values, meant.sized(n).values, rtol=1e-12, atol=1e-12)
