"""What `compositions` does: fit a line model to X-ray counts, and write what is found."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from fusion.cli.answer_folder import answer_folder
from fusion.cli.composition_files import CompositionFindings, composition_report
from fusion.cli.fitting import MAX_STEPS, give_answer
from fusion.cli.k_factor_options import k_factors_of
from fusion.cli.output import json_report
from fusion.cli.oxygen_option import oxygen_of
from fusion.cli.prepared_data import prepared
from fusion.cli.used import used_lines, used_report
from fusion.data.dataset import Dataset
from fusion.elements.modelled_composition import ModelledComposition
from fusion.losses import Poisson
from fusion.models import Compositions, ElementMaps
from fusion.search.fit import fit
from fusion.xrays.acquisition import stated_elevation, take_off_angle
from fusion.xrays.electronics import begins_at


def fit_compositions(
    file: Path,
    *,
    elements: str,
    others: str,
    k: int | None,
    k_factors: Sequence[str],
    k_kind: str | None,
    k_error: float,
    dose: float | None,
    dose_error: float | None,
    beam_energy: float | None,
    elevation: float | None,
    tilt: float | None,
    azimuth: float | None,
    oxygen: str | None,
    valences: Sequence[str],
    output: Path,
    starts: int,
    seed: int,
    max_seconds: float | None,
    as_json: bool,
    quiet: bool,
    **reading: Any,
) -> None:
    """Fit the X-ray counts of a file, and write what the specimen is made of."""
    known = k_factors_of(k_factors, k_kind, k_error, dose, dose_error)
    counted = oxygen_of(oxygen, valences)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        chosen = prepared([file], joint=False, **reading)
        chosen = [replace(chosen[0], data=_of_xrays(chosen[0].data, elements, others, quiet))]
        data = chosen[0].data
        microscope = {
            "k_factors": known,
            "beam_energy": beam_energy,
            "elevation": _take_off(data, elevation, tilt, azimuth),
        }
        model = _model(data, _symbols("--elements", elements), _symbols("--others", others), k)(
            **microscope
        )
        if counted is not None:
            counted.of(model.elements)  # before the fit, which takes its time
        loss = Poisson(data)
        loss.check(model)
        with answer_folder(output):
            result = fit(
                model,
                loss,
                starts=starts,
                seed=seed,
                max_seconds=max_seconds,
                max_steps=MAX_STEPS,
                progress=not quiet,
            )
            found = result.composition(oxygen=counted, progress=not quiet)
            assert isinstance(found, ModelledComposition)
            told = {f"warning: {message}" for message in result.messages}
            told |= {f"warning: `composition`: {message}" for message in found.messages}
            more = dict.fromkeys(f"warning: {each.message}" for each in caught)
            result.messages.extend(text for text in more if text not in told)
            losses = {data.name: "poisson"}
            report = json_report(result, used_report(chosen, losses))
            give_answer(
                result,
                output,
                report | {"composition": composition_report(found)},
                as_json=as_json,
                quiet=quiet,
                used=used_lines(chosen, losses),
                findings=CompositionFindings(found),
            )


def _model(data: Dataset, elements: Sequence[str], others: Sequence[str], k: int | None) -> Any:
    """The model, but for the options of its lines."""
    if k is not None:
        return lambda **lines: Compositions(data, elements, k, others=others, **lines)
    if others:
        raise click.UsageError(
            f"--others {','.join(others)}: without -k every element has a map, and none is left "
            "out: add them to --elements, or give -k K"
        )
    return lambda **lines: ElementMaps(data, elements, **lines)


def _of_xrays(data: Dataset, elements: str, others: str, quiet: bool) -> Dataset:
    """Without the zero peak of the detector's electronics, which is told."""
    start = begins_at(data, _symbols("", f"{elements},{others}"))
    if start is None:
        return data
    axis = data.channels[0]
    if not quiet:
        click.echo(
            f"{data.name}: from {start:g} {axis.units} on: below are the zero peak of the "
            "detector's electronics and their threshold; --energy FROM: begins elsewhere above it",
            err=True,
        )
    return data.crop(**{axis.name: (start, None)})


def _symbols(flag: str, text: str) -> list[str]:
    """ "Sr, Ti,O" as symbols."""
    found = [part.strip() for part in text.replace(" ", ",").split(",") if part.strip()]
    if flag == "--elements" and not found:
        raise click.UsageError("--elements: name those of the specimen, --elements Sr,Ti,O")
    return found


def _take_off(
    data: Dataset, elevation: float | None, tilt: float | None, azimuth: float | None
) -> float | None:
    """Degrees above the specimen's plane; None where the file is to say it."""
    if (tilt is None) != (azimuth is None):
        given, missing = ("--tilt", "--azimuth") if azimuth is None else ("--azimuth", "--tilt")
        raise click.UsageError(
            f"{given}: by itself it changes nothing: give {missing}, too, or leave it away"
        )
    if tilt is None or azimuth is None:
        return elevation
    above = stated_elevation(data) if elevation is None else elevation
    if above is None:
        raise click.UsageError(
            f"--tilt {tilt:g}: {data.name} does not say how high the detector stands: give "
            "--elevation DEG, too"
        )
    return take_off_angle(above, tilt, azimuth)
