"""What `unmix` and `fuse` do: fit the data sets of files, and write the answer."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import torch

from fusion.algebra.cautions import NoiseWarning
from fusion.cli.answer_folder import answer_folder
from fusion.cli.chosen_files import Chosen
from fusion.cli.interruption import deferred, exit_status
from fusion.cli.named_options import by_dataset, split_name
from fusion.cli.output import json_report, print_answer, write_answer
from fusion.cli.prepared_data import prepared
from fusion.cli.used import used_lines, used_report
from fusion.cli.words import command_words
from fusion.data.dataset import Dataset
from fusion.data.signal_type import signal_type
from fusion.data.tally import tally
from fusion.engine.status import Status
from fusion.language.loss import Loss
from fusion.losses import ARD, Frobenius, Gaussian, Poisson, SoftOrthogonality
from fusion.models import NMF, SharedMaps, SharedSpectra
from fusion.prepare.noticed_text import zero_peak_advice
from fusion.prepare.single_spectrum import no_map
from fusion.search.fit import fit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fusion.answers.result import Result
    from fusion.cli.findings import Findings

MAX_STEPS = 10_000  # what stops a fit that never converges
AUTO = "auto"
LOSSES = {"frobenius": Frobenius, "gaussian": Gaussian, "poisson": Poisson}
STOPPED = 3  # exit status where a fit stopped before it converged


def fit_files(
    files: Sequence[Path],
    *,
    k: int,
    output: Path,
    loss: Sequence[str],
    orthogonality: float,
    ard: bool,
    starts: int,
    race: bool,
    seed: int,
    device: str | None,
    max_seconds: float | None,
    as_json: bool,
    quiet: bool,
    joint: bool = False,
    share: str | None = None,
    **reading: Any,
) -> None:
    """Fit the data sets of the files, and write the answer."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        chosen = prepared(files, joint=joint, **reading)
        datasets = [each.data for each in chosen]
        if not joint and datasets[0].signal == 0:
            raise click.UsageError(
                f"{datasets[0].name} is an image: unmix needs spectra; fuse takes images, too"
            )
        if not joint and (alone := no_map(datasets[0])):
            raise click.UsageError(f"{datasets[0].name}: {command_words(alone)}")
        for data in datasets:
            if told := zero_peak_advice(data):
                warnings.warn(told, NoiseWarning, stacklevel=2)
        losses = losses_by_dataset(loss, datasets)
        model = _build_model(chosen, k, joint, share)
        formula = Loss([(1.0, LOSSES[losses[data.name]](data)) for data in datasets])
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
                race=race,
                seed=seed,
                device=checked_device(device),
                max_seconds=max_seconds,
                max_steps=MAX_STEPS,
                progress=not quiet,
            )
            known = {f"warning: {message}" for message in result.messages}
            result.messages.extend(text for text in unique(caught) if text not in known)
            report = json_report(result, used_report(chosen, losses))
            used = used_lines(chosen, losses)
            give_answer(result, output, report, as_json=as_json, quiet=quiet, used=used)


def give_answer(
    result: Result,
    output: Path,
    report: Mapping[str, Any],
    *,
    as_json: bool,
    quiet: bool,
    figure: Figure | None = None,
    used: Sequence[str] = (),
    findings: Findings | None = None,
) -> None:
    """Write the answer and tell of it, whatever signal comes; then leave with the status it has."""
    with deferred() as signals:
        written = write_answer(result, output, figure, used, findings)
        how = {"as_json": as_json, "quiet": quiet, "used": used, "findings": findings}
        print_answer(result, report, output, written, **how)
    if signals or result.status == Status.INTERRUPTED.value:
        raise click.exceptions.Exit(exit_status())
    if not result.converged:
        raise click.exceptions.Exit(STOPPED)


def losses_by_dataset(texts: Sequence[str], datasets: Sequence[Dataset]) -> dict[str, str]:
    """The name of the loss of each data set; `auto` asks the data.

    Raises:
        click.UsageError: if there is no such loss, or no such data set.
    """
    entries = [split_name("--loss", text, [data.name for data in datasets]) for text in texts]
    for entry in entries:
        if entry.value not in (AUTO, *LOSSES):
            raise click.UsageError(f"--loss {entry.text}: give one of {', '.join((AUTO, *LOSSES))}")
    chosen = by_dataset("--loss", entries, datasets, lambda data, value, named: "")
    asked = {data.name: chosen.get(data.name, AUTO) for data in datasets}
    return {
        data.name: _fitting_loss(data) if asked[data.name] == AUTO else asked[data.name]
        for data in datasets
    }


def _fitting_loss(data: Dataset) -> str:
    """The loss that the data suggest."""
    if data.variance is not None:
        return "frobenius"
    try:
        return "poisson" if data.noise().counts else "gaussian"
    except ValueError:  # too few of them tell: X-rays are counted one by one
        stats = tally(data)
        xrays = signal_type(data.channels, data.metadata).startswith("EDS")
        return "poisson" if xrays and stats.whole and stats.minimum >= 0 else "gaussian"


def _build_model(chosen: Sequence[Chosen], k: int, joint: bool, share: str | None) -> Any:
    """The model of one data set, or of several.

    Raises:
        click.UsageError: if it is said what is shared, and one data set is there.
    """
    datasets = [each.data for each in chosen]
    if not joint:
        return NMF(datasets[0], k)
    if share is not None and len(datasets) == 1:
        left = f", left out: {', '.join(chosen[0].left)}" if chosen[0].left else ""
        raise click.UsageError(
            f"--share {share}: one data set is there, {datasets[0].name}{left}: name others with "
            "--signal, give more files, or leave it away"
        )
    return (SharedSpectra if share == "spectra" else SharedMaps)(*datasets, K=k)


def checked_device(name: str | None) -> str | None:
    """The device, if this machine has it."""
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device {name}: {reason}: give cpu, or none") from None
    return name


def unique(caught: Sequence[warnings.WarningMessage]) -> list[str]:
    """What was warned of, each once."""
    return list(dict.fromkeys(f"warning: {each.message}" for each in caught))
