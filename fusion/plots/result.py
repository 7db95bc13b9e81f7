"""`plot_result`: maps beside their spectra, what is left of the data, and how the starts went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fusion.algebra.axis import Axes
from fusion.algebra.calls import checked_call
from fusion.answers.components import names_of
from fusion.answers.measured import metadata_along
from fusion.plots import factor_kinds as pick
from fusion.plots import style
from fusion.plots.beside_components import beside_components, draw_beside, held_factors
from fusion.plots.plain_names import plain_names, take_as_they_are
from fusion.plots.quality import draw_quality
from fusion.plots.quantities import common_limits, in_words, quantity
from fusion.plots.shown_axes import shown
from fusion.plots.split_scale import Scale, set_scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fusion.answers.result import Result

WIDTH = 8.5  # inches, at least
ROWS = 6  # components above each other; more go into a second and third stack beside
LABEL, MAP, CURVE, BELOW = 0.8, 2.1, 2.7, 2.3  # inches
TALL, LOW = 1.7, 1.35  # inches of a row, where there are few and where there are many


@checked_call
@plain_names
def plot_result(
    result: Result,
    *,
    factors: Sequence[str] | None = None,
    components: Sequence[int | str] | None = None,
    elements: str | Sequence[str] = (),
    same_scale: bool = False,
    scale: Scale = "auto",
    figure: Any = None,
) -> Figure:
    """Maps beside their spectra with axes and units, then how well they meet the data.

    A row for every component, a column for every factor, those on pixels first; a factor of one row
    is one bar for every component; what a model has beside them, such as backgrounds, has rows with
    its names. Values of both signs have colours that diverge from zero, what
    is masked is grey; where one line hides the rest of a spectrum the scale is split. Below, for
    every data set, the residual of every pixel over the noise (χ, near 1 where the model says all
    that is there), the mean spectrum measured and fitted with residual / σ and its ±2 band, and the
    loss of every start. The figure is outside pyplot: a notebook shows it once, `savefig` writes
    it.

    Args:
        result: what `fit` gave, or `Result.load`.
        factors: names of those to show; default: all.
        components: names, or numbers from 1, of those to show; default: all.
        elements: whose X-ray lines (of EDS) or edges (of EELS) are named on the spectra that show
            them, as for `fusion.elements.labels`: ["Mn", "O"].
        same_scale: one scale for all components of a factor; default: each has its own.
        scale: of spectra: "auto" splits it where one line hides the rest, "linear", or "log".
        figure: a matplotlib figure, or part of one, to draw into; default: one of its own.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: if there is no such factor, component or element.
    """
    import matplotlib

    from fusion.plots import drawing as draw

    curves: list[tuple[Any, ...]] = []

    beside = [] if factors is not None else beside_components(result)
    names = [n for n in _factors_to_show(result, factors) if n not in held_factors(beside)]
    beside = [] if components is not None else beside
    blocks = _blocks(result, names, components)
    rows = max(len(result.data), 1 + len(_in_one_panel(result, names)))
    limits = {n: common_limits(result.factors[n]) for n in names} if same_scale else {}
    sizes = [_block_size(result, *block) for block in blocks]
    with matplotlib.rc_context(style.SCREEN):
        width = max([WIDTH, *(w for w, _ in sizes)])
        heights = [h for _, h in sizes]
        heights += [len(each.names) * LOW + 0.5 for each in beside] + [rows * BELOW]
        figure = draw.figure_or_new(figure, (width, sum(heights)))
        parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        draw.stamp(parts[0], result)
        for part, (group, chosen) in zip(parts, blocks, strict=False):
            curves += _draw_block(part, result, group, chosen, limits)
        for part, each in zip(parts[len(blocks) :], beside, strict=False):
            spare = max(CURVE, WIDTH - LABEL - MAP)
            for panel, axes in draw_beside(part, each, (LABEL, MAP, spare)):
                curves += [(panel, axes[0], metadata_along(result, axes))] * (len(axes) == 1)
        curves += _draw_below(parts[-1], result, names, rows)
        for panel, *_ in curves:
            set_scale(panel, scale)
        if len(elements):
            from fusion.plots.labels import name_curves

            name_curves(take_as_they_are(figure), curves, elements)
    return figure


def _factors_to_show(result: Result, factors: Sequence[str] | None) -> list[str]:
    """Factors to show, those on pixels first, those of the channels next, others last."""
    missing = [name for name in factors or () if name not in result.factors]
    if missing:
        raise ValueError(
            f"`plot`: no factor {missing[0]!r}; the result has {', '.join(result.factors)}."
        )
    names = list(result.factors if factors is None else factors)
    return names if factors is not None else sorted(names, key=lambda name: _order(result, name))


def _order(result: Result, name: str) -> int:
    """0 for a factor over pixels or some of their axes, 1 over channels, 2 over neither."""
    axes = _row_axes(result, name)
    for which in (0, 1):
        if axes and any(all(axis in part for axis in axes) for part in _axes_of(result, which)):
            return which
    return 2


def _axes_of(result: Result, which: int) -> list[Axes]:
    """Navigation (0) or signal axes (1) of all data sets."""
    split = [
        (d.axes[: len(d.axes) - d.signal], d.axes[len(d.axes) - d.signal :])
        for d in result.data.values()
    ]
    return [part[which] for part in split]


def _row_axes(result: Result, name: str) -> Axes | None:
    """Axes along which the rows of a factor run, those of one entry left out."""
    axes = result.axes.get(name, (None,))[0]
    return axes and shown(axes)


def _by_component(result: Result, name: str) -> bool:
    """Whether a factor is drawn as a column of panels, one for every component."""
    core = (
        result.structure is not None
        and result.structure[0] == "tucker"
        and result.structure[1][0] == name
    )
    shape = result.factors[name].shape
    return len(shape) == 2 and shape[0] > 1 and not core


def _in_one_panel(result: Result, names: Sequence[str]) -> list[str]:
    """Factors that are drawn in one panel: of one row or one axis, and cores."""
    return [n for n in names if not _by_component(result, n) and result.factors[n].size > 1]


def _blocks(
    result: Result, names: Sequence[str], components: Sequence[int | str] | None
) -> list[tuple[list[str], list[int]]]:
    """(factors, components) of every block: factors with one number of components side by side."""
    groups: dict[int, list[str]] = {}
    for name in filter(lambda n: _by_component(result, n), names):
        groups.setdefault(result.factors[name].shape[1], []).append(name)
    if not groups:
        return []
    chosen = pick.components("plot", names_of(result, max(groups)), components)
    blocks = [
        (g, [k for k in (range(K) if components is None else chosen) if k < K])
        for K, g in groups.items()
    ]
    return [block for block in blocks if block[1]]


def _stacks_and_rows(group: Sequence[str], chosen: Sequence[int]) -> tuple[int, int]:
    """(stacks side by side, rows of each)."""
    stacks = -(-len(chosen) // ROWS) if len(group) <= 2 else 1
    return stacks, -(-len(chosen) // stacks)


def _width(result: Result, name: str) -> float:
    """Width of a factor's column, inches."""
    return MAP if len(_row_axes(result, name) or (0,)) > 1 else CURVE


