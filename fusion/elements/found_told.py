"""What a search for elements tells: those that are there, those in doubt, limits of the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fusion.algebra.display import Display, Facts, Notes, Part, Shown, Table
from fusion.xrays.letters import in_letters

LINES = 4
"""Names of lines in a row."""
CLOSE = 3.84
"""2 Δ ln L within which another element in its place is named beside one."""


@dataclass(frozen=True)
class Finding:
    """An element that a spectrum shows, or may show.

    Attributes:
        element: "Ti".
        evidence: 2 Δ ln L to the best fit without it, all else and what is unsure of tables
            refitted.
        lines: names of those that carry it, the weightiest first.
        counts: of its lines on the axis, and their standard error.
        upon: other elements that send much of what its lines stand upon.
        rival: another element with which in its place a fit is as good within chance.
    """

    element: str
    evidence: float
    lines: tuple[str, ...]
    counts: float
    error: float
    upon: tuple[str, ...] = ()
    rival: str | None = None

    @property
    def sigmas(self) -> float:
        """Evidence as of a normal variable: its root."""
        return max(self.evidence, 0.0) ** 0.5


@dataclass(frozen=True)
class Present(Shown, Sequence[Finding]):
    """The elements that X-ray spectra show, most counts first; a sequence of `Finding`.

    Attributes:
        findings: of what is there.
        doubtful: of what chance would show about once among so many candidates.
        limits: {element: counts at 95 %}: of candidates that were asked for and not found.
        candidates: that were looked for.
        threshold: evidence from which an element is named.
        total: counts of the spectra.
        messages: what to know before it is believed.
    """

    findings: tuple[Finding, ...]
    doubtful: tuple[Finding, ...]
    limits: Mapping[str, float]
    candidates: tuple[str, ...]
    threshold: float
    total: float
    messages: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, index: Any) -> Any:
        return self.findings[index]

    @property
    def elements(self) -> list[str]:
        """Symbols of what is there, as models take them."""
        return [one.element for one in self.findings]

    def _display(self) -> Display:
        names = ", ".join(self.elements) or "no element stands out"
        parts: list[Part] = []
        if self.findings:
            parts.append(_table(self.findings))
        if self.doubtful:
            parts.append(Facts([("in doubt", "; ".join(map(_doubt, self.doubtful)))]))
        if self.limits:
            told = ", ".join(f"{e} ≤ {counts:.3g}" for e, counts in self.limits.items())
            parts.append(Facts([("counts, 95 %", told)]))
        sure = f"named from {self.threshold**0.5:.1f} σ on, of {len(self.candidates)} candidates"
        parts.append(Notes([sure, *self.messages]))
        return Display(f"present: {names} ({self.total:.3g} counts)", parts)


def _table(findings: Sequence[Finding]) -> Table:
    rows = [
        [
            one.element,
            ", ".join(in_letters(name).split()[1] for name in one.lines[:LINES]),
            ", ".join(one.upon) + (f" (or {one.rival})" if one.rival else ""),
            f"{one.counts:.3g} ± {one.error:.2g}",
            f"{one.sigmas:.3g} σ",
        ]
        for one in findings
    ]
    return Table(["element", "lines", "upon", "counts", "evidence"], rows, left=3)


def _doubt(one: Finding) -> str:
    upon = f", upon {' and '.join(one.upon)}" if one.upon else ""
    return f"{one.element} ({one.sigmas:.1f} σ{upon})"
