"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from pathlib import Path

import click

FILE = click.Path(path_type=Path)


def finite(context: click.Context, option: click.Parameter, value: float | None) -> float | None:
    """Complain of a number that is none: ranges let NaN through."""
    if value is not None and not isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number.")
    return value


def combined_options(*chosen: Callable) -> Callable:
    """Several click options as one decorator, in this order."""

    def decorate(command: Callable) -> Callable:
        for option in reversed(chosen):
            command = option(command)
        return command

    return decorate


READING = combined_options(
    click.option("--signal", metavar="NAME", multiple=True, help="Which data set, of several."),
    click.option("--energy", metavar="A:B", help="Crop to these energies, in the file's unit."),
    click.option("--bin", "bins", metavar="N|AXIS=N", multiple=True,
                 help="Sum N channels, or N entries of an axis: --bin energy=2 --bin y=2."),
    click.option("--background-window", metavar="A:B",
                 help="Subtract a power law that is fitted between these energies, which may lie "
                 "outside --energy; what is below them is cut off."),
    click.option("--variance", metavar="[NAME=]none|estimate|V", multiple=True, default=("none",),
                 show_default=True,
                 help="Weigh the data by the noise that they show; or V, a number or a file "
                 "(npy, npz), of the data as they are cropped and binned."),
    click.option("--mask", type=FILE, metavar="FILE",
                 help="Booleans (npy, npz): True is left out; in the array's order, y before x."),
)  # fmt: skip
FITTING = combined_options(
    click.option("-k", "--components", "k", type=click.IntRange(min=1), required=True, metavar="K",
                 help="Number of components."),
    click.option("-o", "--output", type=FILE, metavar="DIR", default=Path("sdfusion-result"),
                 show_default=True, help="Folder for the answer; made if need be."),
    click.option("--loss", type=click.Choice(["auto", "frobenius", "gaussian", "poisson"]),
                 default="auto", show_default=True,
                 help="auto: poisson for counts, else frobenius with a variance or gaussian "
                 "(noise of unknown size)."),
    click.option("--orthogonality", type=click.FloatRange(0, 1), default=0.0, metavar="W",
                 callback=finite,
                 help="Soft orthogonality of the maps, review eq. (13), 0 to 1."),
    click.option("--ard", is_flag=True, help="Switch off components that are not needed."),
    click.option("--starts", type=click.IntRange(min=1), default=10, show_default=True,
                 help="Random starts."),
    click.option("--seed", type=int, default=0, show_default=True, help="Of the starts."),
    click.option("--device", metavar="NAME", help="cpu, cuda … (default: cpu)."),
    click.option("--max-seconds", type=click.FloatRange(min=0, min_open=True),
                 callback=finite, help="Stop the fit after that long (default: no limit)."),
)  # fmt: skip
SAYING = combined_options(
    click.option("--json", "as_json", is_flag=True, help="Summary for machines, on stdout."),
    click.option("--quiet", is_flag=True, help="No text, no progress."),
)
