"""Runs as tables: what both the Train screen and the commands print."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import msgspec

from hfterm.sizes import size_text
from hfterm.text import displayable, elide_middle
from hfterm.training.preview_types import Preview
from hfterm.training.recipe import LESS_IS_BETTER, Recipe
from hfterm.training.run_types import Checkpoint, RunEvent, RunSample, SystemRow
from hfterm.training.store import Run
from hfterm.training.watch_list import WatchedPath
from hfterm.widgets.data_grid import Cell, GridColumn, Rows, Tone, Value
from hfterm.widgets.training_words import STATUS, duration, figure, moment, share, status_text

NOTHING = Cell("–", "dim")


def run_rows(
    runs: Sequence[Run],
    marked: frozenset[str] = frozenset(),
    watched: Sequence[WatchedPath] = (),
) -> Rows:
    """A row a run; after them those of other programs, told apart by whose they are."""
    columns = (
        GridColumn("", most=1, name="marked"),
        GridColumn("status", most=11),
        GridColumn("run", most=34),
        GridColumn("method", most=13),
        GridColumn("step", right=True, most=17),
        GridColumn("done", right=True),
        GridColumn("left", right=True),
        GridColumn("metric", right=True, most=22),
        GridColumn("loss", right=True),
        GridColumn("began", right=True),
        GridColumn("took", right=True),
        GridColumn("memory", right=True),
        GridColumn("note", most=30),
    )
    cells: list[list[Cell]] = []
    values: list[list[Value]] = []
    for run in runs:
        progress, state = run.progress, run.state
        glyph, tone = STATUS[run.status]
        left = run.seconds_left
        total = progress.total_steps
        metric = run.recipe.metric if run.recipe is not None else ""
        best = f"{metric} {figure(progress.best)}" if progress.best is not None else "–"
        loss = progress.metrics.get("loss")
        note = " ".join([*(f"#{tag}" for tag in run.notes.tags), run.notes.note])
        if run.state.error is not None and not note.strip():
            note = run.state.error.kind
        cells.append(
            [
                Cell("●" if run.id in marked else "", "accent"),
                Cell(f"{glyph} {run.status}", tone),
                Cell(displayable(run_name(run))),
                Cell(method_text(run.recipe)),
                Cell(f"{progress.step:,}/{total:,}" if total else "–"),
                Cell(share(progress.step, total)),
                Cell(duration(left) if left is not None else "–"),
                Cell(best),
                Cell(figure(loss)),
                Cell(moment(state.started)),
                Cell(duration(state.seconds) if state.seconds else "–"),
                Cell(size_text(state.peak_memory) if state.peak_memory else "–"),
                Cell(displayable(note), "dim"),
            ]
        )
        values.append(
            [
                run.id in marked, run.status, run.id, method_text(run.recipe), progress.step, total,
                left, progress.best, loss if not isinstance(loss, str) else None, state.started,
                state.seconds, state.peak_memory, note.strip(),
            ]
        )  # fmt: skip
    for entry in watched:
        texts = ["", "◇ watched", entry.name, entry.kind, *["–"] * 8, entry.path]
        cells.append([Cell(displayable(text), "dim") for text in texts])
        values.append([False, "watched", entry.name, entry.kind, *[None] * 8, entry.path])
    return Rows(columns, cells, values)


def run_name(run: Run) -> str:
    """A run's name, and when it was made where that is all that tells it from others."""
    return run.recipe.name if run.recipe is not None else run.id


def method_text(recipe: Recipe | None) -> str:
    """A method, with what it keeps the base in."""
    if recipe is None:
        return "–"
    return recipe.method.name + (f" {recipe.method.quant}" if recipe.quantization != "none" else "")


