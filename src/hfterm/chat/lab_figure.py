"""The quantization lab's results as a picture in a file, by matplotlib.

Import this where a figure is wanted: matplotlib takes half a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from hfterm.attention.figures import write
from hfterm.chat.lab_types import MEASURES, WayResult
from hfterm.errors import HftermError

COLOUR, BEST = "#7f8fa6", "#00538a"


def write_figure(name: str, results: Sequence[WayResult], path: Path) -> None:
    """Write a bar chart of each measure, by the name's ending: .png or .svg.

    Args:
        name: the model's, for the title.
        results: what was measured; ways that failed are left out.
        path: none is overwritten.

    Raises:
        HftermError: nothing was measured, the name won't do, or can't be written.
    """
    measured = [result for result in results if not result.error]
    if not measured:
        raise HftermError("empty", "Nothing was measured yet.", "F5 measures.")
    figure = Figure(figsize=(9, 1.6 + 0.7 * len(measured)), layout="constrained")
    figure.suptitle(name, parse_math=False)
    places = figure.subplots(2, 2).flat
    for axes, measure in zip(places, MEASURES, strict=True):
        pairs = [(each.way, measure.value(each)) for each in measured]
        known = [(way, value) for way, value in pairs if value is not None]
        best = measure.best(value for _, value in known) if known else None
        bars = axes.barh(
            [way for way, _ in known], [value for _, value in known],
            color=[BEST if value == best else COLOUR for _, value in known],
        )  # fmt: skip
        axes.bar_label(bars, fmt=f"{{:{measure.form}}}", padding=3)
        axes.invert_yaxis()
        axes.margins(x=0.2)
        axes.set_title(measure.title, fontsize="medium", loc="left")
        axes.spines[["top", "right"]].set_visible(False)
    write(figure, path)
