"""What a report says in sentences: the headline, what to be careful with, how it was made light."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fusion.answers.diagnostics import DataSummary
from fusion.answers.result import Result
from fusion.report.components import TableRow, listed, noisy_maps, similar_spectra
from fusion.report.data_parts import DataPart
from fusion.report.deviations import negative_sums

POOR = 0.5  # explained variance of data without counting noise below which it is told


def title(result: Result, called: Sequence[str]) -> str:
    """ "3 components in eels and edxs"."""
    K, sets = len(called), listed(list(result.data))
    if not K:
        return f"A fit of {sets}"
    return f"{K} component{'s' * (K > 1)} in {sets}"


def verdict(result: Result) -> str:
    """How the fit ended, in a sentence; where that is no answer yet, this comes first."""
    begun = f"{result.stamp}; " if result.stamp else ""
    return sentence(begun + result.status)


def starts_agreeing(result: Result) -> int:
    """How many starts ended at the loss of the answer."""
    return result.agreeing()


def facts(result: Result) -> list[tuple[str, str]]:
    """(number, what it is) for the head of the page; χ² first, which knows of the noise."""
    pairs = [
        (f"{summary.chi2:.3g}", f"χ² per value of {name}")
        for name, summary in result.data.items()
        if summary.chi2 is not None
    ]
    pairs += [
        (_percent(summary.explained_variance), f"of {name} explained")
        for name, summary in result.data.items()
    ]
    n, ended = len(result.losses), int(result.ended.sum())
    raced = f"starts agree that were run to the end, of {n}" if ended < n else "starts agree"
    pairs.append((f"{starts_agreeing(result)} of {ended}", raced if n > 1 else "start"))
    pairs.append((_duration(result.seconds), "of computing"))
    return pairs


def fit_text(summary: DataSummary) -> str:
    """ "χ² 0.989, 99.74 % explained"."""
    chi2 = "" if summary.chi2 is None else f"χ² {summary.chi2:.3g}, "
    return f"{chi2}{_percent(summary.explained_variance)} explained"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %" if np.isfinite(share) else "–"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def cautions(
    result: Result,
    parts: Sequence[DataPart],
    table: Sequence[TableRow],
    numbers: Sequence[Sequence[int]],
    called: Sequence[str],
) -> list[str]:
    """What a reader should know before believing the answer, beside its status."""
    sentences, n = [], len(result.losses)
    if n == 1:
        sentences.append(
            "One start only: whether another one would end at a lower loss is not known. Ten or "
            "more are usual."
        )
    elif int(result.ended.sum()) < n:
        sentences.append(
            f"{sentence(result.told_of_starts())} Whether those would have ended here, too, is not "
            "known: `fu.fit(…, race=False)` runs every start to its end."
        )
    elif starts_agreeing(result) == 1:
        sentences.append(
            f"Only one of {n} starts ended at the lowest loss. More starts may find a lower one, "
            "and others of nearly the same loss may look different: see `fu.ambiguity(result)`."
        )
    sentences += [sentence(message.removeprefix("warning: ")) for message in result.messages]
    sentences += negative_sums(result, parts, numbers, called)
    sentences += similar_spectra(table, called) + noisy_maps(parts, numbers, called)
    for part in parts:
        if part.left is None and part.dense is None:
            sentences.append(
                f"The fit of {part.name} cannot be told from the factors that were saved: its "
                "maps and spectra are not shown here."
            )
        if part.data is None:
            sentences.append(
                f"The measured data of {part.name} were not at hand when this page was made: it "
                "shows the fit alone."
            )
    return list(dict.fromkeys(sentences))


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def start_rows(result: Result) -> list[dict[str, Any]]:
    """Every start, best first."""
    rows = []
    best = int((result.losses == result.loss).argmax())
    scale = max(abs(result.loss), np.finfo(float).tiny)
    for i in sorted(range(len(result.losses)), key=lambda i: (i != best, result.losses[i])):
        above = (result.losses[i] - result.loss) / scale
        rows.append(
            {
                "number": i + 1,
                "loss": f"{result.losses[i]:.8g}".replace("-", "−"),
                "above": "the answer" if i == best else _above_text(above),
                "status": result.statuses[i],
            }
        )
    return rows


def _above_text(share: float) -> str:
    if not np.isfinite(share):
        return "–"
    if abs(share) < 1e-5:
        return "the same" if abs(share) < 1e-7 else "below 0.001 %"
    return f"{100 * share:+.2g} %".replace("-", "−")


def averaging_text(part: DataPart, bins: Sequence[int], map_bins: Sequence[int]) -> list[str]:
    """How the page shows less than the data, in words; empty where it does not."""
    sentences, split = [], len(part.summary.axes) - part.summary.signal
    if part.data is not None:
        means = [
            f"{b} along {axis.name}"
            for axis, b in zip(part.summary.axes, bins, strict=True)
            if b > 1
        ]
        if means:
            sentences.append(
                f"Measured values of {part.name} are means over neighbours, {listed(means)}, and "
                "so is the fit that is drawn over them."
            )
        sentences.append(
            f"Measured values of {part.name} are kept in 65 534 steps from the lowest to the "
            "highest of every channel; whole numbers are exact where nothing was averaged."
        )
    maps = [
        f"{b} along {axis.name}"
        for axis, b in zip(part.summary.axes[:split], map_bins, strict=True)
        if b > 1
    ]
    if maps:
        sentences.append(f"Maps of {part.name} are means over neighbours, {listed(maps)}.")
    return sentences
