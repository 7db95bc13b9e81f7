"""Pictures: of a result, of a data set, of several answers side by side. Matplotlib only when drawn."""

from fusion.plots.result import plot_result

__all__ = ["plot_result"]
