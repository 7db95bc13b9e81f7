"""Which data set a factor's rows belong to: its pixels or its channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fusion.algebra.axis import Axes

if TYPE_CHECKING:
    from fusion.answers.diagnostics import DataSummary
    from fusion.answers.result import Result


def data_along(result: Result, axes: Axes | None) -> tuple[DataSummary | None, bool]:
    """The data set whose pixels or channels these axes are, and whether they are its channels."""
    for summary in result.data.values():
        split = len(summary.axes) - summary.signal
        if axes and summary.signal and axes == summary.axes[split:]:
            return summary, True
    for summary in result.data.values():
        if axes and axes == summary.axes[: len(summary.axes) - summary.signal]:
            return summary, False
    return None, False


def metadata_along(result: Result, axes: Axes | None) -> Mapping[str, Any]:
    """What is known of the measurement that has these pixels or channels."""
    summary, _ = data_along(result, axes)
    return {} if summary is None else summary.metadata
