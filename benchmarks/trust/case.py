"""The case `trust`: draws of every kind, or one of them again; fits and commands that are hit."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.cases import Options
from benchmarks.measure import note
from benchmarks.table import Report
from benchmarks.trust import commands, files, fits, preparing
from benchmarks.trust.interrupts import interrupts
from benchmarks.trust.kills import kills
from benchmarks.trust.outcome import Outcome
from benchmarks.trust.table import totals, walked

KINDS: dict[str, tuple[Callable[[int], Outcome], int]] = {
    "fits": (fits.outcome, 1000),
    "preparing": (preparing.outcome, 300),
    "files": (files.outcome, 500),
    "commands": (commands.outcome, 366),
}
"""{kind of draws: (the draw of a number, how many there are)}."""
HIT: dict[str, tuple[Callable[[int], tuple[list[str], int]], int]] = {
    "interrupts": (interrupts, 200),
    "kills": (kills, 100),
}
"""{how they are hit: (what hits so often and tells the failures, how often)}."""
SMALL = 50
"""At the small size there is one draw of so many."""


def trust(options: Options) -> Report:
    """Draws of fits, preparing calls, files, command lines; interrupted fits, killed commands."""
    if options.draw is not None:
        return _again(options.draw)
    found = {}
    for kind, (outcome, number) in KINDS.items():
        number = number if options.full else number // SMALL
        found[kind] = list(walked(kind, number, outcome, note))
    for kind, (hit, number) in HIT.items():
        failures, tried = hit(number if options.full else number // SMALL)
        found[kind] = [Outcome(i, kind, "failure", text, 0.0) for i, text in enumerate(failures)]
        found[kind] += [Outcome(i, kind, "answer", "", 0.0) for i in range(len(failures), tried)]
    return totals(found)


def _again(named: str) -> Report:
    """One draw, "fits:137" or "137"."""
    kind, _, number = named.rpartition(":")
    kind = kind or "fits"
    made = KINDS[kind][0](int(number))
    print(f"{kind} {number}: {made.what}\n{made.verdict}: {made.reason}")
    return totals({kind: [made]})
