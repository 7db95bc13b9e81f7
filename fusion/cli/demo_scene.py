"""A scene that neither of two detectors resolves alone."""

from __future__ import annotations

import time
from pathlib import Path

from fusion.answers.compare import compare
from fusion.answers.result import Result
from fusion.cli.answer_folder import answer_folder
from fusion.cli.fitting import give_answer
from fusion.cli.output import json_report
from fusion.data.dataset import Dataset
from fusion.losses import Frobenius, SquaredNorm
from fusion.models import NMF, SoftlyCoupled
from fusion.search.fit import fit, fit_whole
from fusion.simulate import concurrent

DEPARTURE = 0.002  # expected size of N, in the unit of C: EELS is a little less localised
DOSE = 3.0
PATIENCE = 150  # steps for one detector alone, which has many answers and no best one


def run_demo(output: Path, seed: int, as_json: bool, quiet: bool) -> None:
    """Simulate, analyse each detector alone and both together, and say how far each is off."""
    with answer_folder(output):
        _run_demo(output, seed, as_json, quiet)


def _run_demo(output: Path, seed: int, as_json: bool, quiet: bool) -> None:
    started = time.perf_counter()
    scene = concurrent(shape=(32, 36), channels=160, dose=DOSE, seed=seed)
    eels, edxs = scene.datasets["eels"], scene.datasets["edxs"]
    K = len(scene.components)
    progress = not quiet
    alone = {data.name: _fit_alone(data, K, seed, progress) for data in (eels, edxs)}
    loss = Frobenius(eels) + Frobenius(edxs) + SquaredNorm("N", DEPARTURE)
    model = SoftlyCoupled(eels, edxs, K)
    joint = fit(model, loss, starts=10, seed=seed, progress=progress)
    truth = scene.truth
    together = compare(scene, joint, names=["truth", "together"], factors=["S_eels", "S_edxs"])
    worst_joint = together.worst
    worst_alone = max(
        compare({"S": truth[f"S_{name}"]}, {"S": result["S"]}).worst
        for name, result in alone.items()
    )
    picture = compare(
        scene,
        *({"C": result["C"], f"S_{name}": result["S"]} for name, result in alone.items()),
        joint,
        names=["truth", *(f"{name.upper()} alone" for name in alone), "together"],
        factors=["C", "S_eels", "S_edxs"],
    ).plot()
    answer = {
        **json_report(joint),
        "seconds": time.perf_counter() - started,
        "worst_angle_joint_deg": float(worst_joint),
        "worst_angle_alone_deg": float(worst_alone),
    }
    if not as_json and not quiet:
        print(f"Simulated EELS and EDXS of one scan: {', '.join(scene.components)}.\n{together}\n")
        print(
            f"Furthest from the truth: {worst_alone:.1f}° where each detector is analysed alone, "
            f"{worst_joint:.1f}° where both are analysed together.\n"
        )
    give_answer(joint, output, answer, as_json=as_json, quiet=quiet, figure=picture)


def _fit_alone(data: Dataset, K: int, seed: int, progress: bool) -> Result:
    loss = Frobenius(data)
    return fit_whole(NMF(data, K), loss, seed=seed, max_steps=PATIENCE, progress=progress)
