"""The table of a kind of draws, its failures by name, and how one draw is made again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from benchmarks.table import Report
from benchmarks.trust.outcome import Outcome

KINDS = ("answer", "refusal", "failure")


def totals(found: dict[str, Sequence[Outcome]]) -> Report:
    """A line for every kind of draws; below, every failure in a line, and pairs without answers."""
    rows = []
    for kind, outcomes in found.items():
        counts = Counter(o.verdict for o in outcomes)
        slowest = max((o.seconds for o in outcomes), default=0.0)
        cells = [str(counts[verdict]) for verdict in KINDS]
        rows.append([kind, str(len(outcomes)), *cells, f"{slowest:.1f} s"])
    lines = [
        f"{kind} {o.draw}: {o.reason} | {o.what[:160]}"
        for kind, outcomes in found.items()
        for o in outcomes
        if o.verdict == "failure"
    ]
    columns = ["draws of", "number", "answers", "refusals", "failures", "slowest"]
    title = "an answer that NumPy confirms, or the package's own word before the first step"
    return Report("trust", title, columns, rows, [*lines, *unanswered(found)])


def unanswered(found: dict[str, Sequence[Outcome]]) -> list[str]:
    """Groups that were drawn ten times or more and never answered: their draws test nothing."""
    lines = []
    for kind, outcomes in found.items():
        drawn = Counter(o.group for o in outcomes)
        answered = {o.group for o in outcomes if o.verdict == "answer"}
        lines += [
            f"{kind}: no answer in {n} draws of {group}"
            for group, n in drawn.items()
            if n >= 10 and group not in answered
        ]
    return lines


def walked(
    kind: str, number: int, outcome: Callable[[int], Outcome], note: Callable[[str], None]
) -> Iterator[Outcome]:
    """The draws one after the other; failures are noted as they come."""
    for draw in range(number):
        one = outcome(draw)
        if one.verdict == "failure":
            note(f"{kind} {draw}: {one.reason} | {one.what}")
        yield one