def event_rows(events: Sequence[RunEvent]) -> Rows:
    """The newest first."""
    columns = (
        GridColumn("time", right=True),
        GridColumn("step", right=True),
        GridColumn("event", most=14),
        GridColumn("what", most=200, stretch=True),
    )
    tones: dict[str, Tone] = {
        "alert": "warning", "failed": "error", "died": "error", "finished": "accent",
    }  # fmt: skip
    marks = {"alert": "!", "failed": "✗", "died": "†", "finished": "✓"}
    cells = [
        [
            Cell(moment(event.time)),
            Cell(f"{event.step:,}" if event.step >= 0 else ""),
            Cell(
                f"{marks.get(event.kind, '·')} {displayable(event.kind)}", tones.get(event.kind, "")
            ),
            Cell(displayable(event.text)),
        ]
        for event in reversed(events)
    ]
    return Rows(columns, cells)


def checkpoint_rows(checkpoints: Sequence[Checkpoint]) -> Rows:
    """The newest first."""
    columns = (
        GridColumn("step", right=True),
        GridColumn("", most=1, name="best"),
        GridColumn("size", right=True),
        GridColumn("time", right=True),
        GridColumn("folder", most=200, stretch=True),
    )
    cells = [
        [
            Cell(f"{found.step:,}"),
            Cell("★" if found.best else "", "accent"),
            Cell(size_text(found.size)),
            Cell(moment(found.time)),
            Cell(displayable(found.path)),
        ]
        for found in reversed(checkpoints)
    ]
    return Rows(columns, cells)


def sample_rows(samples: Sequence[RunSample]) -> Rows:
    """What the model made of the prompts, the newest first."""
    columns = (
        GridColumn("step", right=True),
        GridColumn("prompt", most=36),
        GridColumn("answer", most=400, stretch=True),
    )
    cells = [
        [
            Cell(f"{found.step:,}"), Cell(displayable(found.prompt)),
            Cell(displayable(found.answer)),
        ]
        for found in reversed(samples)
    ]  # fmt: skip
    return Rows(columns, cells)


def system_rows(rows: Sequence[SystemRow]) -> Rows:
    """The run's memory and processor, the newest first."""
    columns = (
        GridColumn("time", right=True),
        GridColumn("memory", right=True),
        GridColumn("cpu %", right=True),
        GridColumn("machine cpu %", right=True),
        GridColumn("machine memory", right=True),
        GridColumn("gpus", most=60),
    )
    cells: list[list[Cell]] = []
    for row in reversed(rows):
        gpus = " · ".join(
            f"{use if use is not None else '–'} % {size_text(used) if used else '–'}"
            for use, used, _ in row.gpus
        )
        cells.append(
            [
                Cell(moment(row.time)),
                Cell(size_text(row.memory)),
                Cell(f"{row.cpu:.0f}"),
                Cell(f"{row.machine_cpu:.0f}"),
                Cell(f"{size_text(row.machine_used)} of {size_text(row.machine_total)}"),
                Cell(gpus or "–", "" if gpus else "dim"),
            ]
        )
    return Rows(columns, cells)


def preview_rows(preview: Preview) -> Rows:
    """Ten rows as the model takes them; what the loss does not look at is in brackets."""
    columns = (
        GridColumn("tokens", right=True),
        GridColumn("label", most=20),
        GridColumn("row", most=600, stretch=True),
    )
    cells: list[list[Cell]] = []
    for row in preview.rows:
        cells.append(
            [
                Cell(f"{len(row.tokens)}"),
                Cell(displayable(row.label) or _learnt(row.learnt)),
                Cell(_tokens(row.tokens, row.learnt)),
            ]
        )
    return Rows(columns, cells)


def _learnt(learnt: Sequence[bool]) -> str:
    return f"{sum(learnt)} learnt" if learnt else "–"


def _tokens(tokens: Sequence[str], learnt: Sequence[bool]) -> str:
    """Tokens in a line. Between ‹ › stand those that the loss looks at, where it is not all."""
    shown = [displayable(token, space=True) for token in tokens]
    if not learnt or all(learnt):
        return " ".join(shown)
    parts: list[str] = []
    before = False
    for token, counts in zip(shown, learnt, strict=True):
        if counts != before:
            parts.append("‹" if counts else "›")
        parts.append(token)
        before = counts
    return " ".join([*parts, "›"] if before else parts)


