"""`sdfusion rank`: how many components there are."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import click

from fusion.cli.options import FILE, READING, THREADS


@click.command()
@click.argument("file", type=FILE)
@READING
@click.option("--quick", is_flag=True, help="Leave out what fits: ARD and stability over starts.")
@click.option(
    "-o", "--output", type=FILE, metavar="PICTURE", help="Draw the criteria: png, pdf or svg."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of what is drawn.")
@click.option("--json", "as_json", is_flag=True, help="For machines, on standard output.")
@THREADS
def rank(
    file: Path, *, quick: bool, output: Path | None, seed: int, as_json: bool, **reading: Any
) -> None:
    """How many components FILE shows: criteria side by side, and a recommendation."""
    from fusion.algebra.cautions import NoiseWarning
    from fusion.cli.pictures import picture_format, write_picture
    from fusion.cli.prepared_data import prepared
    from fusion.ranking import rank

    kind = picture_format(output) if output else ""
    with warnings.catch_warnings():  # of correlated noise: the ranking says it
        warnings.simplefilter("ignore", NoiseWarning)
        (chosen,) = prepared([file], joint=False, **reading)
    ranking = rank(chosen.data, ard=not quick, stability=not quick, seed=seed)
    if output:
        write_picture(ranking, output, kind)
    print(json.dumps(ranking.as_dict()) if as_json else ranking.summary())
