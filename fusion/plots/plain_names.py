"""Names are drawn as they stand: "$" and "_" in them are no mathematics. Imports matplotlib."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from fusion.algebra.cautions import FusionWarning, users_line
from fusion.plots.scripts import families_for, missing_letters

if TYPE_CHECKING:
    from matplotlib.figure import Figure

P = ParamSpec("P")
T = TypeVar("T")
_users: ContextVar[frozenset[int]] = ContextVar("texts of a figure given", default=frozenset())


def plain_names(plot: Callable[P, Figure]) -> Callable[P, Figure]:
    """A plot whose texts are taken as they are, but for numbers at ticks; a user's own are left."""

    @wraps(plot)
    def plain(*args: P.args, **options: P.kwargs) -> Figure:
        given = [value for name in ("figure", "panel") if (value := options.get(name)) is not None]
        token = _users.set(frozenset(id(text) for artist in given for text in _texts(artist)))
        try:
            figure = take_as_they_are(plot(*args, **options))
            _tell_missing(figure)
            return figure
        finally:
            _users.reset(token)

    return plain


def take_as_they_are(figure: T) -> T:
    """The figure, its texts as they stand; before it is laid out."""
    for text in _texts(figure):
        if id(text) not in _users.get():
            text.set_parse_math(False)
            letters = text.get_text()
            if not letters.isascii() and (family := families_for(letters, text.get_family())):
                text.set_family(family)
    return figure


def _tell_missing(figure: Any) -> None:
    """Say once which letters of a figure no installed font has."""
    texts = [text for text in _texts(figure) if not text.get_text().isascii()]
    lacking = {letter for t in texts for letter in missing_letters(t.get_text(), t.get_family())}
    if lacking:
        shown = "".join(sorted(lacking))[:12]
        warnings.warn(
            f"`plot`: no font that is installed has the letters {shown}: they are drawn as boxes; "
            "install one that has them, such as Noto Sans CJK, and start again.",
            FusionWarning,
            stacklevel=users_line(),
        )


def _texts(artist: Any) -> Iterator[Any]:
    """All texts of a figure or a part of it but those at ticks."""
    from matplotlib.axis import Axis
    from matplotlib.text import Text

    if isinstance(artist, Text):
        yield artist
        return
    for child in [artist.label] if isinstance(artist, Axis) else artist.get_children():
        yield from _texts(child)
