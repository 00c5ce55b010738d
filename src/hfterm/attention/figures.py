"""Attention as a picture in a file, by matplotlib: for papers, slides and notebooks.

The canvases are used directly: no pyplot, no display, no state that is anyone else's. Import this
where a figure is wanted: matplotlib takes half a second.
"""

from __future__ import annotations

import logging
import unicodedata
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, cast

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize, PowerNorm, to_rgba
from matplotlib.figure import Figure

from hfterm.attention.tables import check_target, write_whole
from hfterm.attention.types import Axis, Token

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Scale = Literal["sqrt", "linear", "row"]

COLOURS = "cividis"
"""Made to look the same to people with and without colour-blindness."""

SCALES: dict[Scale, str] = {
    "sqrt": "weight (√ scale)",
    "linear": "weight",
    "row": "weight ÷ the row's largest",
}
MOST_CELLS = 1024
"""Cells a side of an image; of longer texts each shows the maximum of its square."""
MOST_LABELS = 64
FEW_TOKENS = 16
"""Tokens up to which the grid has room for their labels."""
DOTS = 150
MASKED = "0.9"
BROKEN = "#d55e00"
"""Vermilion, for weights that are no numbers: told from every colour of the ramp."""

_FONTS = (
    "DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans", "WenQuanYi Zen Hei",
    "PingFang SC", "Hiragino Sans", "Microsoft YaHei", "Arial Unicode MS", "Noto Sans Arabic",
    "Noto Sans Devanagari", "Noto Emoji", "Symbola", "Unifont",
)  # fmt: skip


def label_of(token: Token, most: int = 16) -> str:
    """A token as an axis names it: by its text where that reads better, never empty."""
    own = token.text.strip() and not token.special and not token.token.startswith("##")
    text = token.text.strip() if own else token.token
    shown = "".join(map(_shown, text)) or "␣"
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _shown(character: str) -> str:
    """A character that a figure, and XML, may hold."""
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    kind = unicodedata.category(character)
    return "�" if kind in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") else character