def _block_size(result: Result, group: Sequence[str], chosen: Sequence[int]) -> tuple[float, float]:
    stacks, rows = _stacks_and_rows(group, chosen)
    return stacks * (LABEL + sum(_width(result, n) for n in group)), rows * (
        TALL if rows <= 4 else LOW
    ) + 0.5


def _draw_block(
    part: Any,
    result: Result,
    group: Sequence[str],
    chosen: Sequence[int],
    limits: Mapping[str, tuple[float, float]],
) -> list[tuple[Any, ...]]:
    """A row of panels for every component; those that are curves, with axis and metadata."""
    from fusion.plots import drawing as draw

    stacks, rows = _stacks_and_rows(group, chosen)
    wide = [_width(result, n) for n in group]
    grow = CURVE if CURVE in wide else MAP
    spare = max(0.0, WIDTH / stacks - LABEL - sum(wide)) / wide.count(grow)
    widths = [LABEL, *(w + spare * (w == grow) for w in wide)] * stacks
    grid = part.add_gridspec(rows, len(widths), width_ratios=widths)
    K = result.factors[group[0]].shape[1]
    shares, called = _explained(result, K), names_of(result, K)
    curves: list[tuple[Any, ...]] = []
    units = {name: quantity(result, name) if stacks == 1 else "" for name in group}
    for position, k in enumerate(chosen):
        stack, row = divmod(position, rows)
        first = stack * (1 + len(group))
        text_panel = part.add_subplot(grid[row, first])
        text_panel.set_axis_off()
        label = draw.folded(called[k], LABEL)
        text_panel.text(0.0, 0.5, "\n".join([label, *shares(k)]), va="center", fontsize=8)
        if row == 0:
            header = "component\n(explained)" if any(shares(k)) else "component"
            text_panel.set_title(header, loc="left", fontsize=7)
        lowest = row == rows - 1 or position == len(chosen) - 1
        for column, name in enumerate(group, start=first + 1):
            panel = part.add_subplot(grid[row, column])
            axes = _row_axes(result, name)
            values, label = result.factors[name][:, k], units[name]
            draw.factor(panel, values, axes, ends=lowest, label=label, limits=limits.get(name))
            if axes is not None and len(axes) == 1:
                curves.append((panel, axes[0], metadata_along(result, axes)))
            if row == 0:
                unit = f"\n{quantity(result, name)}" if stacks > 1 else ""
                panel.set_title(f"{_title(result, name)}{unit}")
    return curves


def _explained(result: Result, K: int) -> Any:
    """For a component, the explained variance of every data set, as lines of text."""
    known = {
        n: d.component_variance for n, d in result.data.items() if d.component_variance is not None
    }
    known = {n: v for n, v in known.items() if len(v) == K}
    several = len(result.data) > 1

    def lines(k: int) -> Iterator[str]:
        for name, values in known.items():
            yield f"{name} {100 * values[k]:.1f} %" if several else f"{100 * values[k]:.1f} %"

    return lines


def _title(result: Result, name: str) -> str:
    """The factor in words, and what is averaged over."""
    left = [axis.name for axis in (_row_axes(result, name) or ())[:-2]]
    what = in_words(result, name)
    return f"{what}, mean over {', '.join(left)}" if left else what


def _draw_below(
    part: Any, result: Result, names: Sequence[str], rows: int
) -> list[tuple[Any, ...]]:
    """χ and mean spectrum of every data set; at the right losses, odd factors; the curves."""
    from fusion.plots import panels

    curves: list[tuple[Any, ...]] = []
    grid = part.add_gridspec(rows, 3, width_ratios=[MAP, CURVE, CURVE])
    for row, (name, data) in enumerate(result.data.items()):
        drawn = draw_quality(part, grid, row, name, data)
        curves += [(panel, data.axes[-1], data.metadata) for panel in drawn]
    best = int((result.losses == result.loss).argmax())  # not the lowest where a rule was followed
    panels.losses(part.add_subplot(grid[0, 2]), result.loss_history, best)
    for row, name in enumerate(_in_one_panel(result, names), start=1):
        values = result.factors[name]
        panel = part.add_subplot(grid[row, 2])
        if values.size == max(values.shape):
            panels.bars(panel, values.reshape(-1), _title(result, name))
        else:
            panels.core(panel, values, name)
    return curves
