"""What `info`, `unmix`, `fuse` and `plot` do."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from fusion import Dataset, Result, fit, load
from fusion.cli.write import report, say, writable, write
from fusion.files import one
from fusion.loss import Loss, Term
from fusion.losses import ARD, Frobenius, Gaussian, Poisson, SoftOrthogonality
from fusion.models import NMF, SharedMaps, SharedSpectra


def info(file: Path, signal: str | None, as_json: bool) -> None:
    """Describe what is in a file."""
    from fusion.inspection import inspect

    found = load(file) if signal is None else load(file, signal=signal)
    told = [inspect(d) for d in (found.values() if isinstance(found, dict) else [found])]
    if as_json:
        print(json.dumps([each.as_dict() for each in told]))
    else:
        print("\n\n".join(str(each) for each in told))


def plot(file: Path, output: Path) -> None:
    """Draw a result that was saved."""
    from fusion.storage import whole

    result = Result.load(file)
    kind = output.suffix.lower().removeprefix(".")
    if kind not in ("png", "pdf", "svg"):
        raise click.UsageError(f"-o {output}: give a name that ends in .png, .pdf or .svg")
    with whole(output) as opened:
        result.plot().savefig(opened, format=kind, dpi=200)


def unmix(
    files: Sequence[Path],
    *,
    k: int,
    output: Path,
    loss: str,
    orthogonality: float,
    ard: bool,
    starts: int,
    seed: int,
    device: str | None,
    max_seconds: float,
    as_json: bool,
    quiet: bool,
    share: str | None = None,
    **reading: Any,
) -> None:
    """Fit the data sets of the files, and write the answer."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        datasets = _read(files, joint=share is not None, **reading)
        model = _model(datasets, k, share)
        formula = Loss([(1.0, _fit(data, loss)) for data in datasets])
        maps = [n for n in model.factors if n.startswith("C")]
        for name in maps if orthogonality else ():
            formula = formula + orthogonality * SoftOrthogonality(name)
        for name in maps if ard else ():
            formula = formula + ARD(name)
        formula.check(model)
        writable(output)
        result = fit(
            model,
            formula,
            starts=starts,
            seed=seed,
            device=_device(device),
            max_seconds=max_seconds,
            progress=not quiet and sys.stderr.isatty(),
        )
    if not np.isfinite(result.loss):
        raise ValueError(result.status)
    result.messages.extend(_once(caught))
    write(result, output)
    say(result, report(result), output, as_json=as_json, quiet=quiet)


def _fit(data: Dataset, loss: str) -> Term:
    """The fit of one data set; `auto` asks the data."""
    if loss == "auto":
        if data.variance is not None:
            return Frobenius(data)
        try:
            return Poisson(data) if data.noise().counts else Gaussian(data)
        except ValueError:
            return Gaussian(data)
    return {"frobenius": Frobenius, "gaussian": Gaussian, "poisson": Poisson}[loss](data)


def _model(datasets: Sequence[Dataset], k: int, share: str | None) -> Any:
    if share == "spectra":
        return SharedSpectra(*datasets, K=k)
    return SharedMaps(*datasets, K=k) if share == "maps" else NMF(datasets[0], k)


def _read(
    files: Sequence[Path],
    *,
    joint: bool,
    signal: Sequence[str],
    energy: str | None,
    bins: Sequence[str],
    background_window: str | None,
    variance: str,
    mask: Path | None,
) -> list[Dataset]:
    """The data sets, prepared."""
    found = _chosen(files, signal, joint)
    if len({d.name for d in found}) < len(found):
        found = [_renamed(d, path.stem) for d, path in zip(found, files, strict=True)]
    ready = []
    for data in found:
        if mask is not None:
            data = _masked(data, mask)
        spectra = data.signal == 1  # what follows is of no meaning for an image beside them
        if energy and spectra:
            data = data.crop(**{data.channels[0].name: _window("--energy", energy)})
        if groups := dict(_bin(text, data) for text in bins if spectra or "=" in text):
            data = data.bin(**groups)
        if variance == "estimate" and spectra:
            data = data.estimate_variance()
        if background_window and spectra:
            data = data.subtract_background(_window("--background-window", background_window))
        ready.append(data)
    return ready


def _chosen(files: Sequence[Path], signal: Sequence[str], joint: bool) -> list[Dataset]:
    """All data sets of one file where they are fitted together, else one of every file."""
    if joint and len(files) == 1:
        if signal:
            return [load(files[0], signal=name) for name in signal]
        found = load(files[0])
        return list(found.values()) if isinstance(found, dict) else [found]
    if len(signal) not in (0, 1, len(files)):
        raise click.UsageError(
            f"--signal: {len(signal)} names for {len(files)} file{'s' * (len(files) > 1)}: "
            "give one for all, or one for each"
        )
    names = list(signal) * (len(files) if len(signal) == 1 else 1) or [None] * len(files)
    return [one(path, name) for path, name in zip(files, names, strict=True)]


def _device(name: str | None) -> str | None:
    """The device, if this machine has it."""
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device {name}: {reason}: give cpu, or none") from None
    return name


def _once(caught: Sequence[warnings.WarningMessage]) -> list[str]:
    """What was warned of, each once."""
    return list(dict.fromkeys(f"warning: {each.message}" for each in caught))


def _renamed(data: Dataset, name: str) -> Dataset:
    kept = ("axes", "signal", "mask", "variance", "history", "metadata")
    array = data.tensor if data.lazy is None else data.lazy
    return Dataset(name, array, **{key: getattr(data, key) for key in kept})


def _masked(data: Dataset, path: Path) -> Dataset:
    """The data set with the mask of a file."""
    try:
        held = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"--mask {path}: cannot be read ({error}): write it with numpy.save"
        ) from None
    if not isinstance(held, np.ndarray):
        if len(held.files) != 1:
            raise ValueError(f"--mask {path}: holds {', '.join(held.files)}: keep one array in it")
        held = held[held.files[0]]
    return data.derive(
        data.tensor if data.lazy is None else data.lazy,
        f"mask {path.name}: {int(np.sum(held))} of {held.size} left out",
        mask=held,
    )


def _window(option: str, text: str) -> tuple[float | None, float | None]:
    """(first, last) of "500:560"; either may be missing."""
    try:
        low, high = (float(part) if part.strip() else None for part in text.split(":"))
    except ValueError:
        raise click.UsageError(f"{option} {text}: give first:last, for instance 500:560") from None
    return low, high


def _bin(text: str, data: Dataset) -> tuple[str, int]:
    """(axis, number) of "energy=2" or "2"."""
    name, _, number = text.rpartition("=")
    if not number.isdecimal():
        raise click.UsageError(f"--bin {text}: give a number of channels, or axis=number")
    return name or data.axes[-1].name, int(number)