def shrunk(weights: np.ndarray, most: int = MOST_CELLS) -> np.ndarray:
    """A map of `most` × `most` cells at most, each the maximum of its square; NaN where one is.

    Args:
        weights: float32[queries, keys].
        most: cells a side.
    """
    for axis in (0, 1):
        step = -(-weights.shape[axis] // most)
        if step > 1:
            starts = np.arange(0, weights.shape[axis], step)
            weights = np.maximum.reduceat(weights, starts, axis=axis)
    return weights


def unseen(
    rows: int, columns: int, queries: int, keys: int, causal: bool, window: int = 0
) -> np.ndarray:
    """Which cells of a map lie wholly outside of what queries may see.

    Args:
        rows: cells downwards.
        columns: cells across.
        queries: tokens that the rows stand for.
        keys: tokens that the columns stand for.
        causal: no query sees a later key.
        window: tokens that a query sees back; 0 for all.

    Returns:
        bool[rows, columns].
    """
    down, across = -(-queries // rows), -(-keys // columns)
    first_query = np.arange(rows)[:, None] * down
    last_query = np.minimum(first_query + down, queries) - 1
    first_key = np.arange(columns)[None] * across
    last_key = np.minimum(first_key + across, keys) - 1
    hidden = np.zeros((rows, columns), bool)
    if causal:
        hidden |= first_key > last_query
    if window:
        hidden |= last_key <= first_query - window
        if not causal:
            hidden |= first_key >= last_query + window
    return hidden


def head_figure(
    weights: np.ndarray, queries: Sequence[Token], keys: Sequence[Token], *, title: str,
    scale: Scale = "sqrt", causal: bool = False, window: int = 0,
) -> Figure:  # fmt: skip
    """One map, with its tokens on both axes.

    Args:
        weights: float32[queries, keys].
        queries: the rows' tokens.
        keys: the columns' tokens.
        title: above it.
        scale: of the colours.
        causal: no query sees a later key; what is not seen is hatched.
        window: tokens that a query sees back; 0 for all.
    """
    if scale == "row":
        most = np.nanmax(weights, axis=1, keepdims=True, initial=0)
        weights = weights / np.where(most > 0, most, 1)
    small = shrunk(weights)
    rows, columns = small.shape
    hidden = unseen(rows, columns, len(queries), len(keys), causal, window)
    tall = min(max(0.22 * min(rows, MOST_LABELS), 3.0), 14.0)
    wide = min(max(0.22 * min(columns, MOST_LABELS), 3.0), 14.0)
    figure = Figure(figsize=(wide + 2.6, tall + 1.8), dpi=DOTS, layout="constrained")
    axes = figure.add_subplot()
    axes.patch.set(facecolor=MASKED, hatch="////", edgecolor="0.75", linewidth=0)
    image = axes.imshow(
        np.ma.masked_array(small, hidden | ~np.isfinite(small)),
        cmap=_ramp(), norm=_norm(small, scale), interpolation="none", aspect="auto",
    )  # fmt: skip
    _mark_broken(axes, ~np.isfinite(small) & ~hidden)
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02)
    bar.set_label(SCALES[scale])
    _token_ticks(axes, queries, rows, across=False)
    _token_ticks(axes, keys, columns, across=True)
    _say(axes, title, "key", "query")
    if (rows, columns) != weights.shape:
        squares = f"{-(-len(queries) // rows)} × {-(-len(keys) // columns)}"
        axes.set_xlabel(f"key · each cell the maximum of {squares} tokens")
    return figure


def grid_figure(
    maps: np.ndarray, queries: Sequence[Token], keys: Sequence[Token], *, title: str,
    axis: Axis | None = None, scale: Scale = "sqrt",
) -> Figure:  # fmt: skip
    """Every head as a small map, layers downwards and heads across: the tutorial's grid.

    Args:
        maps: float32[layers, heads, rows, columns]; of long texts, already shrunk by the maximum.
        queries: the tokens of the rows; their labels are there when they are few.
        keys: the tokens of the columns.
        title: above it.
        axis: what is masked; None for nothing.
        scale: of the colours.
    """
    layers, heads = maps.shape[:2]
    most = max(8, min(48, 6000 // max(layers, heads)))
    small = np.stack([[shrunk(one, most) for one in layer] for layer in maps])
    rows, columns = small.shape[2:]
    if scale == "row":
        top = np.nanmax(small, axis=3, keepdims=True, initial=0)
        small = small / np.where(top > 0, top, 1)
    gap = max(1, round(max(rows, columns) / 10))
    norm = _norm(small, scale)
    ramp = _ramp()
    canvas = np.ones((layers * (rows + gap) - gap, heads * (columns + gap) - gap, 4))
    causal, windows = (axis.causal, axis.windows) if axis else (False, ())
    for layer in range(layers):
        window = windows[layer] if layer < len(windows) else 0
        hidden = unseen(rows, columns, len(queries), len(keys), causal, window)
        for head in range(heads):
            one = small[layer, head]
            broken = ~np.isfinite(one)
            cells = ramp(norm(np.where(broken, 0, one)))
            cells[broken] = to_rgba(BROKEN)
            cells[hidden] = to_rgba(MASKED)
            top, left = layer * (rows + gap), head * (columns + gap)
            canvas[top : top + rows, left : left + columns] = cells
    labelled = max(len(queries), len(keys)) <= FEW_TOKENS and (rows, columns) == (
        len(queries), len(keys),
    )  # fmt: skip
    cell = 0.1 if labelled else min(1.2 / max(rows, columns), 0.15)
    cell = min(cell, 40 / max(canvas.shape[:2]))
    tall, wide = canvas.shape[0] * cell, canvas.shape[1] * cell
    figure = Figure(figsize=(wide + 2.2, tall + 1.8), dpi=DOTS, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(canvas, interpolation="none", aspect="equal")
    axes.set_frame_on(False)
    half = (np.array([rows, columns]) - 1) / 2
    for across, count, size, middle, tokens in (
        (False, layers, rows, half[0], queries), (True, heads, columns, half[1], keys),
    ):  # fmt: skip
        starts = np.arange(count) * (size + gap)
        _ticks(axes, starts + middle, [str(n) for n in range(count)], across=across)
        if labelled:
            named = axes.xaxis if across else axes.yaxis
            places = (starts[:, None] + np.arange(size)[None]).ravel()
            named.set_ticks(places, minor=True)
            named.set_ticklabels(
                [label_of(token, 10) for token in tokens] * count, minor=True, parse_math=False,
                fontfamily=_fonts(), fontsize=5, rotation=90 if across else 0,
            )  # fmt: skip
            axes.tick_params("x" if across else "y", which="major", length=0, pad=44)
            axes.tick_params("x" if across else "y", which="minor", length=0, pad=1)
    bar = figure.colorbar(
        ScalarMappable(norm, ramp), ax=axes, fraction=0.03, pad=0.01, aspect=30, shrink=0.8
    )
    bar.set_label(SCALES[scale])
    _say(axes, title, "head", "layer")
    return figure


def matrix_figure(metric: np.ndarray, *, title: str, label: str = "") -> Figure:
    """A number of every head, layers downwards and heads across.

    Args:
        metric: float32[layers, heads]; NaN where it has no meaning.
        title: above it.
        label: what the colours are.
    """
    layers, heads = metric.shape
    figure = Figure(
        figsize=(min(0.55 * heads, 40) + 2.0, min(0.36 * layers, 40) + 1.6), dpi=DOTS,
        layout="constrained",
    )  # fmt: skip
    axes = figure.add_subplot()
    axes.patch.set(facecolor=MASKED, hatch="////", edgecolor="0.75", linewidth=0)
    there = metric[np.isfinite(metric)]
    low, high = (min(0.0, float(there.min())), float(there.max())) if there.size else (0.0, 1.0)
    norm = Normalize(low, high if high > low else low + 1)
    ramp = _ramp()
    image = axes.imshow(
        np.ma.masked_invalid(metric), cmap=ramp, norm=norm, aspect="auto", interpolation="none"
    )
    places = 1 if high >= 10 else 2
    for (layer, head), value in np.ndenumerate(metric):
        text = f"{value:.{places}f}" if np.isfinite(value) else "–"
        light = np.isfinite(value) and norm(value) < 0.55
        axes.text(
            head, layer, text, ha="center", va="center", fontsize=7,
            color="white" if light else "black",
        )  # fmt: skip
    _ticks(axes, np.arange(layers), [str(n) for n in range(layers)], across=False)
    _ticks(axes, np.arange(heads), [str(n) for n in range(heads)], across=True)
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02)
    bar.set_label(label, fontfamily=_fonts(), parse_math=False)
    _say(axes, title, "head", "layer")
    return figure


def write(figure: Figure, path: Path) -> None:
    """Write a figure by its name's ending, .png or .svg: whole or not at all.

    Raises:
        HftermError: another ending, the file exists, or it can't be written.
    """
    check_target(path, (".png", ".svg"))

    def draw(file: IO[bytes]) -> None:
        svg = path.suffix == ".svg"
        canvas = FigureCanvasSVG(figure) if svg else FigureCanvasAgg(figure)
        # text stays text in an SVG: it can be searched, and whoever shows it has more fonts
        with _quietly(), mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "hfterm"}):
            if svg:
                canvas.print_svg(file, metadata={"Date": None})  # pyright: ignore[reportAttributeAccessIssue]
            else:
                canvas.print_png(file, metadata={"Software": None})  # pyright: ignore[reportAttributeAccessIssue]

    write_whole(path, draw)


@contextmanager
def _quietly() -> Generator[None]:
    """A glyph that no font has is drawn as a box, and nothing is said about it."""
    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


@cache
def _fonts() -> tuple[str, ...]:
    """The fonts that are here of those that have what DejaVu lacks."""
    from matplotlib import font_manager

    here = {font.name for font in font_manager.fontManager.ttflist}
    return tuple(name for name in _FONTS if name in here) or ("sans-serif",)


def _ramp() -> Colormap:
    return mpl.colormaps[COLOURS].with_extremes(bad=(0, 0, 0, 0))


def _norm(values: np.ndarray, scale: Scale) -> Normalize:
    there = values[np.isfinite(values)]
    most = float(there.max()) if there.size and there.max() > 0 else 1.0
    if scale == "sqrt":
        return PowerNorm(0.5, 0, most)
    return Normalize(0, most)


def _mark_broken(axes: Axes, broken: np.ndarray) -> None:
    if broken.any():
        paint = np.zeros((*broken.shape, 4))
        paint[broken] = to_rgba(BROKEN)
        axes.imshow(paint, interpolation="none", aspect="auto")


def _say(axes: Axes, title: str, below: str, beside: str) -> None:
    shown = "".join(map(_shown, title))
    axes.set_title(shown, fontfamily=_fonts(), fontsize=10, parse_math=False)
    axes.set_xlabel(below)
    axes.set_ylabel(beside)


def _token_ticks(axes: Axes, tokens: Sequence[Token], cells: int, *, across: bool) -> None:
    """As many tokens as can be read, each at the cell that it is in."""
    per_cell = -(-len(tokens) // cells)
    every = -(-cells // MOST_LABELS)
    places = np.arange(0, cells, every)
    names = [label_of(tokens[place * per_cell]) for place in range(0, cells, every)]
    _ticks(axes, places, names, across=across, size=7 if cells <= 40 else 6)


def _ticks(
    axes: Axes, places: np.ndarray, names: Sequence[str], *, across: bool, size: float = 8
) -> None:
    named = axes.xaxis if across else axes.yaxis
    thin = -(-len(names) // MOST_LABELS)
    named.set_ticks(cast("Sequence[float]", places[::thin]))
    longest = max(map(len, names), default=0)
    named.set_ticklabels(
        names[::thin], parse_math=False, fontfamily=_fonts(), fontsize=size,
        rotation=90 if across and longest > 3 else 0,
    )  # fmt: skip
