"""Data as users bring them, and worse: what a draw hands to `Dataset`, and what it stands for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import dask.array as da
import numpy as np
import scipy.sparse
import sparse
import torch

import fusion as fu

Array = np.ndarray
Rng = np.random.Generator

SIZES = {
    "1×1": (1, 1, 1),
    "one pixel": (1, 1, 7),
    "one channel": (3, 4, 1),
    "one row": (1, 6, 8),
    "line": (9, 8),
    "spectrum": (1, 9),
    "map": (4, 5, 8),
    "wide": (2, 3, 20),
    "series": (2, 3, 4, 6),
}


@dataclass
class Drawn:
    """One data set.

    Attributes:
        name: of the data set.
        given: the array in its storage.
        options: of `Dataset`.
        x: the values that it stands for, float64; NaN where they are.
        keep: True where an entry counts.
        variance: of every entry, or None.
        words: what it is, in a line.
    """

    name: str
    given: Any
    options: dict[str, Any]
    x: Array
    keep: Array
    variance: Array | None
    words: list[str] = field(default_factory=list)

    def dataset(self) -> fu.Dataset:
        """As a user makes it."""
        return fu.Dataset(self.name, self.given, **self.options)

    @property
    def values(self) -> Array:
        """With 0 for what is masked."""
        return np.where(self.keep, self.x, 0.0)

    def weights(self, with_variance: bool) -> Array:
        """1 / variance, 0 where masked."""
        if not with_variance or self.variance is None:
            return self.keep.astype(float)
        return np.where(self.keep, 1 / np.where(self.variance > 0, self.variance, 1), 0.0)


# what is measured


def _counts(rng: Rng, shape: tuple[int, ...]) -> Array:
    return rng.poisson(4.0, shape).astype(float)


def _few_counts(rng: Rng, shape: tuple[int, ...]) -> Array:
    return rng.poisson(0.15, shape).astype(float)


def _mixed(rng: Rng, shape: tuple[int, ...]) -> Array:
    K = 2
    C, S = rng.dirichlet([0.5] * K, shape[:-1]), rng.random((K, shape[-1]))
    return C @ S * 10 + 0.1 * rng.random(shape)


def _empty_rows(rng: Rng, shape: tuple[int, ...]) -> Array:
    x = _counts(rng, shape)
    x[rng.random(shape[:-1]) < 0.4] = 0
    x[..., rng.random(shape[-1]) < 0.3] = 0
    return x


CONTENTS: dict[str, Callable[[Rng, tuple[int, ...]], Array]] = {
    "counts": _counts,
    "few counts": _few_counts,
    "mixed": _mixed,
    "empty rows": _empty_rows,
    "zero": lambda rng, shape: np.zeros(shape),
    "constant": lambda rng, shape: np.full(shape, 3.0),
    "constant rows": lambda rng, shape: np.ones(shape) * rng.random((*shape[:-1], 1)),
    "one spike": lambda rng, shape: _spiked(rng, np.zeros(shape)),
    "spike": lambda rng, shape: _spiked(rng, _counts(rng, shape)),
    "×1e12": lambda rng, shape: 1e12 * _mixed(rng, shape),
    "×1e-12": lambda rng, shape: 1e-12 * _mixed(rng, shape),
    "signed": lambda rng, shape: _mixed(rng, shape) + rng.normal(0, 2, shape),
    "negative": lambda rng, shape: -_mixed(rng, shape),
    "rank one": lambda rng, shape: rng.random((*shape[:-1], 1)) * rng.random(shape[-1]),
}


def _spiked(rng: Rng, x: Array) -> Array:
    x.flat[rng.integers(x.size)] = 1e6
    return x


COUNTED = ("counts", "few counts", "empty rows", "constant", "one spike", "spike")

# how it is stored

TYPES = ("uint8", "uint16", "int32", "int64", "float16", "float32", "float64", "bool", ">f4", ">u2")
STRIDES: dict[str, Callable[[Array], Array]] = {
    "plain": lambda x: x,
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "reversed": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
    "Fortran": np.asfortranarray,
    "read-only": lambda x: _read_only(x.copy()),
    "every other": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
}


def _read_only(x: Array) -> Array:
    x.setflags(write=False)
    return x


def stored(rng: Rng, x: Array, storage: str) -> tuple[Any, Array]:
    """(what is handed in, the values that it holds)."""
    if storage == "NumPy":
        fine = rng.random() < RARE or abs(np.log10(np.abs(x).max() or 1)) < 9
        kind = str(rng.choice(TYPES if fine else ("float32", "float64", ">f4")))
        with np.errstate(all="ignore"):
            whole = np.dtype(kind).kind in "iub"
            cast = (
                np.clip(np.nan_to_num(x), *_range(kind)).astype(kind) if whole else x.astype(kind)
            )
        cast = STRIDES[str(rng.choice(list(STRIDES)))](cast)
        return cast, cast.astype(float)
    if storage == "torch":
        held = torch.from_numpy(x.copy()).to(torch.float32 if rng.random() < 0.5 else torch.float64)
        return held, held.double().numpy()
    if storage == "dask":
        return da.from_array(x, chunks=tuple(max(1, n // 2) for n in x.shape)), x
    if storage == "events":
        return _events(rng, x), x
    matrix = x.reshape(-1, x.shape[-1])
    if storage == "torch sparse":
        return torch.from_numpy(x.copy()).to_sparse(), x
    if storage == "sparse":
        return sparse.COO.from_numpy(x), x
    return getattr(scipy.sparse, storage)(matrix), x


def _range(kind: str) -> tuple[float, float]:
    if kind == "bool":
        return 0, 1
    info = np.iinfo(kind)
    return float(max(info.min, -(2**53))), float(min(info.max, 2**53))


def _events(rng: Rng, x: Array) -> Any:
    """Counts one by one, in any order, a place named as often as it was hit."""
    matrix = x.reshape(-1, x.shape[-1])
    i, j = np.nonzero(matrix)
    times = matrix[i, j].astype(int)
    i, j = np.repeat(i, times), np.repeat(j, times)
    order = rng.permutation(len(i))
    ones = np.ones(len(i), np.uint8)
    return scipy.sparse.coo_array((ones, (i[order], j[order])), shape=matrix.shape)


SPARSE = ("sparse", "torch sparse", "csr_array", "coo_array", "csc_matrix", "events")
MASKS = ("pixels", "channels", "entries", "repeated", "one pixel left", "masked array", "NaN")
VARIANCES = ("number", "channels", "pixels", "entries", "product", "tiny")
RARE = 0.03
"""Share of data, of masks and of variances that no fit can use."""


def drawn(
    rng: Rng, name: str, *, shape: tuple[int, ...] | None = None, counts: bool = False
) -> Drawn:
    """One data set of the kind; `shape` where another one says it, `counts` where ≥ 0 is wanted."""
    size = str(rng.choice(list(SIZES)))
    shape = SIZES[size] if shape is None else shape
    contents = [c for c in CONTENTS if c != "zero" or rng.random() < RARE * len(CONTENTS)]
    if counts and rng.random() < 1 - RARE:
        contents = [*COUNTED, *["few counts"] * len(COUNTED)]
    content = str(rng.choice(contents))
    x = CONTENTS[content](rng, shape)
    plain = ["NumPy", "NumPy", "NumPy", "NumPy", "torch", "dask", "dask"]
    whole = content in ("counts", "few counts", "empty rows")
    storage = str(rng.choice([*plain, *SPARSE] if whole or rng.random() < 0.1 else plain))
    if storage == "events" and not whole:
        storage = "sparse"
    given, x = stored(rng, x, storage)
    options: dict[str, Any] = {"axes": _axes(shape)}
    keep, mask = _mask(rng, x, storage)
    words = [size if shape == SIZES[size] else str(shape), content, storage]
    words.append(str(getattr(given, "dtype", "")))
    if mask == "masked array":
        given = np.ma.masked_array(np.where(keep, np.asarray(given), 99), ~keep)
        x = np.where(keep, x, 99)
    elif mask == "NaN":
        bad = rng.random(shape) < 0.15
        x = np.where(bad, np.nan, x.astype("float32"))
        given = x.astype("float32")
        if rng.random() < 0.8:
            keep, options["mask"] = ~bad, bad.copy()
    elif mask != "none":
        options["mask"] = _shortened(keep, mask)
    variance, kind = _variance(rng, shape, x)
    if variance is not None:
        options["variance"] = variance
        variance = np.broadcast_to(variance, shape)
    return Drawn(
        name, given, options, x, keep, variance, [*words, f"mask {mask}", f"variance {kind}"]
    )


def _axes(shape: tuple[int, ...]) -> list[fu.Axis]:
    names = ("t", "z", "y", "x")[-(len(shape) - 1) :] if len(shape) > 1 else ()
    scan = [
        fu.Axis(name, scale=2.0, units="nm" if name in "yx" else None, size=n)
        for name, n in zip(names, shape[:-1], strict=True)
    ]
    return [*scan, fu.Axis("energy", scale=1.0, offset=100.0, units="eV", size=shape[-1])]


def _mask(rng: Rng, x: Array, storage: str) -> tuple[Array, str]:
    kind = "none" if rng.random() < 0.5 else str(rng.choice(MASKS))
    kind = "all" if rng.random() < RARE / 3 else kind
    if kind in ("masked array", "NaN") and storage != "NumPy":
        kind = "pixels"
    if storage in SPARSE and rng.random() < 0.8 and kind in ("entries", "repeated"):
        kind = "channels"
    keep = np.ones(x.shape, bool)
    if kind == "pixels":
        keep[rng.random(x.shape[:-1]) < 0.3] = False
    elif kind == "channels":
        keep[..., rng.random(x.shape[-1]) < 0.3] = False
    elif kind in ("entries", "masked array"):
        keep = rng.random(x.shape) > 0.2
    elif kind == "repeated":
        keep = np.broadcast_to(rng.random((*x.shape[:-2], 1, x.shape[-1])) > 0.2, x.shape).copy()
    elif kind == "one pixel left":
        keep = np.zeros(x.shape, bool)
        keep[(0,) * (x.ndim - 1)] = True
    elif kind == "all":
        keep[:] = False
        return keep, kind
    if not np.any(x[keep]):  # something is left of most
        keep = keep | np.broadcast_to((x != 0).any(tuple(range(x.ndim - 1))), x.shape)
        return keep, kind if kind in ("none", "channels") else "entries"
    return keep, kind


def _shortened(keep: Array, kind: str) -> Array:
    """The mask in the shape in which it is handed in, True = excluded."""
    if kind in ("pixels", "one pixel left"):
        return ~keep.any(-1, keepdims=True) if keep.any(-1).all() else ~keep[..., :1]
    if kind == "channels":
        return ~keep[(slice(0, 1),) * (keep.ndim - 1)]
    return ~keep


def _variance(rng: Rng, shape: tuple[int, ...], x: Array) -> tuple[Any, str]:
    kind = "none" if rng.random() < 0.6 else str(rng.choice(VARIANCES))
    kind = "with a zero" if rng.random() < RARE / 2 else kind
    scale = float(np.abs(x[np.isfinite(x)]).sum() / x.size) or 1.0
    pixels, channels = (*shape[:-1], 1), shape[-1:]
    made = {
        "none": lambda: None,
        "number": lambda: scale,
        "channels": lambda: scale * (0.1 + rng.random(channels)),
        "pixels": lambda: scale * (0.1 + rng.random(pixels)),
        "entries": lambda: scale * (0.1 + rng.random(shape)),
        "product": lambda: scale * (0.1 + rng.random(pixels)) * (0.1 + rng.random(channels)),
        "with a zero": lambda: np.where(rng.random(shape) < 0.1, 0, scale),
        "tiny": lambda: scale * 1e-12 * (0.1 + rng.random(channels)),
    }[kind]()
    return made, kind
