"""A result in one npz: arrays as arrays, all else as one JSON text; no pickle."""

from __future__ import annotations

import json
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from fusion.algebra.axis import Axes, Axis
from fusion.algebra.calls import path_of
from fusion.answers.diagnostics import DataSummary
from fusion.answers.result import Result
from fusion.answers.roles import other_columns
from fusion.answers.whole_files import atomic_write
from fusion.data.plain_metadata import plain

FORMAT = 1
"""Raised when what is written changes so that older versions cannot read it."""
_PLAIN = (
    "status",
    "converged",
    "loss",
    "statuses",
    "n_components",
    "formula",
    "latex",
    "solver",
    "seconds",
    "messages",
)
_ARRAYS = ("residual_map", "residual_spectrum", "mean_spectrum")
_LATER = ("component_variance", "noise_map", "noise_spectrum")
"""Arrays that some answers, or those of earlier versions, do not have."""


def _with_suffix(path: Any) -> Path:
    """The path with the ending npz."""
    path = Path(path)
    return path if path.suffix == ".npz" else path.with_name(path.name + ".npz")


def save(result: Result, path: Any) -> Path:
    """Write the result whole or not at all; ".npz" is added to a name without it. The path."""
    arrays: dict[str, Any] = {"losses": result.losses, "loss_history": result.loss_history}
    arrays |= {f"factor/{name}": value for name, value in result.factors.items()}
    arrays |= {f"history/{name}": value for name, value in result.history.items()}
    meta: dict[str, Any] = {"format": FORMAT, **{key: getattr(result, key) for key in _PLAIN}}
    meta["structure"] = result.structure
    meta["component_names"], meta["roles"] = result.component_names, result.roles
    meta["other_columns"] = other_columns(result)
    meta["axes"] = {
        name: [None if a is None else [_axis_entry(x) for x in a] for a in modes]
        for name, modes in result.axes.items()
    }
    meta["data"] = {}
    for name, data in result.data.items():
        meta["data"][name] = {
            "shape": data.shape,
            "signal": data.signal,
            "axes": [_axis_entry(a) for a in data.axes],
            "explained_variance": data.explained_variance,
            "chi2": data.chi2,
            "noise": data.noise,
            "history": data.history,
            "metadata": plain(data.metadata),
        }
        arrays |= {f"data/{name}/{key}": getattr(data, key) for key in _ARRAYS}
        some = {key: getattr(data, key) for key in _LATER}
        arrays |= {f"data/{name}/{key}": each for key, each in some.items() if each is not None}
    arrays["meta"] = np.array(json.dumps(meta))
    with atomic_write(_with_suffix(path)) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    return _with_suffix(path)


def is_result(path: Any) -> bool:
    """Whether `save` wrote this file."""
    try:
        return "meta.npy" in zipfile.ZipFile(path).namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def load(path: Any) -> Result:
    """Read what `save` wrote.

    Raises:
        ValueError: if the file holds no result, or is damaged.
        OSError: if it cannot be opened.
    """
    given = path_of("Result.load", path)
    path = given if given.exists() else _with_suffix(given)
    call = f"`Result.load({str(path)!r})`"
    if not path.exists():
        raise FileNotFoundError(
            f"`Result.load({str(given)!r})`: no such file: check the name and the folder."
        )
    try:
        return _read(path, call)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a damaged file fails in zip, zlib, numpy, json or here
        if str(error).startswith(call):
            raise
        reason = next(iter(str(error).splitlines()), "") or "it ends too early"
        raise ValueError(
            f"{call}: cannot be read ({type(error).__name__}: {reason[:100]}): the file is "
            "damaged: copy it again from where it was written, or fit again."
        ) from error


def _read(path: Path, call: str) -> Result:
    """The result in a file that is whole."""
    if path.exists() and not zipfile.is_zipfile(path):
        raise ValueError(f"{call}: not an npz file: give one that `Result.save` wrote.")
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        if "meta" not in file and {"losses", "loss_history"} & set(file.files):
            raise KeyError("its part `meta` is missing")
        if "meta" not in file or file["meta"].dtype.kind != "U":
            raise ValueError(
                f"{call}: no result in this file (it holds {', '.join(file.files) or 'nothing'})."
            )
        arrays = {key: file[key] for key in file.files}
    meta = json.loads(str(arrays["meta"]))
    if meta["format"] > FORMAT:
        raise ValueError(
            f"{call}: written by a newer version (format {meta['format']}): update sdfusion."
        )
    data = {}
    for name, entry in meta["data"].items():
        data[name] = DataSummary(
            shape=tuple(entry["shape"]),
            signal=entry["signal"],
            axes=_axes(entry["axes"]) or (),
            explained_variance=entry["explained_variance"],
            chi2=entry.get("chi2"),  # older files have none of these four
            noise=entry.get("noise", ""),
            history=tuple(entry.get("history", ())),
            metadata=entry.get("metadata", {}),
            **{key: arrays.get(f"data/{name}/{key}") for key in _LATER},
            **{key: arrays[f"data/{name}/{key}"] for key in _ARRAYS},
        )
    structure = meta["structure"]
    plain = {f.name: meta[f.name] for f in fields(Result) if f.name in _PLAIN}
    return Result(
        **plain,
        losses=arrays["losses"],
        loss_history=arrays["loss_history"],
        factors=_with_prefix(arrays, "factor/"),
        history=_with_prefix(arrays, "history/"),
        axes={name: tuple(_axes(modes) for modes in entry) for name, entry in meta["axes"].items()},
        data=data,
        structure=None if structure is None else (structure[0], tuple(structure[1])),
        component_names=tuple(meta.get("component_names", ())),  # older files have neither
        roles={n: (tuple(C), tuple(S)) for n, (C, S) in meta.get("roles", {}).items()},
        other_columns=tuple(meta.get("other_columns", ())),
    )


def _with_prefix(arrays: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {
        key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)
    }


def _axis_entry(axis: Axis) -> dict[str, Any]:
    entry = {
        "name": axis.name,
        "units": axis.units,
        "size": None if axis.size is None else int(axis.size),
    }
    if axis.uniform:
        return {**entry, "scale": axis.scale, "offset": axis.offset}
    return {**entry, "values": axis.values.tolist()}


def _axes(entries: Any) -> Axes | None:
    return None if entries is None else tuple(Axis(**entry) for entry in entries)
