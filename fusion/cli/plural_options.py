"""Options of `fuse --plural`, and which others go with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from click.core import ParameterSource

from fusion.cli.options import combined_options, finite

ITS_OWN = {
    "share": "both ranges have the maps in common",
    "loss": "it is least squares with the variance of the core loss",
    "orthogonality": "--overlap keeps the maps apart",
    "ard": "give -k K: sdfusion rank tells how many",
    "background_window": "the background is a part of the fit",
}
"""Options of other fits: why they are none of this one."""
ONLY = ("onset", "exponents", "zero_loss", "overlap")


def _exponents(
    context: click.Context, option: click.Parameter, value: str | None
) -> tuple[float, ...] | None:
    """ "2.6,3.4" as numbers."""
    if value is None:
        return None
    try:
        found = tuple(float(part) for part in value.split(","))
    except ValueError:
        found = ()
    if not found or not all(0 < each < 100 for each in found):
        raise click.BadParameter(f"{value}: give numbers above 0, such as 2.6,3.4")
    return found


PLURAL = combined_options(
    click.option("--plural", is_flag=True,
                 help="EELS: plural scattering inside the fit, of a core loss and its low loss; "
                 "which is which the energies tell."),
    click.option("--onset", type=float, metavar="EV", callback=finite,
                 help="With --plural, as the next three: the first edge of the core loss.  "
                 "[default: looked for]"),
    click.option("--exponents", metavar="R,R", callback=_exponents,
                 help="Power laws of the background.  [default: 2.6,3.4]"),
    click.option("--zero-loss", metavar="A:B",
                 help="From where to where the zero-loss peak goes.  [default: looked for]"),
    click.option("--overlap", type=click.FloatRange(min=0), metavar="W", callback=finite,
                 help="Weight of maps that lie on each other, 4 to 100.  [default: 20]"),
)  # fmt: skip


def check_options(given: Mapping[str, Any]) -> None:
    """Complain of options that the fit cannot use: with --plural of others', without of its own.

    Raises:
        click.UsageError: with what to do.
    """
    context = click.get_current_context()
    chosen = {
        name
        for name in given
        if context.get_parameter_source(name) not in (ParameterSource.DEFAULT, None)
    }
    if not given["plural"]:
        if extra := [name for name in ONLY if name in chosen]:
            raise click.UsageError(f"{_flag(extra[0])}: goes with --plural: give it, too")
        return
    for name, why in ITS_OWN.items():
        if name in chosen:
            raise click.UsageError(f"{_flag(name)}: not with --plural: {why}: leave it away")
    if any(text.split("=")[-1].strip() == "none" for text in given["variance"]):
        raise click.UsageError(
            "--variance none: not with --plural, whose weights are in units of the noise: leave it "
            "away, and it is estimated"
        )


def model_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the model that were given."""
    from fusion.cli.windows import parsed_window  # needs torch, which the help does without

    zero = given["zero_loss"]
    if zero is not None:
        zero = parsed_window("--zero-loss", zero)
        if None in zero:
            raise click.UsageError(f"--zero-loss {given['zero_loss']}: give both ends, -3:3")
    named = {"onset": given["onset"], "exponents": given["exponents"], "zero_loss": zero}
    return {name: value for name, value in named.items() if value is not None}


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
