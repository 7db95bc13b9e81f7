"""Maps, residual maps and spectra of an answer as a zarr store, for answers larger than a file."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from math import prod
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fusion._version import __version__
from fusion.algebra.axis import Axes
from fusion.answers.result import Result
from fusion.blocks.map_errors import ErrorsOfMaps

OWN = "sdfusion"
LEAST = 0.5
"""Share of its bytes that an answer takes at least when it is packed."""
PIXELS = 2**16
"""Pixels of a chunk, about."""


class Store:
    """A folder into which an answer is written.

    Args:
        path: of the folder; None: nothing is written.
        belongs: what tells the fit from others.
        size: bytes of the answer, about, uncompressed.
        beside: bytes that are written beside it meanwhile.

    Raises:
        ValueError: before the first pass, if zarr is not installed, or the folder holds something
            else than an answer of this fit.
        OSError: before the first pass, if it cannot be written there, or half of the answer is more
            than the disk has room for.
    """

    def __init__(self, path: Any, belongs: dict[str, str], size: int = 0, beside: int = 0) -> None:
        self.path = None if path is None else Path(path)
        told = "; ".join(f"{key}={value}" for key, value in belongs.items())
        self.fit = hashlib.sha256(told.encode()).hexdigest()[:16]
        if self.path is not None:
            self._check(self.path)
            self._check_room(self._beside, LEAST * size + beside, size + beside)
        self._files = ExitStack()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def room(self) -> BinaryIO:
        """An empty file on the same disk, which no folder shows and which goes with the store."""
        assert self.path is not None
        folder = self.path.absolute().parent
        return self._files.enter_context(TemporaryFile(dir=folder))  # type: ignore[return-value]

    @property
    def _beside(self) -> Path:
        """Where it is written until it is whole."""
        assert self.path is not None
        return self.path.with_name(f"{self.path.name}.part")

    def _check(self, path: Path) -> None:
        try:
            import zarr
        except ImportError:
            raise ValueError(
                f"`Blocks(out={str(path)!r})`: zarr is not installed: "
                '`pip install "sdfusion[large]"`.'
            ) from None
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            return
        try:
            fit = dict(zarr.open_group(str(path), mode="r").attrs).get(OWN, {}).get("fit")
        except Exception:  # whatever it is, it is no store of ours
            fit = None
        if fit != self.fit:
            what = "holds the answer of another fit" if fit else "exists and is no answer of a fit"
            raise ValueError(
                f"`Blocks(out={str(path)!r})`: it {what}: give another name, or remove it."
            )

    def _check_room(self, beside: Path, least: float, size: int) -> None:
        """Complain before hours of passes whose answer could not be kept."""
        try:
            beside.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(beside).free
            shutil.rmtree(beside)
        except OSError as error:
            raise OSError(
                f"`Blocks(out={str(self.path)!r})`: cannot be written there ({error}): give "
                "another place."
            ) from error
        if least > free:
            raise OSError(
                f"`Blocks(out={str(self.path)!r})`: the answer takes about {size / 1e9:.3g} GB, "
                f"{free / 1e9:.3g} GB are free there: make room, or give another place."
            )

    def write(self, result: Result, errors: Sequence[ErrorsOfMaps] = ()) -> None:
        """All of it, beside what was there and then in its place.

        Args:
            result: the answer; errors: standard errors of its maps.

        Raises:
            OSError: if it cannot be written: the folder is as it was.
        """
        if self.path is None:
            return
        beside = self._beside
        shutil.rmtree(beside, ignore_errors=True)
        try:
            self._fill(beside, result, errors)
            if self.path.exists():
                shutil.rmtree(self.path)
            beside.rename(self.path)
        except OSError as error:
            shutil.rmtree(beside, ignore_errors=True)
            raise OSError(
                f"`Blocks(out={str(self.path)!r})`: could not be written ({error}): make room, or "
                "give another place; with a checkpoint the fit goes on from its last pass."
            ) from error
        except BaseException:  # ctrl-C: what is half written is of no use
            shutil.rmtree(beside, ignore_errors=True)
            raise

    def _fill(self, path: Path, result: Result, errors: Sequence[ErrorsOfMaps]) -> None:
        import zarr

        group = zarr.open_group(str(path), mode="w")
        for name, values in result.factors.items():
            axes = result.axes[name][0]
            shape = _shape(axes, len(values))
            self._array(group, name, values.reshape(*shape, *values.shape[1:]), axes)
        for each in errors:
            self._errors(group, result, each)
        for name, data in result.data.items():
            pixels = data.axes[: len(data.axes) - data.signal]
            self._array(group, f"residual of {name}", data.residual_map, pixels)
            if data.noise_map is not None:
                self._array(group, f"noise of {name}", data.noise_map, pixels)
        group.attrs[OWN] = {
            "fit": self.fit,
            "version": __version__,
            "loss": result.loss,
            "formula": result.formula,
            "status": result.status,
            "solver": result.solver,
            "components": list(result.component_names),
        }

    def _errors(self, group: Any, result: Result, errors: ErrorsOfMaps) -> None:
        """Standard errors beside their maps, chunk by chunk: they are nowhere as a whole."""
        maps = [result.factors[name] for name in errors.maps]
        axes = result.axes[errors.maps[0]][0]
        shape = (*_shape(axes, len(maps[0])), *maps[0].shape[1:])
        made = self._made(group, f"errors of {' + '.join(errors.maps)}", shape, maps[0].dtype, axes)
        made.attrs["data"] = errors.data
        step, line = made.chunks[0], prod(shape[1:-1])
        for a in range(0, shape[0], step):
            b = min(a + step, shape[0])
            part = errors.of(slice(a * line, b * line))
            made[a:b] = part.reshape(b - a, *shape[1:])

    def _array(self, group: Any, name: str, values: NDArray[Any], axes: Axes | None) -> None:
        self._made(group, name, values.shape, values.dtype, axes)[...] = values

    def _made(
        self, group: Any, name: str, shape: tuple[int, ...], dtype: Any, axes: Axes | None
    ) -> Any:
        """One array, its chunks about so many pixels, empty ones written, too: a lost one shows."""
        tail = shape[len(axes or ()) :] if axes else shape[1:]
        chunks, room = [], PIXELS
        for n in reversed(shape[: len(shape) - len(tail)]):
            chunks.append(max(min(n, room), 1))
            room //= chunks[-1]
        fill = np.nan if dtype.kind == "f" else 0
        told = {"shape": shape, "chunks": (*chunks[::-1], *tail), "dtype": dtype}
        if hasattr(group, "create_array"):  # zarr 3
            empty = {"write_empty_chunks": True}
            made = group.create_array(name, **told, fill_value=fill, config=empty)
        else:
            made = group.create(name, **told, fill_value=fill, write_empty_chunks=True)
        made.attrs["axes"] = [
            {"name": a.name, "scale": a.scale, "offset": a.offset, "units": a.units or ""}
            for a in axes or ()
        ]
        return made


def _shape(axes: Axes | None, rows: int) -> tuple[int, ...]:
    sizes = tuple(axis.size or 1 for axis in axes or ())
    return sizes if sizes and int(np.prod(sizes)) == rows else (rows,)
