"""Commands and options. What computes is imported when a command runs: `--help` is quick."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from fusion._version import __version__

FILE = click.Path(path_type=Path)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; every complaint is one line on standard error.

    Returns:
        0, or 1 if the answer could not be made, 2 if the call is wrong, 130 if interrupted.
    """
    try:
        cli.main(
            args=None if argv is None else list(argv), prog_name="sdfusion", standalone_mode=False
        )
    except click.exceptions.NoArgsIsHelpError as help_:
        print(help_.format_message())
        return 2
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "sdfusion"
        print(f"error: {_one_line(error.format_message())} (see {where} --help)", file=sys.stderr)
        return 2
    except click.Abort:
        print("interrupted: nothing is written", file=sys.stderr)
        return 130
    except (ValueError, OSError, EOFError, RuntimeError) as error:
        print(f"error: {_one_line(str(error)) or type(error).__name__}", file=sys.stderr)
        return 1
    return 0


def _one_line(text: str) -> str:
    return " ".join(text.split())


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="sdfusion")
def cli() -> None:
    """Maps and spectra from spectrum images of one or several detectors.

    \b
    sdfusion demo -o demo                            see what it does
    sdfusion info map.dm4                            what is in a file, its noise, advice on K
    sdfusion rank map.dm4                            how many components, by several criteria
    sdfusion unmix map.dm4 -k 3 -o answer            one data set
    sdfusion fuse map.emd -k 3 -o answer             all detectors of a scan: the same maps
    sdfusion fuse a.npz b.npz -k 3 --share spectra -o answer    several scans: the same spectra
    sdfusion plot map.dm4 -o picture.png             total map, mean spectrum, singular values
    sdfusion plot answer/result.npz -o picture.pdf   draw an answer again
    sdfusion plot answer/result.npz -o page.html     the same as a page for a browser

    Reads npz and npy, and with `pip install "sdfusion[io]"` all that RosettaSciIO does. Exit
    status: 0, 1 where the answer could not be made, 2 where the call is wrong.
    """


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
    click.option("--variance", metavar="none|estimate|V", default="none", show_default=True,
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
                 help="Soft orthogonality of the maps, review eq. (13), 0 to 1."),
    click.option("--ard", is_flag=True, help="Switch off components that are not needed."),
    click.option("--starts", type=click.IntRange(min=1), default=10, show_default=True,
                 help="Random starts."),
    click.option("--seed", type=int, default=0, show_default=True, help="Of the starts."),
    click.option("--device", metavar="NAME", help="cpu, cuda … (default: cpu)."),
    click.option("--max-seconds", type=click.FloatRange(min=0, min_open=True), default=120.0,
                 show_default=True, help="Stop the fit after that long."),
)  # fmt: skip
SAYING = combined_options(
    click.option("--json", "as_json", is_flag=True, help="Summary for machines, on stdout."),
    click.option("--quiet", is_flag=True, help="No text, no progress."),
)


@cli.command()
@click.option("-o", "--output", type=FILE, metavar="DIR", default=Path("sdfusion-demo"),
              show_default=True, help="Folder for the answer; made if need be.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Of scene and starts.")
@SAYING
def demo(**given: Any) -> None:
    """Simulate EELS and EDXS of one scan; analyse each alone and both together."""
    from fusion.cli.demo import demo

    demo(**given)


@cli.command()
@click.argument("file", type=FILE)
@click.option("--signal", metavar="NAME", help="Which data set, of several; default: all.")
@click.option("--json", "as_json", is_flag=True, help="For machines, on standard output.")
def info(**given: Any) -> None:
    """What is in FILE: axes, counts, noise, and how many components stand out of it."""
    from fusion.cli.commands import info

    info(**given)


@cli.command()
@click.argument("file", type=FILE)
@READING
@click.option("--quick", is_flag=True, help="Leave out what fits: ARD and stability over starts.")
@click.option(
    "-o", "--output", type=FILE, metavar="PICTURE", help="Draw the criteria: png, pdf or svg."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of what is drawn.")
@click.option("--json", "as_json", is_flag=True, help="For machines, on standard output.")
def rank(**given: Any) -> None:
    """How many components FILE shows: criteria side by side, and a recommendation."""
    from fusion.cli.commands import rank

    rank(**given)


@cli.command()
@click.argument("file", type=FILE)
@READING
@FITTING
@SAYING
def unmix(file: Path, **given: Any) -> None:
    """Factorise one data set into K maps and spectra.

    Writes result.npz, summary.txt, figure.png, spectra.csv and report.html into DIR; the last, maps
    linked to spectra for any browser, needs `pip install "sdfusion[report]"`.
    """
    from fusion.cli.commands import unmix

    unmix([file], **given)


@cli.command()
@click.argument("files", type=FILE, nargs=-1, required=True)
@click.option("--share", type=click.Choice(["maps", "spectra"]), default="maps", show_default=True,
              help="What the data sets have in common.")  # fmt: skip
@READING
@FITTING
@SAYING
def fuse(files: tuple[Path, ...], **given: Any) -> None:
    """Factorise several data sets together: all signals of one file, or one of every file.

    Put the detector first that sees every component. --energy, --bin and the like are for spectra
    that have such energies; what they do not fit is an error.
    """
    from fusion.cli.commands import unmix

    unmix(list(files), **given)


@cli.command()
@click.argument("file", type=FILE)
@click.option("--signal", metavar="NAME", help="Which data set, of several.")
@click.option("-o", "--output", type=FILE, metavar="PICTURE", default=Path("figure.png"),
              show_default=True, help="png, pdf or svg; of an answer also html.")  # fmt: skip
def plot(**given: Any) -> None:
    """Draw an answer (result.npz) again, or the data of a file."""
    from fusion.cli.commands import plot

    plot(**given)
