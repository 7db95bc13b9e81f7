"""`sdfusion compositions`: what a thin specimen is made of, of its X-ray counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fusion.cli.options import FILE, READING, SAYING, THREADS, combined_options, finite

ATOMS = combined_options(
    click.option("-e", "--elements", required=True, metavar="Sr,Ti,O",
                 help="Of which the specimen consists."),
    click.option("--others", metavar="Cu,C", default="",
                 help="What else sends X-rays, of grid, holder, pole piece: fitted, and left out "
                 "of the composition."),
    click.option("-k", "--components", "k", type=click.IntRange(min=1), metavar="K",
                 help="Number of components; without it a map of every element and none."),
)  # fmt: skip
MICROSCOPE = combined_options(
    click.option("--k-factors", metavar="FILE|NAME=VALUE", multiple=True,
                 help="k factors of families or alpha lines: a csv of name, k and, if known, its "
                 "standard error; or O_K=1.9, Sr_La=1.2+-0.06; repeatable.  [default: computed]"),
    click.option("--k-kind", type=click.Choice(["weight", "atomic", "zeta"]),
                 help="For which fractions k factors are: weight, as of Cliff and Lorimer; zeta: "
                 "they are zeta factors, kg electron / (m² photon), with --dose."),
    click.option("--dose", type=click.FloatRange(min=0, min_open=True), callback=finite,
                 metavar="ELECTRONS", help="Of a pixel, for zeta factors: 6.24e9 × nA × s."),
    click.option("--dose-error", type=click.FloatRange(0, 1, min_open=True, max_open=True),
                 metavar="SHARE", callback=finite, help="Its relative standard error.  "
                 "[default: 0.05]"),
    click.option("--k-error", type=click.FloatRange(0, 1, max_open=True), default=0.0,
                 metavar="SHARE", callback=finite, show_default=True,
                 help="Relative standard error of k factors without one of their own."),
    click.option("--beam-energy", type=float, metavar="KEV", callback=finite,
                 help="[default: as the file says]"),
    click.option("--elevation", type=float, metavar="DEG", callback=finite,
                 help="Of the detector above the plane of the holder.  [default: as the file "
                 "says]"),
    click.option("--tilt", type=float, metavar="DEG", callback=finite,
                 help="Of the specimen, towards azimuth 0; with --azimuth."),
    click.option("--azimuth", type=float, metavar="DEG", callback=finite,
                 help="Of the detector, from where --tilt turns the specimen to."),
)  # fmt: skip
OXYGEN = combined_options(
    click.option("--oxygen", type=click.Choice(["line", "stoichiometry"]),
                 help="How oxygen is counted: by its line, or by the valences of all else.  "
                 "[default: line]"),
    click.option("--valence", "valences", metavar="ELEMENT=V", multiple=True,
                 help="Of an element that has several, or of an anion: Fe=3, Mn=3.5+-0.3, S=-2; "
                 "with --oxygen stoichiometry; repeatable."),
)  # fmt: skip
FITTING = combined_options(
    click.option("-o", "--output", type=FILE, metavar="DIR", default=Path("sdfusion-result"),
                 show_default=True, help="Folder for the answer; made if need be."),
    click.option("--starts", type=click.IntRange(min=1), default=3, show_default=True,
                 help="Random starts."),
    click.option("--seed", type=int, default=0, show_default=True, help="Of the starts."),
    click.option("--max-seconds", type=click.FloatRange(min=0, min_open=True), callback=finite,
                 help="Stop the fit after that long (default: no limit)."),
    THREADS,
)  # fmt: skip


@click.command()
@click.argument("file", type=FILE)
@ATOMS
@MICROSCOPE
@OXYGEN
@READING
@FITTING
@SAYING
def compositions(file: Path, **given: Any) -> None:
    """What a thin specimen is made of, in at.%, of its X-ray counts: K components, every pixel.

    Lines and continuum, absorbed in the specimen, with calibration and width of the detector, mass
    thickness and what is not known of k factors as unknowns, which the errors hold. Writes
    result.npz, summary.txt, figure.png, composition.csv, element_maps.npz (at.% and weight % of
    every pixel with standard errors), element_maps.tif (at.%; needs `pip install "sdfusion[io]"`)
    and report.html into DIR. Needs `pip install "sdfusion[elements]"`.
    """
    from fusion.cli.composing import fit_compositions

    fit_compositions(file, **given)