def label_rows(preview: Preview) -> Rows:
    """Labels and how many rows each has."""
    columns = (
        GridColumn("label", most=24),
        GridColumn("train", right=True),
        GridColumn("%", right=True),
        GridColumn("eval", right=True),
        GridColumn("", most=20, stretch=True, name="share"),
    )
    total = sum(found.train for found in preview.labels) or 1
    most = max((found.train for found in preview.labels), default=1) or 1
    cells = [
        [
            Cell(displayable(found.name)), Cell(f"{found.train:,}"),
            Cell(f"{100 * found.train / total:.1f}"), Cell(f"{found.held:,}"),
            Cell("█" * (max(1, round(20 * found.train / most)) if found.train else 0), "accent"),
        ]
        for found in preview.labels
    ]  # fmt: skip
    return Rows(columns, cells)


def length_rows(preview: Preview) -> Rows:
    """A histogram of the rows' tokens."""
    columns = (
        GridColumn("tokens ≤", right=True),
        GridColumn("rows", right=True),
        GridColumn("", most=30, stretch=True, name="share"),
    )
    most = max((rows for _, rows in preview.lengths), default=1) or 1
    cells = [
        [Cell(f"{upto:,}"), Cell(f"{rows:,}"), Cell("█" * round(30 * rows / most), "accent")]
        for upto, rows in preview.lengths
    ]
    return Rows(columns, cells)


# -- comparing ---------------------------------------------------------------------------------


def short_names(runs: Sequence[Run]) -> list[str]:
    """The runs' names, safe to show, without the beginning that all of them share."""
    names = [displayable(run_name(run)) for run in runs]
    if len(set(names)) == len(names) > 1:
        while len({name.partition("-")[0] for name in names}) == 1 and all("-" in n for n in names):
            names = [name.partition("-")[2] for name in names]
    if len(set(names)) < len(names):  # the same recipe, started twice
        names = [f"{name} {run.id[9:15]}" for name, run in zip(names, runs, strict=True)]
    return [elide_middle(name, 24) for name in names]


def result_of(run: Run) -> dict[str, float | str]:
    """The figures of a run that a comparison shows."""
    progress = run.progress
    found: dict[str, float | str] = {
        name: value for name, value in progress.metrics.items()
        if name == "loss" or (name.startswith("eval_") and not name.endswith(
            ("_runtime", "_per_second")))
    }  # fmt: skip
    if run.recipe is not None and progress.best is not None:
        found[f"best {run.recipe.metric}"] = progress.best
    return found


def compare_rows(runs: Sequence[Run], letters: str = "") -> Rows:
    """What differs in the recipes of some runs, and their results; a column a run.

    Args:
        runs: that are compared.
        letters: of the lines of the first of them in a chart beside the table.
    """
    columns = [GridColumn("", most=30, name="what")]
    columns += [
        GridColumn(f"{letters[place : place + 1]} {name}".strip(), right=True)
        for place, name in enumerate(short_names(runs))
    ]
    tables = [_flat(run.recipe) for run in runs]
    lines: list[tuple[str, list[str], list[Value], Tone]] = []
    for key in dict.fromkeys(key for table in tables for key in table):
        values = [table.get(key, "–") for table in tables]
        if len(set(values)) > 1 and key not in ("name", "group"):
            lines.append((key, values, list(values), ""))
    results = [result_of(run) for run in runs]
    for key in dict.fromkeys(key for result in results for key in result):
        found = [result.get(key) for result in results]
        lines.append((key, [figure(value) for value in found], list(found), "accent"))
    for name, texts, raw in (
        ("status", [status_text(run.status) for run in runs], [run.status for run in runs]),
        ("step", [f"{run.progress.step:,}" for run in runs], [run.progress.step for run in runs]),
        (
            "time",
            [duration(run.state.seconds) for run in runs],
            [run.state.seconds for run in runs],
        ),
        (
            "peak memory",
            [size_text(run.state.peak_memory) for run in runs],
            [run.state.peak_memory for run in runs],
        ),
        (
            "trained parameters",
            [f"{run.progress.trainable:,}" for run in runs],
            [run.progress.trainable for run in runs],
        ),
    ):
        lines.append((name, texts, list(raw), ""))
    cells = [
        [Cell(displayable(name), "dim"), *(Cell(displayable(text), tone) for text in texts)]
        for name, texts, _, tone in lines
    ]
    return Rows(columns, cells, [[name, *raw] for name, _, raw, _ in lines])


