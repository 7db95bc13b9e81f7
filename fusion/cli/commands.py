"""What `info`, `rank`, `unmix`, `fuse` and `plot` do."""

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
from fusion.cli.output import check_writable, json_report, print_answer, write_answer
from fusion.files import one
from fusion.language.loss import Loss
from fusion.language.term import Term
from fusion.losses import ARD, Frobenius, Gaussian, Poisson, SoftOrthogonality
from fusion.models import NMF, SharedMaps, SharedSpectra

MAX_STEPS = 10_000  # --max-seconds is what stops a fit


def info(file: Path, signal: str | None, as_json: bool) -> None:
    """Describe what is in a file."""
    from fusion.prepare.inspection import inspect

    inspections = [inspect(data) for data in _all_datasets(file, signal)]
    if as_json:
        print(json.dumps([each.as_dict() for each in inspections]))
    else:
        print("\n\n".join(str(each) for each in inspections))


def plot(file: Path, signal: str | None, output: Path) -> None:
    """Draw a result that was saved, or a data set."""
    from fusion.answers.storage import is_result

    if output.suffix.lower() == ".html" and is_result(file):
        _write_page(Result.load(file), output)
        return
    kind = _picture_format(output)
    _write_picture(Result.load(file) if is_result(file) else one(file, signal), output, kind)


def _write_page(result: Result, output: Path) -> None:
    """A saved answer as a page for a browser."""
    try:
        result.report(output)
    except ImportError as error:
        raise ValueError(str(error)) from None


def _picture_format(output: Path) -> str:
    """Format of a picture, by its name."""
    kind = output.suffix.lower().removeprefix(".")
    if kind not in ("png", "pdf", "svg"):
        raise click.UsageError(f"-o {output}: give a name that ends in .png, .pdf or .svg")
    return kind


def _write_picture(drawn: Any, output: Path, kind: str) -> None:
    """Its picture, whole or not at all."""
    from fusion.answers.storage import atomic_write

    with atomic_write(output) as opened:
        drawn.plot().savefig(opened, format=kind, dpi=200)


def rank(
    file: Path, *, quick: bool, output: Path | None, seed: int, as_json: bool, **reading: Any
) -> None:
    """How many components there are."""
    from fusion.ranking import rank

    kind = _picture_format(output) if output else ""
    with warnings.catch_warnings(record=True):  # of correlated noise: the ranking says it
        warnings.simplefilter("always", UserWarning)
        (data,) = _prepared([file], joint=False, **reading)
    ranking = rank(data, ard=not quick, stability=not quick, seed=seed)
    if output:
        _write_picture(ranking, output, kind)
    print(json.dumps(ranking.as_dict()) if as_json else ranking)


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
        datasets = _prepared(files, joint=share is not None, **reading)
        model = _build_model(datasets, k, share)
        formula = Loss([(1.0, _fit_term(data, loss)) for data in datasets])
        maps = [n for n in model.factors if n.startswith("C")]
        for name in maps if orthogonality else ():
            formula = formula + orthogonality * SoftOrthogonality(name)
        for name in maps if ard else ():
            formula = formula + ARD(name)
        formula.check(model)
        check_writable(output)
        result = fit(
            model,
            formula,
            starts=starts,
            seed=seed,
            device=_checked_device(device),
            max_seconds=max_seconds,
            max_steps=MAX_STEPS,
            progress=not quiet and sys.stderr.isatty(),
        )
    if not np.isfinite(result.loss):
        raise ValueError(result.status)
    result.messages.extend(_unique(caught))
    written = write_answer(result, output)
    print_answer(result, json_report(result), output, written, as_json=as_json, quiet=quiet)


def _fit_term(data: Dataset, loss: str) -> Term:
    """The fit of one data set; `auto` asks the data."""
    if loss == "auto":
        if data.variance is not None:
            return Frobenius(data)
        try:
            return Poisson(data) if data.noise().counts else Gaussian(data)
        except ValueError:
            return Gaussian(data)
    return {"frobenius": Frobenius, "gaussian": Gaussian, "poisson": Poisson}[loss](data)


def _build_model(datasets: Sequence[Dataset], k: int, share: str | None) -> Any:
    if share == "spectra":
        return SharedSpectra(*datasets, K=k)
    return SharedMaps(*datasets, K=k) if share == "maps" else NMF(datasets[0], k)


