"""`report`: a result as one page for any browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from errno import EISDIR
from html import escape
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from fusion.algebra.calls import checked_call
from fusion.algebra.waiting import waiting

if TYPE_CHECKING:
    from fusion.answers.result import Result
    from fusion.data.dataset import Dataset
    from fusion.elements.modelled_composition import ModelledComposition
    from fusion.uncertainty.ambiguity import Ambiguity
    from fusion.uncertainty.error_table import StandardErrors

HEIGHT = 900  # CSS pixels in a notebook
PRINTED = (".pdf", ".png", ".svg", ".jpg", ".jpeg", ".eps", ".docx")
"""Endings that promise something else than a page."""
NEEDS = '`report`: needs bokeh, which is not installed: pip install "sdfusion[report]".'


class Report:
    """One page of HTML that holds all it shows. A notebook shows it in a frame.

    Attributes:
        html: the page.
        height: of the frame in a notebook, CSS pixels.
    """

    @checked_call
    def __init__(self, html: str, height: int = HEIGHT) -> None:
        self.html, self.height = html, height

    def save(self, path: Any) -> Path:
        """Write the page, whole or not at all.

        Raises:
            OSError: if the folder cannot be written.
        """
        from fusion.answers.whole_files import atomic_write

        with atomic_write(Path(path)) as file:
            file.write(self.html.encode())
        return Path(path)

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{escape(self.html)}" width="100%" height="{self.height}" '
            'style="border: 1px solid #e3e7ec" title="sdfusion report"></iframe>'
        )

    def __repr__(self) -> str:
        return f"Report({len(self.html.encode()) / 1e6:.1f} MB)"


@checked_call
def report(
    result: Result,
    path: Any = None,
    *,
    data: Dataset | Sequence[Dataset] | None = None,
    elements: str | Sequence[str] = (),
    lines: Mapping[str, Sequence[tuple[float, str]]] | None = None,
    errors: StandardErrors | bool = False,
    ambiguity: Ambiguity | bool = False,
    beside: Sequence[Result] = (),
    composition: ModelledComposition | None = None,
    title: str | None = None,
    progress: bool = True,
) -> Report:
    """Maps linked to spectra, residuals, starts and warnings in one file that opens in any browser.

    Pointing at a pixel shows its measured and fitted spectrum, split into components; pointing at a
    channel shows its map. The page asks nothing of a network. Of large data it holds means over
    neighbouring pixels and channels, and says so.

    Args:
        result: what `fit` gave, or `Result.load`.
        path: of the file; None writes none.
        data: the data sets of a result that was loaded; without them the page shows the fit alone.
        elements: whose X-ray lines (of EDS) and edges (of EELS) are marked, as for
            `fusion.elements.labels`: ["Mn", "O"].
        lines: what else is marked: {data set name: [(energy, label), …]}, in the unit of its axis.
        errors: what `result.errors()` gave, drawn as bands of ± 2 standard errors; True computes
            it.
        ambiguity: what `fusion.ambiguity` gave, drawn as bands of all answers that fit as well;
            True computes it.
        beside: other answers of the same data, such as those of other numbers of components: each
            with its χ², maps and spectra.
        composition: what `result.composition(…)` gave, where that is not to be the one without
            options: with oxygen by stoichiometry.
        title: heading; default: how many components in what.
        progress: whether a line says which data set is drawn, as in `fit`.

    Returns:
        The page: `.html`, `.save(path)`, and in a notebook it shows itself.

    Raises:
        ImportError: if bokeh is not installed; xraydb, where elements are named.
        ValueError: if the ending is that of a picture, data, lines, errors, ambiguity, other
            answers or a composition are none of the result's, or there is no such element.
        OSError: if the file cannot be written; before anything is computed.
    """
    if path is not None and Path(path).suffix.lower() in PRINTED:
        raise ValueError(
            f"`report({str(path)!r})`: a page for a browser: give a name that ends in .html; "
            "`result.plot().savefig(path)` writes a figure."
        )
    try:
        import bokeh  # noqa: F401
    except ImportError:
        raise ImportError(NEEDS) from None
    if path is not None:
        _check_place(Path(path))
    from fusion.report.bands import checked_trust
    from fusion.report.beside import check_beside
    from fusion.report.composition import check_composition
    from fusion.report.contents import Scene
    from fusion.report.marks import marks
    from fusion.report.page import page

    check_beside(result, beside)
    check_composition(result, composition)
    marked = marks(result, elements, lines or {})
    trust = checked_trust(result, errors, ambiguity, progress)
    with waiting("report", progress):
        scene = Scene(result, data, marked, trust=trust, beside=beside)
        built = Report(page(scene, title, composition))
    if path is not None:
        built.save(path)
    return built


def _check_place(path: Path) -> None:
    """Complain of a file that cannot be written, before the work that it is to hold.

    Raises:
        OSError: with what is in the way.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(EISDIR, "it is a folder")
        with TemporaryFile(dir=path.absolute().parent):
            pass
    except OSError as error:
        told = type(error)(
            f"`report({str(path)!r})`: cannot be written ({error.strerror or error}): give a file "
            "in a folder that is there and may be written to. Nothing was computed."
        )
        told.errno = error.errno
        raise told from error
