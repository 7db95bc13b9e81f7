"""What is printed: one table a case, in Markdown that reads well as it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.measure import Trace


@dataclass(frozen=True)
class Report:
    """One case.

    Attributes:
        name: of the case.
        title: what was measured.
        columns: of the table.
        rows: of the table.
        notes: lines below it.
        losses: median final loss by the first column; empty where losses are not compared.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    losses: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"### {self.name}: {self.title}", "", *aligned(self.columns, self.rows), ""]
        return "\n".join([*lines, *(f"- {note}" for note in self.notes), ""])


def aligned(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table, padded; the first column is text, the others numbers."""
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]

    def line(cells: Sequence[str]) -> str:
        first, *rest = (
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join([first, *rest])} |"

    rule = [("-" * (w - 1) + ":") if i else "-" * w for i, w in enumerate(widths)]
    return [line(columns), line(rule), *(line(row) for row in rows)]


def compared(
    name: str,
    title: str,
    traces: Sequence[Sequence[Trace]],
    levels: Sequence[float],
    notes: Sequence[str],
) -> Report:
    """The report of the same methods on several seeds, (seed, method): medians.

    Args:
        name: of the case.
        title: what was measured.
        traces: one for every method that ran, ours first, for every seed.
        levels: shares above the best loss at which times are told; ratios are of the first.
        notes: further lines.
    """
    best = [min(trace.loss for trace in seed) for seed in traces]
    names = [trace.method.name for trace in traces[0]]
    times, rows, losses = {}, [], {}
    for method in names:
        own = [(t, b) for s, b in zip(traces, best, strict=True) for t in s if _is(t, method)]
        reached = [np.median([t.reach(level, b) for t, b in own]) for level in levels]
        spent = float(np.median([t.spent for t, _ in own]))
        more = any(t.given_up for t, _ in own)
        losses[method] = float(np.median([t.loss for t, _ in own]))
        excess = float(np.median([(t.loss - b) / abs(b) for t, b in own]))
        times[method] = (float(reached[0]), spent if more else np.nan)
        rows.append(
            [
                method,
                *(_seconds(float(r), spent, more) for r in reached),
                f"{losses[method]:.8g}",
                f"{excess:.1e}",
                _bytes([t.peak for t, _ in own]),
                _ratio(times[method], times[names[0]]),
            ]
        )
    columns = ["method", *(f"to {level:g}" for level in levels)]
    columns += ["loss", "above best", "memory", "time / ours"]
    seeds = f"median of {len(traces)} seeds" if len(traces) > 1 else "one seed"
    told = [f"{seeds}; best loss {np.median(best):.9g}", _best_peer(times), *notes]
    return Report(name, title, columns, rows, told, losses)


def _is(trace: Trace, method: str) -> bool:
    return trace.method.name == method


def seconds(value: float) -> str:
    """Three digits."""
    return f"{value:#.3g} s" if value < 100 else f"{value:.0f} s"


def _seconds(reached: float, spent: float, more: bool) -> str:
    """The time; "> N s" where it was given up, "not in N s" where it came to rest above."""
    if np.isfinite(reached):
        return seconds(reached)
    return f"{'>' if more else 'not in'} {seconds(spent)}"


def _ratio(own: tuple[float, float], ours: tuple[float, float]) -> str:
    reached, spent = own  # spent is NaN where it came to rest above the level
    ratio = (reached if np.isfinite(reached) else spent) / ours[0]
    if not np.isfinite(ours[0]) or np.isnan(ratio):
        return "–"
    text = f"{ratio:.2g}" if ratio < 10 else f"{ratio:.0f}"
    return text if np.isfinite(reached) else f"> {text}"


def _best_peer(times: dict[str, tuple[float, float]]) -> str:
    (_, ours), *peers = times.items()
    if not peers:
        return "no peers"
    name, fastest = min(peers, key=lambda item: item[1][0])
    if not np.isfinite(fastest[0]):
        return "no peer came so near"
    if not np.isfinite(ours[0]):
        return f"best peer {name}; sdfusion did not come so near"
    return f"best peer {name}: {_ratio(fastest, ours)} times our time"


def _bytes(values: Sequence[int | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{np.median(known) / 1e6:.0f} MB" if known else "–"