def _flat(recipe: Recipe | None) -> dict[str, str]:
    if recipe is None:
        return {}
    table: dict[str, str] = {}
    told = msgspec.to_builtins(recipe)
    for name, value in told.items():
        if isinstance(value, dict):
            table |= {f"{name}.{key}": str(msgspec.to_builtins(v)) for key, v in value.items()}
        else:
            table[name] = str(value)
    return table


def group_rows(runs: Sequence[Run]) -> Rows:
    """The folds of each method together: mean ± standard deviation over the finished runs."""
    methods: dict[str, list[Run]] = {}
    for run in runs:
        if run.recipe is not None:
            methods.setdefault(method_text(run.recipe), []).append(run)
    metric = next((f"eval_{run.recipe.metric}" for run in runs if run.recipe is not None), "")
    there = dict.fromkeys(key for run in runs for key in result_of(run) if key.startswith("eval_"))
    names = [metric, *(name for name in there if name != metric)] if metric in there else [*there]
    columns = [GridColumn("method", most=12), GridColumn("runs", right=True)]
    columns += [GridColumn(displayable(name), right=True, most=24) for name in names[:1]]
    columns += [
        GridColumn("time", right=True, most=20), GridColumn("peak memory", right=True, most=24),
        GridColumn("trained", right=True),
    ]  # fmt: skip
    columns += [GridColumn(displayable(name), right=True, most=24) for name in names[1:]]
    best = _best_methods(methods, names)
    cells: list[list[Cell]] = []
    values: list[list[Value]] = []
    for method, its in methods.items():
        done = [run for run in its if run.status == "finished"]
        times = [run.state.seconds for run in done]
        memory = [float(run.state.peak_memory) for run in done]
        figures: list[Cell] = []
        raw: list[Value] = []
        for name in names:
            found = [v for run in done if isinstance(v := result_of(run).get(name), float)]
            figures.append(Cell(spread(found), "accent" if best.get(name) == method else ""))
            raw.append(statistics.fmean(found) if found else None)
        trained = its[0].progress.trainable
        cells.append(
            [
                Cell(method), Cell(f"{len(done)}/{len(its)}"), *figures[:1],
                Cell(spread(times, duration, lambda s: f"{s:.1f} s")),
                Cell(spread(memory, lambda size: size_text(round(size)))),
                Cell(f"{trained:,}") if trained else NOTHING, *figures[1:],
            ]
        )  # fmt: skip
        values.append(
            [
                method, len(done), *raw[:1], statistics.fmean(times) if times else None,
                statistics.fmean(memory) if memory else None, trained, *raw[1:],
            ]
        )  # fmt: skip
    return Rows(columns, cells, values)


def _best_methods(methods: dict[str, list[Run]], names: Sequence[str]) -> dict[str, str]:
    """For each figure the method whose mean is the best; none when there is only one method."""
    found: dict[str, str] = {}
    for name in names:
        means: dict[str, float] = {}
        for method, its in methods.items():
            values = [
                v for run in its
                if run.status == "finished" and isinstance(v := result_of(run).get(name), float)
            ]  # fmt: skip
            if values:
                means[method] = statistics.fmean(values)
        less = name.removeprefix("eval_").removeprefix("best ") in LESS_IS_BETTER
        if len(means) > 1:
            found[name] = (min if less else max)(means, key=lambda method: means[method])
    return found


def spread(
    values: Sequence[float],
    shown: Callable[[float], str] = figure,
    deviation: Callable[[float], str] | None = None,
) -> str:
    """Mean ± sample standard deviation.

    Args:
        values: none is a dash.
        shown: a mean as text.
        deviation: the same of the deviation; None for the same way.
    """
    if not values:
        return "–"
    mean = shown(statistics.fmean(values))
    if len(values) == 1:
        return mean
    return f"{mean} ± {(deviation or shown)(statistics.stdev(values))}"
