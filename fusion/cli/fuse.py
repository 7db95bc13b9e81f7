"""`sdfusion fuse`: several data sets together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fusion.cli.options import FILE, FITTING, READING, SAYING
from fusion.cli.plural_options import ONLY, PLURAL, check_options


@click.command()
@click.argument("files", type=FILE, nargs=-1, required=True)
@click.option("--share", type=click.Choice(["maps", "spectra"]),
              help="What the data sets have in common.  [default: maps]")  # fmt: skip
@PLURAL
@READING
@FITTING
@SAYING
def fuse(files: tuple[Path, ...], **given: Any) -> None:
    """Factorise several data sets together: all signals of one file, or one of every file.

    Put the detector first that sees every component. --energy, --bin and the like may be given for
    each data set: --energy eels=95:150 --energy edxs=0.2:10; without a name they are for all that
    they can mean, and an error where that is none. Files of one kind of data set, as a.bcf and
    b.bcf, give data sets of their own names, a and b.

    With --plural core losses are fitted under the plural scattering that the low loss of every
    pixel shows, dual.dm4 or core.dm4 low.dm4: spectra of single scattering, t/λ with errors in
    thickness.npz, and both drawn in scattering.png.
    """
    check_options(given)
    if given["plural"]:
        from fusion.cli.plural_fitting import fit_plural

        fit_plural(list(files), given)
        return
    from fusion.cli.fitting import fit_files

    fit_files(
        list(files),
        joint=True,
        **{name: value for name, value in given.items() if name not in (*ONLY, "plural")},
    )
