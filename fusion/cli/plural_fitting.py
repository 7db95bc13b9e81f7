"""What `fuse --plural` does: fit core losses under the plural scattering of their low losses."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fusion.cli.answer_folder import answer_folder
from fusion.cli.energy_ranges import CORE, LOW, core_and_low
from fusion.cli.fitting import MAX_STEPS, checked_device, give_answer, unique
from fusion.cli.output import json_report
from fusion.cli.plural_options import model_options
from fusion.cli.prepared_data import prepared
from fusion.cli.thickness_files import ScatteringFindings
from fusion.cli.used import used_lines, used_report
from fusion.losses import dual_eels_loss
from fusion.models import DualEELS
from fusion.search.fit import fit

READING = ("signal", "reader", "segments", "dataset", "energy", "wavelength", "wavenumber")
READING = (*READING, "channels", "bins", "background_window", "variance", "mask")


def fit_plural(files: Sequence[Path], given: Mapping[str, Any]) -> None:
    """Fit the core loss of the files, and write the answer.

    Args:
        files: as given.
        given: all options of the command.
    """
    quiet, as_json, output = given["quiet"], given["as_json"], given["output"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        chosen = prepared(files, joint=True, **{name: given[name] for name in READING})
        of_core, of_low = core_and_low(chosen)
        core, low = of_core.data, of_low.data
        if core.variance is None:
            core = core.estimate_variance()
        model = DualEELS(core, low, given["k"], **model_options(given))
        weight = {} if given["overlap"] is None else {"overlap": given["overlap"]}
        loss = dual_eels_loss(core, **weight)
        loss.check(model)
        with answer_folder(output):
            result = fit(
                model,
                loss,
                **{name: given[name] for name in ("starts", "race", "seed", "max_seconds")},
                device=checked_device(given["device"]),
                max_steps=MAX_STEPS,
                progress=not quiet,
            )
            known = {f"warning: {message}" for message in result.messages}
            result.messages.extend(text for text in unique(caught) if text not in known)
            roles = {core.name: f"{CORE}, frobenius", low.name: LOW}
            both = (of_core, of_low)
            steps = [f"  {low.name}: {step}" for step in low.history]
            findings = ScatteringFindings(result, ("", "prepared", *steps) if steps else ())
            report = json_report(result, used_report(both, roles))
            report["low_loss"] = used_report((of_low,), roles)[low.name] | {"name": low.name}
            report["plural_scattering"] = findings.report()
            used = used_lines(both, roles)
            how = {"as_json": as_json, "quiet": quiet, "used": used, "findings": findings}
            give_answer(result, output, report, **how)
