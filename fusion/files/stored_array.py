"""An array of an HDF5 file or zarr folder that is read part by part, the file closed between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.algebra.memory import out_of_memory
from fusion.files import hdf5_links, zarr_folders
from fusion.files.contents import first_line


def kind_of(path: Path) -> Any:
    """The module that opens a file or folder, and finds what is in it."""
    return zarr_folders if path.is_dir() else hdf5_links


class StoredArray:
    """An array by its path in a file; sliced as one of NumPy, and no file stays open.

    Args:
        path: of the file or folder.
        where: path of the array in it.

    Raises:
        ValueError: if there is none, or it cannot be opened.
    """

    def __init__(self, path: Path, where: str) -> None:
        self.path, self.where = path, where
        self._stamp = self._state()
        kind = kind_of(path)
        with kind.opened(path) as root:
            array = kind.array_at(path, root, where)
            self.shape = tuple(int(n) for n in array.shape)
            self.dtype = np.dtype(array.dtype)
            self.chunks = array.chunks
        self.ndim = len(self.shape)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        if self._state() != self._stamp:
            raise ValueError(f"{self.path}: it has changed since it was loaded: load it again.")
        kind = kind_of(self.path)
        with kind.opened(self.path) as root:
            array = kind.array_at(self.path, root, self.where)
            try:
                return np.asarray(array[key])
            except MemoryError as error:
                raise out_of_memory(f"load({str(self.path)!r})", error) from error
            except (OSError, RuntimeError) as error:
                raise ValueError(
                    f"{self.path}: {self.where} cannot be read ({first_line(error)}): cut off, "
                    "damaged, or packed with a filter that h5py lacks (pip install hdf5plugin)?"
                ) from error

    def _state(self) -> tuple[int, int]:
        state = self.path.stat()
        return state.st_mtime_ns, state.st_size

    def __dask_tokenize__(self) -> Any:
        return str(self.path), self.where, self._stamp

    def lazy(self, chunks: Any = "auto") -> Any:
        """The same as a dask array."""
        import dask.array

        meta = np.empty((0,) * self.ndim, self.dtype)
        return dask.array.from_array(self, chunks=chunks, fancy=False, meta=meta)
