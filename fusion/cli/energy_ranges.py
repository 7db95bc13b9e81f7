"""Which of the data sets are the low loss and the core loss of one scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import click

from fusion.algebra.units import in_units
from fusion.cli.chosen_files import Chosen, in_quotes
from fusion.cli.named_options import kind_of
from fusion.cli.used import extent
from fusion.data.dataset import Dataset
from fusion.data.signal_type import ENERGIES, signal_type

CORE, LOW = "core loss", "low loss"


def core_and_low(chosen: Sequence[Chosen]) -> tuple[Chosen, Chosen]:
    """(core loss, low loss): the energies of the low loss hold zero, those of the core loss do not.

    Images beside them are left out, and told with the core loss.

    Raises:
        click.UsageError: if there is not one of each, or other spectra are there; with what to
            name.
    """
    spectra = [each for each in chosen if each.data.signal]
    for each in spectra:
        if why := _none_of_eels(each.data):
            raise click.UsageError(
                f"--plural: {each.data.name} {why}: it takes a core loss and a low loss alone: "
                f"{_named(chosen, [e for e in spectra if not _none_of_eels(e.data)])}"
            )
    low = [each for each in spectra if _holds_zero(each.data)]
    core = [each for each in spectra if each not in low]
    if len(low) != 1 or len(core) != 1:
        raise click.UsageError(f"--plural: {_told(low, core)}: {_mended(chosen, low, core)}")
    images = [f"{e.data.name} (image)" for e in chosen if not e.data.signal]
    beside = tuple(name for name in images if name not in core[0].left)
    return replace(core[0], left=(*core[0].left, *beside)), low[0]


def _none_of_eels(data: Dataset) -> str:
    """Why spectra are none of energy losses, or ""."""
    if data.signal != 1:
        return kind_of(data)
    kind, axis = signal_type(data.channels, data.metadata), data.channels[0]
    if kind and not kind.startswith("EELS"):
        return f"is {kind}"
    if axis.units not in ENERGIES:
        return f"has {axis.name} in {axis.units or 'no unit'}, not energy losses in eV"
    return ""


def _holds_zero(data: Dataset) -> bool:
    energies = in_units(data.channels[0], "eV", "--plural").values
    return bool(energies.min() <= 0 <= energies.max())


def _told(low: Sequence[Chosen], core: Sequence[Chosen]) -> str:
    """How many of each there are, and from where to where each runs."""
    return ", ".join(
        f"{len(some) or 'no'} {kind}{'es' * (len(some) > 1)}{_runs(some)}"
        for kind, some in ((LOW, low), (CORE, core))
    )


def _runs(some: Sequence[Chosen]) -> str:
    told = [f"{each.data.name} {extent(each.data.channels[0])}" for each in some]
    return f" ({', '.join(told)})" if told else ""


def _mended(chosen: Sequence[Chosen], low: Sequence[Chosen], core: Sequence[Chosen]) -> str:
    """What to give so that there is one of each."""
    if not low:
        return (
            "the energies of a low loss hold zero, with all of the zero-loss peak: give its file, "
            "too, or correct its energies"
        )
    if not core:
        return "the energies of a core loss lie above zero: give its file, too"
    return _named(chosen, [core[0], low[0]])


def _named(chosen: Sequence[Chosen], wanted: Sequence[Chosen]) -> str:
    """How to name those that are wanted: in one file, or by their files."""
    if len({each.path for each in chosen}) > 1 or len(wanted) < 2:
        return "give the files of these two alone"
    names = " ".join(f'--signal "{in_quotes(each.stored)}"' for each in wanted)
    return f"give {names}"
