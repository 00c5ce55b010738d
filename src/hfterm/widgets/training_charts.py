"""Which metrics stand in one chart, and a chart's lines from curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from hfterm.text import displayable
from hfterm.training.curves import AxisName
from hfterm.widgets.chart_data import ChartLine
from hfterm.widgets.data_grid import Cell, GridColumn, Value
from hfterm.widgets.training_words import figure

if TYPE_CHECKING:
    from hfterm.training.curves import Columns, Curves
    from hfterm.training.watching import SystemTail

EVALUATED = "eval_"
LAST = ("learning_rate", "grad_norm", "steps_per_second", "tokens_per_second")
"""Charts that come after those of what is learnt."""

AXES: tuple[AxisName, ...] = ("step", "epoch", "time", "tokens")
"""What x can be, in the order of the choice."""

SMOOTH = ("off", "10", "50", "200")
"""Points whose mean is drawn."""

_axes: dict[str, AxisName] = {axis: axis for axis in AXES}

UNWANTED = ("_runtime", "_samples_per_second", "_steps_per_second")
TITLES = {
    "learning_rate": "learning rate", "grad_norm": "gradient norm",
    "steps_per_second": "steps/s", "tokens_per_second": "tokens/s",
}  # fmt: skip


@dataclass(frozen=True)
class ChartGroup:
    """Metrics of one kind, in one chart."""

    title: str
    names: tuple[str, ...]
    curves: Curves
    unit: str = ""


def axis_of(word: str) -> AxisName:
    """The axis that a choice says."""
    return _axes.get(word, "step")


def window_of(word: str) -> int:
    """The points that a choice of smoothing says."""
    return int(word) if word.isdecimal() else 1


def chart_groups(
    curves: Curves, system: SystemTail | None = None, metric: str = ""
) -> tuple[ChartGroup, ...]:
    """Every chart that some metrics give: a metric beside what evaluations say of it.

    Args:
        curves: the run's metrics.
        system: its memory and load.
        metric: the one that decides, which comes right after the loss.
    """
    groups: dict[str, list[str]] = {}
    for name in curves.names:
        base = name.removeprefix(EVALUATED)
        if name.startswith(EVALUATED) and name.endswith(UNWANTED):
            continue
        groups.setdefault(base, []).append(name)
    order = ["loss", metric, *(base for base in groups if base not in LAST), *LAST]
    found = [
        ChartGroup(displayable(TITLES.get(base, base)), tuple(groups[base]), curves)
        for base in dict.fromkeys(order)
        if base in groups
    ]
    if system is not None and len(system.curves):
        found.append(ChartGroup("memory", ("memory",), system.curves, "MB"))
        found.append(ChartGroup("cpu", ("cpu",), system.curves, "%"))
        gpus = tuple(n for n in system.curves.names if n.startswith("gpu") and "_" not in n)
        if gpus:
            found.append(ChartGroup("gpu", gpus, system.curves, "%"))
    return tuple(found)


def group_lines(group: ChartGroup, axis: AxisName, window: int) -> list[ChartLine]:
    """The lines of a chart."""
    return [curve_line(group.curves, name, name, axis, window) for name in group.names]


def curve_line(curves: Curves, name: str, label: str, axis: AxisName, window: int) -> ChartLine:
    """One metric as a line. Evaluations are few, so each is drawn as a mark."""
    import numpy as np

    def columns(first: float, last: float, count: int) -> Columns:
        found = curves.columns(name, axis, first, last, count, window)
        if window == 1:
            from dataclasses import replace

            return replace(found, smooth=np.full(count, math.nan))
        return found

    return ChartLine(
        name=displayable(label),
        columns=columns,
        nearest=partial(curves.nearest, name, axis),
        marks=name.startswith(EVALUATED),
    )


class MetricRows:
    """Every logged row, for export; made as it is asked for."""

    def __init__(self, curves: Curves) -> None:
        self._names = list(curves.names)
        self._series = [curves.series(name) for name in self._names]
        self._step = curves.axes["step"].view
        self._time = curves.axes["time"].view
        self.columns = [GridColumn("step", right=True), GridColumn("time", right=True)]
        self.columns += [GridColumn(displayable(name), right=True) for name in self._names]

    def __len__(self) -> int:
        return len(self._step)

    def row(self, index: int) -> Sequence[Cell]:
        """What would be drawn."""
        return [
            Cell(figure(value) if isinstance(value, float) else str(value))
            for value in self.values(index)
        ]

    def values(self, index: int) -> Sequence[Value]:
        """What is exported."""
        import numpy as np

        found: list[Value] = [float(self._step[index]), float(self._time[index])]
        for series in self._series:
            at = int(np.searchsorted(series.rows, index))
            there = at < len(series.rows) and series.rows[at] == index
            found.append(float(series.values[at]) if there else None)
        return found


def metric_rows(curves: Curves) -> MetricRows:
    """Every logged row."""
    return MetricRows(curves)
