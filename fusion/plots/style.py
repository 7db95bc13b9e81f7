"""How everything that is drawn looks: letters, lines, colours. Knows no matplotlib."""

from __future__ import annotations

from typing import Any

BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "0.45"
"""Of one curve, of what is to be noticed, of what is compared with."""
ALARM = "#B00020"
NOTHING = "0.8"
"""Where there are no data."""
ELSEWHERE = "0.955"
"""Behind the part of a panel that has another scale."""
SOFT = "0.6"
"""Lines that only help to read."""
VEIL: dict[str, Any] = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.5}
"""Behind letters on curves."""
SHADOW: dict[str, Any] = {"facecolor": "black", "alpha": 0.5, "linewidth": 0, "pad": 0.8}
"""Behind letters on maps."""
MAPS, SIZES, SIGNED = "viridis", "magma", "RdBu_r"
"""Colours of values from 0, of what is left, of values of both signs."""
COMPONENTS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe & Ito's, told apart by the colour-blind, on white and on black."""
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)))
"""Tell apart curves of one colour."""
MOST = len(COMPONENTS)
"""Components in one panel: more have no colours of their own."""
FEW = 100
"""Points of a curve, up to which each is marked."""
STEPS = (1, 2, 2.5, 5, 10)
"""Of ticks."""
SCREEN: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.0,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
}
"""Settings of figures."""
PRINT: dict[Any, Any] = {
    **SCREEN,
    "font.size": 7,
    "axes.labelsize": 7,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "figure.constrained_layout.h_pad": 0.06,
}
"""Of figures for print: text stays text."""
