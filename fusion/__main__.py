"""The command line: python -m fusion FILE.npz -k K -o DIR"""

from __future__ import annotations

import argparse
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion import Axis, Dataset, fit
from fusion._version import __version__
from fusion.losses import Frobenius, Poisson
from fusion.models import NMF
from fusion.storage import whole

LOSSES = {"frobenius": Frobenius, "poisson": Poisson}


def main(argv: Sequence[str] | None = None) -> int:
    """Factorise one spectrum image into maps and spectra; write result.npz and figure.png.

    Returns:
        0 if a result is written, 1 if the data or the folder cannot be used, 130 if interrupted
        before there was one; wrong options leave with 2 (`SystemExit`).
    """
    args = _parser().parse_args(argv)
    try:
        _run(args)
    except KeyboardInterrupt:
        print("interrupted: nothing is written", file=sys.stderr)
        return 130
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        print(f"error: {_line(error)}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fusion",
        description="Non-negative matrix factorisation of a spectrum image into maps and spectra.",
        epilog="FILE.npz holds the map as `data`, energies last; if you have them, also `energy` "
        "and `energy_units`.",
    )
    parser.add_argument("file", type=Path, metavar="FILE.npz")
    parser.add_argument(
        "-k",
        "--components",
        type=_positive,
        required=True,
        metavar="K",
        help="number of components",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for the answer; made if need be",
    )
    parser.add_argument(
        "--array", metavar="NAME", help="array of the file to use, where there are several"
    )
    parser.add_argument(
        "--loss",
        choices=LOSSES,
        default="frobenius",
        help="poisson for counts (default: %(default)s)",
    )
    parser.add_argument(
        "--starts",
        type=_positive,
        default=10,
        metavar="N",
        help="random starts (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the random starts (default: %(default)s)"
    )
    parser.add_argument("--version", action="version", version=f"sdfusion {__version__}")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give a whole number, 1 or more")
    return int(text)


def _run(args: argparse.Namespace) -> None:
    data = read(args.file, args.array)
    model, loss = NMF(data, args.components), LOSSES[args.loss](data)
    loss.check(model)
    _writable(args.output)
    print(f"{args.file}: {data!r}", flush=True)
    result = fit(model, loss, starts=args.starts, seed=args.seed, progress=sys.stderr.isatty())
    print(result.summary())
    result.save(args.output / "result.npz")
    with whole(args.output / "figure.png") as file:
        result.plot().savefig(file, format="png", dpi=150)
    print(f"wrote {args.output / 'result.npz'} and {args.output / 'figure.png'}")


def read(path: Path, array: str | None = None) -> Dataset:
    """The data set in an npz file.

    Args:
        path: of the file.
        array: name of the array; default: `data`, else the only numeric one of two axes or more.

    Raises:
        ValueError: if the file is no npz, or it is not clear which array is meant.
        OSError: if it cannot be read.
    """
    if not path.is_file():
        raise ValueError(
            f"{path}: {'is a folder' if path.is_dir() else 'no such file'}: give an npz file."
        )
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path}: not an npz file: write one with `numpy.savez({path.stem!r}, data=map)`."
        )
    held: dict[str, NDArray[Any]] = {}
    with np.load(path, allow_pickle=False) as file:
        for name in file.files:
            with suppress(ValueError):  # an array of objects, which only pickle could read
                if isinstance(value := file[name], np.ndarray):
                    held[name] = value
    name = array or _choose(path, held)
    if name not in held or not _numeric(held[name]):
        raise ValueError(f"{path}: no numeric array {name!r} in it, but {_listed(held)}.")
    cube = held[name]
    return Dataset(
        name,
        cube,
        axes=[*_scan(cube.ndim - 1), _energy(path, held, cube.shape[-1] if cube.ndim else 0)],
    )


def _choose(path: Path, held: dict[str, NDArray[Any]]) -> str:
    candidates = [name for name, value in held.items() if _numeric(value) and value.ndim >= 2]
    if "data" in candidates:
        return "data"
    if not candidates:
        raise ValueError(
            f"{path}: no numeric array of two axes or more in it, but {_listed(held)}."
        )
    if len(candidates) > 1:
        listed = _listed({name: held[name] for name in candidates})
        raise ValueError(
            f"{path}: several arrays could be meant: {listed}: choose one with --array NAME."
        )
    return candidates[0]


def _numeric(value: NDArray[Any]) -> bool:
    return value.dtype.kind in "buif"


def _listed(held: dict[str, NDArray[Any]]) -> str:
    return (
        ", ".join(f"{name} {value.shape} {value.dtype}" for name, value in held.items())
        or "nothing"
    )


def _scan(n: int) -> list[str]:
    return ["z", "y", "x"][-n:] if 0 < n <= 3 else [f"axis {i}" for i in range(n)]


def _energy(path: Path, held: dict[str, NDArray[Any]], channels: int) -> Axis | str:
    """The energy axis: `energy`, or the only 1-D array that is as long as the data's last axis."""
    fitting = [n for n, v in held.items() if _numeric(v) and v.shape == (channels,)]
    if "energy" in held and "energy" not in fitting:
        raise ValueError(
            f"{path}: energy is of shape {held['energy'].shape}, the data have {channels} channels."
        )
    name = "energy" if "energy" in fitting else fitting[0] if len(fitting) == 1 else None
    if name is None:
        return "channel"
    units = (
        str(held["energy_units"])
        if "energy_units" in held and held["energy_units"].ndim == 0
        else ""
    )
    return Axis(name, values=held[name], units=units)


def _writable(folder: Path) -> None:
    """Make the folder, and complain now if nothing can be written into it.

    Raises:
        OSError: if it cannot.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"-o {folder}: is a file: give a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def _line(error: Exception) -> str:
    """The message as one line."""
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