def _prepared(
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
    datasets = _one_of_each(files, signal, joint)
    if len({d.name for d in datasets}) < len(datasets):
        datasets = [data.renamed(path.stem) for data, path in zip(datasets, files, strict=True)]
    wanted = _parse_window("--energy", energy) if energy else (None, None)
    window = _parse_window("--background-window", background_window) if background_window else None
    hull = wanted if window is None else _enclosing_window(wanted, window)
    ready = []
    for data in datasets:
        if mask is not None:
            data = data.masked(_single_array("--mask", mask))
        spectra = data.signal == 1  # what follows is of no meaning for an image beside them
        if spectra and hull != (None, None):
            data = data.crop(**{data.channels[0].name: hull})
        if groups := dict(_parse_bin(text, data) for text in bins if spectra or "=" in text):
            data = data.bin(**groups)
        if spectra:
            data = _with_variance(data, variance)
        if spectra and window is not None:
            data = data.subtract_background(window)
            if wanted != (None, None):
                data = data.crop(**{data.channels[0].name: wanted})
        ready.append(data)
    return ready


def _all_datasets(file: Path, signal: str | None) -> list[Dataset]:
    """All data sets of a file, or the one of this name."""
    datasets = load(file) if signal is None else load(file, signal=signal)
    return list(datasets.values()) if isinstance(datasets, dict) else [datasets]


def _one_of_each(files: Sequence[Path], signal: Sequence[str], joint: bool) -> list[Dataset]:
    """All data sets of one file where they are fitted together, else one of every file."""
    if joint and len(files) == 1:
        if signal:
            return [load(files[0], signal=name) for name in signal]
        return _all_datasets(files[0], None)
    if len(signal) not in (0, 1, len(files)):
        raise click.UsageError(
            f"--signal: {len(signal)} names for {len(files)} file{'s' * (len(files) > 1)}: "
            "give one for all, or one for each"
        )
    names = list(signal) * (len(files) if len(signal) == 1 else 1) or [None] * len(files)
    return [one(path, name) for path, name in zip(files, names, strict=True)]


def _checked_device(name: str | None) -> str | None:
    """The device, if this machine has it."""
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device {name}: {reason}: give cpu, or none") from None
    return name


def _unique(caught: Sequence[warnings.WarningMessage]) -> list[str]:
    """What was warned of, each once."""
    return list(dict.fromkeys(f"warning: {each.message}" for each in caught))


def _single_array(option: str, path: Path) -> Any:
    """The one array of a file."""
    try:
        loaded = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise ValueError(f"{option} {path}: no such file: check the name and the folder") from None
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{option} {path}: cannot be read ({error}): write it with numpy.save"
        ) from None
    if isinstance(loaded, np.ndarray):
        return loaded
    if len(loaded.files) != 1:
        raise ValueError(f"{option} {path}: holds {', '.join(loaded.files)}: keep one array in it")
    return loaded[loaded.files[0]]


def _parse_window(option: str, text: str) -> tuple[float | None, float | None]:
    """(first, last) of "500:560"; either may be missing."""
    try:
        low, high = (float(part) if part.strip() else None for part in text.split(":"))
    except ValueError:
        raise click.UsageError(f"{option} {text}: give first:last, for instance 500:560") from None
    return low, high


def _enclosing_window(wanted: Any, window: Any) -> tuple[float | None, float | None]:
    """Energies that are needed where those of the window are needed first."""
    low, high = zip(wanted, window, strict=True)
    first = window[0] if wanted[0] is None else None if None in low else min(low)
    return first, None if None in high else max(high)


def _with_variance(data: Dataset, variance: str) -> Dataset:
    """The data set with the variance that was asked for: none, estimate, a number or a file."""
    if variance == "none":
        return data
    if variance == "estimate":
        return data.estimate_variance()
    try:
        value = float(variance)
    except ValueError:
        value = _single_array("--variance", Path(variance))
    return data.with_variance(value)


def _parse_bin(text: str, data: Dataset) -> tuple[str, int]:
    """(axis, number) of "energy=2" or "2"."""
    name, _, number = text.rpartition("=")
    if not number.isdecimal():
        raise click.UsageError(f"--bin {text}: give a number of channels, or axis=number")
    return name or data.axes[-1].name, int(number)
