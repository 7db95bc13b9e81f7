"""The command line: what it says of itself, its commands, and how every complaint is told."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from fusion._version import __version__
from fusion.cli.compositions import compositions
from fusion.cli.demo import demo
from fusion.cli.fuse import fuse
from fusion.cli.info import info
from fusion.cli.interruption import as_exceptions, exit_status, last
from fusion.cli.plot import plot
from fusion.cli.rank import rank
from fusion.cli.unmix import unmix
from fusion.cli.words import cautions_in_lines, command_words


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; every complaint is one line on standard error.

    With SDFUSION_TRACEBACK=1 in the environment an error is raised as it is, to be reported.

    Returns:
        0; 1 if the answer could not be made, 2 if the call is wrong, 3 if a fit stopped before it
        converged (its answer is written), 130 after Ctrl-C and 143 after SIGTERM (a fit's best
        answer so far is written).
    """
    arguments = None if argv is None else list(argv)
    try:
        with as_exceptions(), cautions_in_lines(), _waiting(arguments or sys.argv[1:]):
            status = cli.main(args=arguments, prog_name="sdfusion", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as help_:
        print(help_.format_message())
        return 2
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "sdfusion"
        print(f"error: {_one_line(error.format_message())} (see {where} --help)", file=sys.stderr)
        return 2
    except click.Abort:
        print("interrupted: nothing is written", file=sys.stderr)
        return exit_status()
    except Exception as error:  # whatever it is: a traceback helps nobody at a command line
        if os.environ.get("SDFUSION_TRACEBACK"):
            raise
        print(f"error: {_complaint(error)}", file=sys.stderr)
        return 1
    if isinstance(status, int) and status:
        return status
    return exit_status() if last else 0  # stopped, and what there was is told


@contextmanager
def _waiting(arguments: Sequence[str]) -> Iterator[None]:
    """What is done now on standard error: kept up to date, or a line every half a minute."""
    from fusion.algebra.waiting import LOG, waiting

    shown, level = "--quiet" not in arguments, LOG.level
    name = next((word for word in arguments if not word.startswith("-")), "sdfusion")
    lines = logging.StreamHandler(sys.stderr)
    if shown and not sys.stderr.isatty():
        LOG.addHandler(lines)
        LOG.setLevel(logging.INFO)
    try:
        with waiting(name, shown):
            yield
    finally:
        LOG.removeHandler(lines)
        LOG.setLevel(level)


def _complaint(error: Exception) -> str:
    """What is wrong, in a line; where something is to be chosen, a line for each choice."""
    if hasattr(error, "contents"):
        from fusion.cli.chosen_files import quoted_lines  # needs torch, as such an error did

        return quoted_lines(error)  # type: ignore[arg-type]
    lines = map(_one_line, command_words(str(error)).strip().split("\n  "))  # choices are indented
    text = "\n  ".join(lines)
    if isinstance(error, MemoryError):
        said = text or "no more is said"
        return f"out of memory ({said}): cut or sum the data, --energy A:B, --bin N, --bin y=N"
    return text or type(error).__name__


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
    sdfusion fuse dual.dm4 --plural -k 3 -o answer   EELS and its low loss: single scattering, t/λ
    sdfusion compositions map.emd -e Sr,Ti,O -k 3 -o answer     X-rays in at.%, thickness, errors
    sdfusion plot map.dm4 -o picture.png             total map, mean spectrum, singular values
    sdfusion plot answer/result.npz -o picture.pdf   draw an answer again
    sdfusion plot answer/result.npz -o page.html     the same as a page for a browser

    Reads npz and npy, and with `pip install "sdfusion[io]"` all that RosettaSciIO does.

    \b
    Exit status:
    0    all is well
    1    the answer could not be made: nothing is written, a former answer is as it was
    2    the call is wrong
    3    a fit stopped before it converged: what is written is no answer yet, and says so
    130  Ctrl-C, 143  SIGTERM: a fit's best answer so far is written, and says so
    """


COMMANDS = (demo, info, rank, unmix, fuse, compositions, plot)
"""A command stands in a file of its name."""

for command in COMMANDS:
    cli.add_command(command)
