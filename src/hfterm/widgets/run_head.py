"""A run in two or three lines: what it does, how far it is, its newest figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from hfterm.text import foreign
from hfterm.widgets.training_tables import run_name
from hfterm.widgets.training_words import STATUS, duration, figure, share

if TYPE_CHECKING:
    from hfterm.training.store import Run
    from hfterm.training.watching import Watched

NAMED = ("loss", "eval_loss", "learning_rate", "grad_norm")
MOST_FOREIGN = 6


def run_head(run: Run) -> list[Content]:
    """A run of this machine."""
    progress, state = run.progress, run.state
    glyph, tone = STATUS[run.status]
    colour = {"accent": "$accent", "warning": "$warning", "error": "$error"}.get(tone, "")
    parts: list[str] = []
    if progress.total_steps:
        parts.append(f"{progress.step:,}/{progress.total_steps:,}")
        parts.append(share(progress.step, progress.total_steps))
    if run.active:
        if progress.phase and run.status != "stopping":
            parts.append(progress.phase)
        if progress.rate:
            parts.append(f"{progress.rate:.3g} steps/s")
        if run.seconds_left is not None:
            parts.append(f"{duration(run.seconds_left)} left")
    elif state.seconds:
        parts.append(f"took {duration(state.seconds)}")
    head = Content.assemble(
        foreign(f"{glyph} {run.status}", colour or "bold"), foreign(f" · {run_name(run)}", "bold")
    )
    lines = [Content.assemble(head, foreign("".join(f" · {part}" for part in parts)))]
    if state.error is not None and not run.active:
        lines.append(foreign(f"{state.error.message} {state.error.remedy}", "$error"))
    figures = [
        f"{name} {figure(progress.metrics[name])}" for name in NAMED if name in progress.metrics
    ]
    if progress.best is not None and run.recipe is not None:
        best = f"best {run.recipe.metric} {figure(progress.best)} at {progress.best_step:,}"
        figures.insert(0, best)
    if progress.global_batch:
        figures.append(f"batch {progress.global_batch:,}")
    lines.append(foreign(" · ".join(figures), "$text-muted"))
    return lines


def foreign_head(watched: Watched) -> list[Content]:
    """A run of another program."""
    source = watched.source
    curves = source.curves
    extent = curves.extent(curves.names, "step")
    step = f"step {extent[1]:,.0f}" if extent is not None else "no step yet"
    if source.total_steps:
        step += f" of {source.total_steps:,}"
    state = {None: "", True: " · finished", False: " · running"}[source.finished]
    last = [f"{name} {figure(curves.last(name))}" for name in curves.names[:MOST_FOREIGN]]
    lines = [
        foreign(f"{watched.kind} · {watched.name} · {step}{state} · only read", "bold"),
        foreign(" · ".join(last), "$text-muted"),
    ]
    if source.status_text:
        lines.append(foreign(source.status_text, "$warning"))
    return lines
