"""What `unmix` and `fuse` do: fit the data sets of files, and write the answer."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import torch

from fusion.cli.answer_folder import answer_folder
from fusion.cli.interruption import deferred, exit_status
from fusion.cli.output import json_report, print_answer, write_answer
from fusion.cli.prepared_data import prepared
from fusion.data.dataset import Dataset
from fusion.engine.status import Status
from fusion.language.loss import Loss
from fusion.language.term import Term
from fusion.losses import ARD, Frobenius, Gaussian, Poisson, SoftOrthogonality
from fusion.models import NMF, SharedMaps, SharedSpectra
from fusion.search.fit import fit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fusion.answers.result import Result

MAX_STEPS = 10_000  # what stops a fit that never converges
STOPPED = 3  # exit status where a fit stopped before it converged


def fit_files(
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
    max_seconds: float | None,
    as_json: bool,
    quiet: bool,
    share: str | None = None,
    **reading: Any,
) -> None:
    """Fit the data sets of the files, and write the answer."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        datasets = prepared(files, joint=share is not None, **reading)
        model = _build_model(datasets, k, share)
        formula = Loss([(1.0, _fit_term(data, loss)) for data in datasets])
        maps = [n for n in model.factors if n.startswith("C")]
        for name in maps if orthogonality else ():
            formula = formula + orthogonality * SoftOrthogonality(name)
        for name in maps if ard else ():
            formula = formula + ARD(name)
        formula.check(model)
        with answer_folder(output):
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
            known = {f"warning: {message}" for message in result.messages}
            result.messages.extend(text for text in _unique(caught) if text not in known)
            give_answer(result, output, json_report(result), as_json=as_json, quiet=quiet)


def give_answer(
    result: Result,
    output: Path,
    report: Mapping[str, Any],
    *,
    as_json: bool,
    quiet: bool,
    figure: Figure | None = None,
) -> None:
    """Write the answer and tell of it, whatever signal comes; then leave with the status it has."""
    with deferred() as signals:
        written = write_answer(result, output, figure)
        print_answer(result, report, output, written, as_json=as_json, quiet=quiet)
    if signals or result.status == Status.INTERRUPTED.value:
        raise click.exceptions.Exit(exit_status())
    if not result.converged:
        raise click.exceptions.Exit(STOPPED)


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
