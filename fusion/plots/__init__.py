"""Pictures: of a result, of a data set, of several answers side by side. Matplotlib only when drawn."""

from fusion.plots.comparison import plot_comparison
from fusion.plots.dataset import plot_dataset
from fusion.plots.result import plot_result

__all__ = ["plot_result", "plot_dataset", "plot_comparison"]
