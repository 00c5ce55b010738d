"""Times, numbers and statuses of runs in words: the same on every screen and in the commands."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from hfterm.text import displayable, elide_middle
from hfterm.training.run_types import RunStatus
from hfterm.widgets.data_grid import Tone

if TYPE_CHECKING:
    from hfterm.training.store import Run

STATUS: dict[RunStatus, tuple[str, Tone]] = {
    "queued": ("…", "dim"),
    "starting": ("◔", "accent"),
    "running": ("▶", "accent"),
    "stopping": ("◼", "warning"),
    "stopped": ("‖", "warning"),
    "finished": ("✓", ""),
    "failed": ("✗", "error"),
    "died": ("†", "error"),
}
"""A glyph for each status, which colour alone would not tell."""


def status_text(status: RunStatus) -> str:
    """A status with its glyph."""
    return f"{STATUS[status][0]} {status}"


def ending(run: Run) -> tuple[str, Literal["information", "warning", "error"]]:
    """How a run ended, for a notice, and how much that matters."""
    name = run.recipe.name if run.recipe is not None else run.id
    if run.status == "finished":
        best = run.progress.best
        metric = run.recipe.metric if run.recipe is not None else ""
        return f"{name} finished" + (f": {metric} {figure(best)}" if best is not None else ""), (
            "information"
        )
    why = f": {run.state.error.message}" if run.state.error is not None else ""
    return f"{name} {run.status}{why}", "warning" if run.status == "stopped" else "error"


def runs_line(runs: Sequence[Run]) -> str:
    """The runs at work, for the line under every screen."""
    active = [run for run in runs if run.active]
    queued = sum(run.status == "queued" for run in runs)
    if not active:
        return f" · {queued} queued" if queued else ""
    parts: list[str] = []
    for run in active[:2]:
        progress = run.progress
        name = elide_middle(run.recipe.name if run.recipe is not None else run.id, 20)
        left = run.seconds_left
        done = f" {share(progress.step, progress.total_steps)}" if progress.total_steps else ""
        parts.append(
            f"{STATUS[run.status][0]} {name}{done}"
            + (f" {duration(left)} left" if left is not None else "")
        )
    more = f" +{len(active) - 2}" if len(active) > 2 else ""
    return " · " + " · ".join(parts) + more + (f" · {queued} queued" if queued else "")


def duration(seconds: float) -> str:
    """A length of time: ``0:49``, ``1:02:03``, ``2 d 04:00``."""
    if not math.isfinite(seconds):
        return "–"
    whole = int(seconds + 0.5)
    hours, rest = divmod(whole, 3600)
    minutes, second = divmod(rest, 60)
    if hours >= 48:
        days, hours = divmod(hours, 24)
        return f"{days} d {hours:02}:{minutes:02}"
    return f"{hours}:{minutes:02}:{second:02}" if hours else f"{minutes}:{second:02}"


def moment(when: float) -> str:
    """A moment in local time: the hour today, the day before that."""
    if not when:
        return "–"
    try:
        local = time.localtime(when)
    except (OverflowError, ValueError, OSError):  # a damaged file may say anything
        return "–"
    today = time.localtime()
    if (local.tm_year, local.tm_yday) == (today.tm_year, today.tm_yday):
        return time.strftime("%H:%M:%S", local)
    if local.tm_year == today.tm_year:
        return time.strftime("%b %d %H:%M", local)
    return time.strftime("%Y-%m-%d", local)


def figure(value: float | str | None) -> str:
    """A metric: four digits that matter; tiny and huge ones with an exponent."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.2e}"
    if abs(value) >= 100:
        return f"{value:,.1f}"
    return f"{value:.4f}"


def share(done: float, total: float) -> str:
    """How much of a whole is done, in percent."""
    if not total:
        return "–"
    percent = round(100 * done / total)
    return f"{percent if done >= total else min(percent, 99)} %"


def run_line(run: Run) -> str:
    """A run in one line."""
    progress = run.progress
    parts = [status_text(run.status)]
    if progress.total_steps:
        parts.append(f"{progress.step:,}/{progress.total_steps:,}")
        parts.append(share(progress.step, progress.total_steps))
    elif progress.phase:
        parts.append(progress.phase)
    if progress.rate:
        parts.append(f"{progress.rate:.3g} steps/s")
    if run.seconds_left is not None:
        parts.append(f"{duration(run.seconds_left)} left")
    parts += [
        f"{name} {figure(progress.metrics[name])}" for name in ("loss", "eval_loss")
        if name in progress.metrics
    ]  # fmt: skip
    return displayable(" · ".join(parts))
