"""Pictures of results, data sets and comparisons. Matplotlib is imported when one is drawn."""

from typing import TYPE_CHECKING, Any

from fusion.algebra.words import names_there
from fusion.plots.ambiguity import plot_ambiguity
from fusion.plots.comparison import plot_comparison
from fusion.plots.composition import plot_composition
from fusion.plots.dataset import plot_dataset
from fusion.plots.noise import plot_noise
from fusion.plots.overlay import plot_map, plot_overlay
from fusion.plots.plural_scattering import plot_plural_scattering
from fusion.plots.publication import plot_publication
from fusion.plots.rank import plot_ranking
from fusion.plots.references import plot_references
from fusion.plots.relevance import plot_relevance
from fusion.plots.result import plot_result
from fusion.plots.spectra import plot_spectra
from fusion.plots.starts import plot_starts
from fusion.plots.thumbnails import small_picture as small_picture  # of `Result._repr_html_`
from fusion.plots.white_lines import plot_white_lines

if TYPE_CHECKING:
    from fusion.plots.images import scale_bar
    from fusion.plots.labels import name_curves

__all__ = [
    "plot_result",
    "plot_overlay",
    "plot_map",
    "plot_spectra",
    "plot_publication",
    "plot_dataset",
    "plot_comparison",
    "plot_composition",
    "plot_plural_scattering",
    "plot_relevance",
    "plot_references",
    "plot_noise",
    "plot_ambiguity",
    "plot_starts",
    "plot_ranking",
    "plot_white_lines",
    "name_curves",
    "scale_bar",
]


def __getattr__(name: str) -> Any:
    """Pieces of a figure of one's own; their modules import matplotlib."""
    if name == "scale_bar":
        from fusion.plots.images import scale_bar as piece
    elif name == "name_curves":
        from fusion.plots.labels import name_curves as piece
    else:
        return names_there(__name__, __all__)(name)
    return piece
