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


def at_most_one(
    context: click.Context, option: click.Parameter, value: tuple[str, ...]
) -> str | None:
    """Complain of a second one, which would put the first aside in silence."""
    if len(value) > 1:
        raise click.BadParameter(f"{', '.join(value)}: give one.")
    return value[0] if value else None


def flag_of(option: str) -> str:
    """How an option of a reader is given."""
    return f"--{option}" if option in ("segments", "dataset") else f"--reader {option}"


def with_threads(context: click.Context, option: click.Parameter, value: int | None) -> None:
    """All that the command does, within so many threads."""
    if value is not None:
        from fusion.algebra.threads import limited_threads

        context.with_resource(limited_threads(value))


SIGNAL = click.option("--signal", metavar="NAME", multiple=True, callback=at_most_one,
                      help="Which data set, of several.")  # fmt: skip
READER = combined_options(
    click.option("--reader", metavar="OPTION=VALUE", multiple=True,
                 help="Of the reader of this format: --reader index=1 (Bruker), --reader "
                 "rebin_energy=4 (Velox); repeatable."),
    click.option("--segments", is_flag=True,
                 help="Segments of an X-ray detector as a stack, not as their sum."),
    click.option("--dataset", metavar="PATH", multiple=True, callback=at_most_one,
                 help="Of HDF5, by its path in the file: /a/b."),
)  # fmt: skip
PARTS = combined_options(
    click.option("--energy", metavar="[NAME=]A:B", multiple=True,
                 help="Crop to these energies, in the file's unit. NAME, here and below: for this "
                 "data set alone, as in --energy eels=95:150; without it, for all that it can "
                 "mean."),
    click.option("--wavelength", metavar="[NAME=]A:B", multiple=True, help="The same of light."),
    click.option("--wavenumber", metavar="[NAME=]A:B", multiple=True, help="The same of Raman."),
    click.option("--channels", metavar="[NAME=]A:B", multiple=True,
                 help="Crop to channels by number, A and B among them, the first is 0."),
    click.option("--bin", "bins", metavar="[NAME:][AXIS=]N", multiple=True,
                 help="Sum N channels, or N entries of an axis: --bin 2, --bin y=2, --bin eels=2, "
                 "--bin eels:y=2. A word before = is a data set where one has that name, else an "
                 "axis; where both are there, write NAME:AXIS=N, or :AXIS=N for all."),
)  # fmt: skip
READING = combined_options(
    click.option("--signal", metavar="NAME", multiple=True,
                 help="Which data set, of several; of several files one each, or one for all."),
    READER,
    PARTS,
    click.option("--background-window", metavar="[NAME=]A:B", multiple=True,
                 help="Subtract a power law that is fitted between these energies, which may lie "
                 "outside --energy; what is below them is cut off."),
    click.option("--variance", metavar="[NAME=]none|estimate|V", multiple=True,
                 help="Weigh the data by the noise that they show; or V, a number or a file "
                 "(npy, npz), of the data as they are cropped and binned; images by NAME "
                 "only.  [default: none]"),
    click.option("--mask", metavar="[NAME=]FILE", multiple=True,
                 help="Booleans (npy, npz): True is left out; in the array's order, y before x."),
)  # fmt: skip
THREADS = click.option("--threads", type=click.IntRange(min=1), metavar="N", expose_value=False,
                       callback=with_threads,
                       help="Of the CPU, at most.  [default: as many as suit]")  # fmt: skip
FITTING = combined_options(
    click.option("-k", "--components", "k", type=click.IntRange(min=1), required=True, metavar="K",
                 help="Number of components."),
    click.option("-o", "--output", type=FILE, metavar="DIR", default=Path("sdfusion-result"),
                 show_default=True, help="Folder for the answer; made if need be."),
    click.option("--loss", metavar="[NAME=]auto|frobenius|gaussian|poisson", multiple=True,
                 help="auto, the default: poisson for counts, else frobenius with a variance or "
                 "gaussian (noise of unknown size)."),
    click.option("--orthogonality", type=click.FloatRange(0, 1), default=0.0, metavar="W",
                 callback=finite,
                 help="Soft orthogonality of the maps, review eq. (13), 0 to 1."),
    click.option("--ard", is_flag=True, help="Switch off components that are not needed."),
    click.option("--starts", type=click.IntRange(min=1), default=10, show_default=True,
                 help="Random starts."),
    click.option("--race/--no-race", default=True, show_default=True,
                 help="Drop starts that fall behind; or run every one to its end."),
    click.option("--seed", type=int, default=0, show_default=True, help="Of the starts."),
    click.option("--device", metavar="NAME", help="cpu, cuda … (default: cpu)."),
    click.option("--max-seconds", type=click.FloatRange(min=0, min_open=True),
                 callback=finite, help="Stop the fit after that long (default: no limit)."),
    THREADS,
)  # fmt: skip
SAYING = combined_options(
    click.option("--json", "as_json", is_flag=True, help="Summary for machines, on stdout."),
    click.option("--quiet", is_flag=True, help="No text, no progress."),
)
