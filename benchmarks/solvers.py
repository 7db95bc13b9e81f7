"""Every solver on the shared cases from the same ten starts: loss, time, angles, starts that agree.

python -m benchmarks.solvers DATA [CASE …]   DATA: the folder that holds figure_cases/, multiway/ …
"""

import sys
from pathlib import Path

import numpy as np

import fusion as fu
from fusion.answers.matching import match, spectral_angle
from fusion.losses import Frobenius, Poisson, SoftOrthogonality, SquaredNorm
from fusion.models import CPD, NMF, SoftlyCoupled, WithBackground

SECONDS = 120
"""Granted to every fit."""
SOLVERS = (fu.GaussNewton(), fu.HALS(), fu.LBFGS(), fu.Adam())


def angles(found, truth):
    """Degrees between matched columns."""
    return spectral_angle(found[:, match(truth, found)], truth)


def fig3(data):
    """Plain NMF: angles are not identified."""
    file = np.load(data / "figure_cases/fig3_sim.npz")
    si = fu.Dataset("si", file["bgsub"].astype(float))
    return NMF(si, 3), 1.0 * Frobenius(si), {"S": file["S"].T}


def joint(data):
    """Eq. (14)."""
    file = np.load(data / "figure_cases/joint_sim.npz")
    counts, edxs = file["eels"].astype(float), file["edxs"].astype(float)
    eels = fu.Dataset("eels", counts - file["eels_bg"], variance=counts.mean((0, 1)) + 0.5)
    edxs = fu.Dataset("edxs", edxs, variance=edxs.mean((0, 1)) + 0.02)
    loss = Frobenius(eels) + Frobenius(edxs) + SquaredNorm("N", 0.002)
    truth = {"S_eels": file["S_eels"].T, "S_edxs": file["S_edxs"].T}
    return SoftlyCoupled(eels, edxs, 3), loss, truth


def fig9(data):
    """Eq. (15)."""
    file = np.load(data / "figure_cases/fig9_sim.npz")
    raw, net = oxygen(data)
    loss = Frobenius(raw) + Frobenius(net) + 0.002 * SoftOrthogonality("C")
    return WithBackground(raw, net, 3), loss, {"S": file["S"].T, "N": file["bg_shapes"].T}


def oxygen(data):
    """O-K map of fig. 9: the counts, and what is left above power laws fitted up to 518 eV."""
    file = np.load(data / "figure_cases/fig9_sim.npz")
    E, counts = file["energy"], file["counts"].astype(float)
    window = E <= 518
    logs = np.log(np.maximum(counts[..., window].reshape(-1, window.sum()), 1)).T
    slope, offset = np.polyfit(np.log(E[window]), logs, 1)
    background = np.exp(offset[:, None] + slope[:, None] * np.log(E)).reshape(counts.shape)
    axes = ("y", "x", fu.Axis("energy", values=E, units="eV"))
    net = fu.Dataset("net", counts - background, axes=axes)
    return fu.Dataset("raw", counts, axes=axes), net


def mn3o4(data):
    """NMF, K = 2."""
    mn = fu.Dataset("mn", np.load(data / "mn3o4_phantom/SI_data.npz")["X"])
    return NMF(mn, 2), 1.0 * Frobenius(mn), {}


def aminoacids(data):
    """CPD, K = 3; angles of the concentrations."""
    file = np.load(data / "multiway/aminoacids.npz")
    amino = fu.Dataset("amino", file["X"].astype(float))
    return CPD(amino, 3), 1.0 * Frobenius(amino), {"A": file["conc"]}


def gpa88(data):
    """Poisson counts, K = 3."""
    edxs = fu.Dataset("edxs", np.load(data / "espm_geology_edxs/88GPa_80x80.npz")["data"])
    return NMF(edxs, 3), 1.0 * Poisson(edxs), {}


CASES = {f.__name__: f for f in (fig3, joint, fig9, mn3o4, aminoacids, gpa88)}


def main(data, names):
    """Print one line a case and solver."""
    print(f"{'case':11} {'solver':12} {'loss':>14} {'seconds':>8} {'agree':>6}  degrees")
    for name in names or CASES:
        model, loss, truth = CASES[name](Path(data))
        best = np.inf
        rows = []
        for solver in SOLVERS:
            label = type(solver).__name__
            try:
                result = fu.fit(
                    model, loss, solver=solver, starts=10, max_seconds=SECONDS, progress=False
                )
            except ValueError as error:
                print(f"{name:11} {label:12} {str(error)[:90]}", flush=True)
                continue
            best = min(best, result.loss)
            rows.append((label, result))
        for label, result in rows:
            good = int((result.losses <= best + 1e-4 * abs(best)).sum())
            shown = {f: angles(result.factors[f], t).round(2).tolist() for f, t in truth.items()}
            line = f"{name:11} {label:12} {result.loss:14.8g} {result.seconds:8.1f} {good:3}/10  "
            print(f"{line}{shown or ''} [{result.status[:34]}]", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
