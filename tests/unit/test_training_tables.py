"""Runs, previews and comparisons as tables, and which metrics share a chart."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from rich.cells import cell_len

from corpus import HOSTILE
from hfterm.job import Job
from hfterm.text import FORBIDDEN
from hfterm.training import run_control, store
from hfterm.training.curve_cache import read_all
from hfterm.training.curves import Curves
from hfterm.training.preview_types import LabelCount, Preview, PreviewRow
from hfterm.training.run_types import RunEvent, RunNotes, RunSample, SystemRow
from hfterm.training.watching import Watched, cache_of, watch_run
from hfterm.widgets.data_grid import Cell, GridSource, Value
from hfterm.widgets.training_charts import (
    axis_of,
    chart_groups,
    group_lines,
    metric_rows,
    window_of,
)
from hfterm.widgets.training_tables import (
    checkpoint_rows,
    compare_rows,
    event_rows,
    group_rows,
    label_rows,
    length_rows,
    method_text,
    preview_rows,
    result_of,
    run_rows,
    sample_rows,
    short_names,
    spread,
    system_rows,
)
from hfterm.widgets.training_words import duration, figure
from run_fixtures import NOON, a_recipe, folds, make_checkpoint, make_run

Row = dict[str, Value]


def texts(source: GridSource) -> list[dict[str, str]]:
    """The table as it is drawn, by the columns' labels."""
    labels = [column.label or column.name for column in source.columns]
    return [
        dict(zip(labels, (cell.text for cell in source.row(i)), strict=True))
        for i in range(len(source))
    ]


def values(source: GridSource) -> list[Row]:
    """The table as it is exported."""
    labels = [column.label or column.name for column in source.columns]
    return [dict(zip(labels, source.values(i), strict=True)) for i in range(len(source))]


def tones(source: GridSource, column: str) -> list[str]:
    place = [c.label or c.name for c in source.columns].index(column)
    return [source.row(i)[place].tone for i in range(len(source))]


def whole(source: GridSource) -> None:
    """As many cells as columns, every one safe to show; as many values."""
    for index in range(len(source)):
        row = source.row(index)
        assert len(row) == len(source.columns) == len(source.values(index))
        for cell in row:
            assert isinstance(cell, Cell)
            assert not {ord(character) for character in cell.text} & set(FORBIDDEN), cell
            assert "\n" not in cell.text


def runs(*made: object) -> list[store.Run]:
    return [store.read_run(path) for path in made]


# -- runs ------------------------------------------------------------------------------------


def test_a_row_of_a_run_that_goes_on() -> None:
    (run,) = runs(
        make_run(
            "film", "running", steps=45, total=120, note="warmer", tags=["a", "b"],
            recipe=a_recipe("film", method={"name": "qlora", "quant": "int8"}),
        )
    )  # fmt: skip
    source = run_rows([run], frozenset({run.id}))
    whole(source)
    (row,) = texts(source)
    best = run.progress.best
    assert best is not None
    assert {name: row[name] for name in ("marked", "status", "run", "method")} == {
        "marked": "●", "status": "▶ running", "run": "film", "method": "qlora int8",
    }  # fmt: skip
    assert (row["step"], row["done"], row["left"]) == ("45/120", "38 %", "1:15")
    assert row["metric"] == f"accuracy {figure(best)}"
    assert row["note"] == "#a #b warmer"
    (raw,) = values(source)
    assert raw["run"] == run.id
    assert (raw["step"], raw["left"], raw["metric"]) == (45, 75.0, best)
    assert raw["marked"] is True


def test_rows_of_runs_that_are_over() -> None:
    found = runs(
        make_run("good"),
        make_run("bad", "failed", at=60, nan_from=100),
        make_run("gone", "died", at=120),
        make_run("wait", "queued", at=180),
        make_run("half", "stopped", at=240, steps=50),
    )
    source = run_rows(found)
    whole(source)
    rows = texts(source)
    assert [row["status"] for row in rows] == [
        "✓ finished", "✗ failed", "† died", "… queued", "‖ stopped",
    ]  # fmt: skip
    assert tones(source, "status") == ["", "error", "error", "dim", "warning"]
    assert {row["left"] for row in rows} == {"–"}
    assert [row["note"] for row in rows] == ["", "nan-loss", "died", "", ""]
    assert [row["loss"] for row in rows][1] == "NaN"
    assert values(source)[1]["loss"] is None
    assert (rows[3]["step"], rows[3]["took"], rows[3]["memory"]) == ("–", "–", "–")


def test_a_run_whose_recipe_is_broken_has_a_row() -> None:
    path = make_run("lost")
    (path / "recipe.toml").write_text("name = [")
    (run,) = runs(path)
    (row,) = texts(run_rows([run]))
    assert (row["run"], row["method"]) == (run.id, "–")
    whole(compare_rows([run, *runs(make_run("other", at=60))]))
    assert len(group_rows([run])) == 0


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_words_in_every_table(name: str) -> None:
    attack = HOSTILE[name]
    path = make_run("evil", recipe=msgspec.structs.replace(a_recipe("evil"), name=attack))
    (run,) = runs(path)
    run_control.save_notes(run, RunNotes(note=attack, tags=(attack,)))
    again = [*runs(path), *runs(make_run("other", at=60))]
    for source in (run_rows(again), compare_rows(again), group_rows(again)):
        whole(source)
    assert all(ord(c) not in FORBIDDEN for told in short_names(again) for c in told)
    whole(event_rows([RunEvent(time=NOON, kind=attack, text=f"{attack}\n{attack}", step=3)]))
    whole(sample_rows([RunSample(step=3, prompt=attack, answer=attack)]))
    whole(
        preview_rows(
            a_preview(rows=(PreviewRow((attack, "a b"), (True, False), "", 0),
                            PreviewRow((attack,), (), attack, 0)))
        )
    )  # fmt: skip
    whole(label_rows(a_preview(labels=(LabelCount(attack, 3, 1),))))


# -- what stands below the charts --------------------------------------------------------------


def test_events_the_newest_first() -> None:
    events = [
        RunEvent(time=NOON, kind="started", text="1,920 rows"),
        RunEvent(time=NOON + 9, kind="alert", text="the loss jumped", step=1234),
        RunEvent(time=NOON + 10, kind="failed", text="no number", step=1235),
    ]
    source = event_rows(events)
    whole(source)
    rows = texts(source)
    assert [row["event"] for row in rows] == ["✗ failed", "! alert", "· started"]
    assert [row["step"] for row in rows] == ["1,235", "1,234", ""]
    assert tones(source, "event") == ["error", "warning", ""]


def test_checkpoints_that_are_whole_with_the_best_marked() -> None:
    path = make_run("film", checkpoints=(40, 100))
    make_checkpoint(path, 120, NOON, whole=False)
    progress = store.read_run(path).progress
    found = watch_run(path).checkpoints()
    assert [one.step for one in found] == [40, 100]
    source = checkpoint_rows(found)
    whole(source)
    assert [row["step"] for row in texts(source)] == ["100", "40"]
    best = make_checkpoint(path, progress.best_step + 1000, NOON)
    assert best.exists()
    assert [row["best"] for row in texts(checkpoint_rows(watch_run(path).checkpoints()))] == [
        "", "", "",
    ]  # fmt: skip
    make_run("other", at=60, checkpoints=(progress.best_step,))
    other = store.find_run("other").path
    assert [row["best"] for row in texts(checkpoint_rows(watch_run(other).checkpoints()))] == ["★"]


def test_the_machine_with_gpus_and_without() -> None:
    row = SystemRow(
        time=NOON, memory=640_000_000, cpu=187.4, machine_cpu=91.2, machine_used=3_100_000_000,
        machine_total=24_000_000_000,
    )  # fmt: skip
    known = msgspec.structs.replace(row, gpus=((37, 8_000_000_000, 61), (None, None, None)))
    source = system_rows([row, known])
    whole(source)
    first, second = texts(source)
    assert first["gpus"] == "37 % 8.0 GB · – % –"
    assert second["gpus"] == "–"
    assert (second["memory"], second["cpu %"]) == ("640 MB", "187")


# -- previews ----------------------------------------------------------------------------------


def a_preview(**changes: object) -> Preview:
    told: dict[str, object] = {
        "columns": (("text", "string"),), "train_rows": 10, "eval_rows": 2, "labels": (),
        "lengths": ((8, 3), (16, 7)), "measured": 10, "cut": 0, "longest": 15, "rows": (),
        "steps": 3, "warnings": (),
    }  # fmt: skip
    return Preview(**(told | changes))  # pyright: ignore[reportArgumentType]


def test_tokens_that_are_learnt_stand_between_marks() -> None:
    rows = (
        PreviewRow(("<s>", "ask", "</s>", "say", "so", "</s>"),
                   (False, False, False, True, True, True), "", 0),
        PreviewRow(("a", "b", "c"), (True, False, True), "", 0),
        PreviewRow(("a", "b"), (True, True), "", 0),
        PreviewRow(("a", "b"), (), "positive", 0),
    )  # fmt: skip
    source = preview_rows(a_preview(rows=rows))
    whole(source)
    found = texts(source)
    assert [row["row"] for row in found] == [
        "<s> ask </s> ‹ say so </s> ›", "‹ a › b ‹ c ›", "a b", "a b",
    ]  # fmt: skip
    assert [row["label"] for row in found] == ["3 learnt", "2 learnt", "2 learnt", "positive"]
    assert [row["tokens"] for row in found] == ["6", "3", "2", "2"]


def test_the_balance_of_labels_adds_up() -> None:
    labels = (LabelCount("negative", 300, 10), LabelCount("positive", 100, 12))
    source = label_rows(a_preview(labels=labels))
    rows = texts(source)
    assert [(row["train"], row["%"], row["eval"]) for row in rows] == [
        ("300", "75.0", "10"), ("100", "25.0", "12"),
    ]  # fmt: skip
    assert len(rows[0]["share"]) == 20
    assert len(rows[1]["share"]) == 7


def test_a_label_without_rows_has_no_bar() -> None:
    labels = (LabelCount("negative", 300, 10), LabelCount("never", 0, 4))
    assert texts(label_rows(a_preview(labels=labels)))[1]["share"] == ""


def test_lengths_and_nothing_at_all() -> None:
    rows = texts(length_rows(a_preview()))
    assert [(row["tokens ≤"], row["rows"]) for row in rows] == [("8", "3"), ("16", "7")]
    assert [len(row["share"]) for row in rows] == [13, 30]
    assert len(length_rows(a_preview(lengths=()))) == 0
    assert len(label_rows(a_preview())) == 0


# -- comparing ---------------------------------------------------------------------------------


@given(some.lists(some.floats(-1e4, 1e4), min_size=2, max_size=9))
def test_a_spread_is_mean_and_sample_deviation(numbers: list[float]) -> None:
    mean, deviation = spread(numbers, repr, repr).split(" ± ")
    assert float(mean) == pytest.approx(statistics.fmean(numbers))
    assert float(deviation) == pytest.approx(statistics.stdev(numbers))


def test_a_spread_of_one_or_none() -> None:
    assert spread([0.5]) == "0.5000"
    assert spread([]) == "–"
    assert spread([61, 63], duration, lambda s: f"{s:.1f} s") == "1:02 ± 1.4 s"


def test_folds_are_told_as_mean_and_deviation() -> None:
    found = runs(*folds())
    source = group_rows(found)
    whole(source)
    shown = {row["method"]: row for row in texts(source)}
    raw = {row["method"]: row for row in values(source)}
    assert set(shown) == {"full", "lora"}
    assert [column.label for column in source.columns][2] == "eval_accuracy"
    for method, row in shown.items():
        its = [run for run in found if run.recipe and run.recipe.method.name == method]
        assert len(its) == 3
        assert row["runs"] == "3/3"
        for name in ("eval_accuracy", "eval_loss", "eval_f1"):
            numbers = [float(run.progress.metrics[name]) for run in its]
            mean, deviation = statistics.fmean(numbers), statistics.stdev(numbers)
            assert row[name] == f"{figure(mean)} ± {figure(deviation)}"
            assert raw[method][name] == pytest.approx(mean)
        times = [run.state.seconds for run in its]
        assert row["time"] == f"{duration(statistics.fmean(times))} ± 1.0 s"
        assert raw[method]["time"] == pytest.approx(statistics.fmean(times))
        memory = [run.state.peak_memory for run in its]
        assert raw[method]["peak memory"] == pytest.approx(statistics.fmean(memory))
    assert shown["full"]["trained"] == "22,713,986"
    assert tones(source, "eval_accuracy") == ["", "accent"], "lora is the better one"
    assert not [column for column in source.columns if column.label.endswith("_runtime")]


def test_less_loss_is_better() -> None:
    better = a_recipe("a", method={"name": "full"}, training={"metric": "loss"})
    worse = a_recipe("b", training={"metric": "loss"})
    found = runs(make_run(recipe=better), make_run(recipe=worse, at=60, steps=40))
    source = group_rows(found)
    assert [row["method"] for row in texts(source)] == ["full", "lora"]
    assert tones(source, "eval_loss") == ["accent", ""]


def test_folds_that_are_not_over_are_counted_and_left_out() -> None:
    done = runs(*folds(("lora",)))
    going = runs(make_run("film-lora-fold4", "running", at=900, steps=30, skill=0.1))
    (row,) = texts(group_rows([*done, *going]))
    assert row["runs"] == "3/4"
    numbers = [float(run.progress.metrics["eval_accuracy"]) for run in done]
    assert row["eval_accuracy"].startswith(figure(statistics.fmean(numbers)))
    assert {cell.tone for cell in group_rows(done).row(0)} == {""}, "one method is not the best"


def test_a_fold_whose_loss_is_no_number_does_not_count() -> None:
    made = folds(("lora",))
    progress = store.read_run(made[0]).progress
    metrics = progress.metrics | {"eval_loss": "NaN"}
    (made[0] / "progress.json").write_bytes(
        msgspec.json.encode(msgspec.structs.replace(progress, metrics=metrics))
    )
    found = runs(*made)
    assert found[0].progress.metrics["eval_loss"] == "NaN"
    (row,) = values(group_rows(found))
    numbers = [float(run.progress.metrics["eval_loss"]) for run in found[1:]]
    assert row["eval_loss"] == pytest.approx(statistics.fmean(numbers))


def test_differences_of_recipes_and_results() -> None:
    one = a_recipe("film-a", training={"learning_rate": 1e-3})
    two = a_recipe("film-b", training={"learning_rate": 2e-3}, method={"r": 4})
    found = runs(make_run(recipe=one), make_run(recipe=two, at=60, status="failed", nan_from=110))
    source = compare_rows(found)
    whole(source)
    assert [column.label for column in source.columns] == ["", "a", "b"]
    rows = {row["what"]: (row["a"], row["b"]) for row in texts(source)}
    assert rows["training.learning_rate"] == ("0.001", "0.002")
    assert "method.r" in rows
    assert "training.batch_size" not in rows, "both have the same"
    assert "name" not in rows
    assert rows["status"] == ("✓ finished", "✗ failed")
    assert rows["loss"][1] == "NaN"
    raw = {row["what"]: row for row in values(source)}
    assert raw["time"]["a"] == found[0].state.seconds
    assert raw["eval_accuracy"]["a"] == found[0].progress.metrics["eval_accuracy"]
    assert "eval_runtime" not in rows


def test_the_value_by_default_is_said_where_another_run_has_another() -> None:
    one, two = a_recipe("film-a"), a_recipe("film-b", method={"r": 4})
    found = runs(make_run(recipe=one), make_run(recipe=two, at=60))
    rows = {row["what"]: (row["a"], row["b"]) for row in texts(compare_rows(found))}
    assert rows["method.r"] == ("8", "4")


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["film-full-fold1", "film-lora-fold1"], ["full-fold1", "lora-fold1"]),
        (["film-a", "film-b", "other-c"], ["film-a", "film-b", "other-c"]),
        (["film", "film-b"], ["film", "film-b"]),
        (["film-a"], ["film-a"]),
        (["a-b-c-1", "a-b-c-2"], ["1", "2"]),
        ([], []),
    ],
)
def test_names_without_what_all_share(names: Sequence[str], short: Sequence[str]) -> None:
    found = runs(*(make_run(name, at=60.0 * place) for place, name in enumerate(names)))
    assert short_names(found) == short


def test_runs_of_one_name_can_be_told_apart() -> None:
    found = runs(make_run("film"), make_run("film", at=60))
    assert len(set(short_names(found))) == 2


def test_long_names_are_short() -> None:
    found = runs(make_run("a" * 80), make_run("b" * 80, at=60))
    assert all(cell_len(name) <= 24 for name in short_names(found))


def test_results_are_the_figures_that_decide() -> None:
    (run,) = runs(make_run("film"))
    found = result_of(run)
    assert list(found) == ["loss", "eval_loss", "eval_accuracy", "eval_f1", "best accuracy"]
    assert found["best accuracy"] == run.progress.best


def test_methods_in_words() -> None:
    assert method_text(None) == "–"
    assert method_text(a_recipe()) == "lora"
    assert method_text(a_recipe(method={"name": "qlora"})) == "qlora nf4"
    assert method_text(a_recipe(method={"name": "full", "target_modules": []})) == "full"


# -- charts ------------------------------------------------------------------------------------


def watched(**made: object) -> Watched:
    found = watch_run(make_run(**made))  # pyright: ignore[reportArgumentType]
    read_all(found.source, cache_of(found), Job())
    while found.refresh() & {"curves", "system"}:
        continue
    return found


def test_a_metric_stands_beside_what_evaluations_say_of_it() -> None:
    found = watched()
    groups = chart_groups(found.source.curves, found.system, "accuracy")
    assert [group.title for group in groups] == [
        "loss", "accuracy", "f1", "learning rate", "gradient norm", "steps/s", "tokens/s",
        "memory", "cpu",
    ]  # fmt: skip
    by_title = {group.title: group for group in groups}
    assert by_title["loss"].names == ("loss", "eval_loss")
    assert by_title["accuracy"].names == ("eval_accuracy",)
    assert (by_title["memory"].unit, by_title["cpu"].unit) == ("MB", "%")
    lines = group_lines(by_title["loss"], "step", 1)
    assert [(line.name, line.marks) for line in lines] == [("loss", False), ("eval_loss", True)]
    assert [g.title for g in chart_groups(found.source.curves, found.system, "f1")][:3] == [
        "loss", "f1", "accuracy",
    ]  # fmt: skip


def test_every_logged_metric_is_in_one_chart() -> None:
    curves = watched().source.curves
    drawn = [name for group in chart_groups(curves) for name in group.names]
    assert len(set(drawn)) == len(drawn)
    unwanted = {"eval_runtime", "eval_samples_per_second", "eval_steps_per_second"}
    assert set(drawn) == set(curves.names) - unwanted


def test_gpus_have_a_chart_where_there_are_any() -> None:
    found = watched(gpus=[(37, 8_000_000_000, 61), (12, 1_000_000_000, 50)])
    groups = chart_groups(found.source.curves, found.system)
    assert (groups[-1].title, groups[-1].names) == ("gpu", ("gpu0", "gpu1"))


def test_nothing_gives_no_chart() -> None:
    assert chart_groups(Curves()) == ()


def test_a_line_is_its_points_and_a_smoothed_one_only_when_asked() -> None:
    found = watched()
    group = chart_groups(found.source.curves)[0]
    assert group.curves.extent(group.names, "step") == (2, 120)
    plain, smooth = (group_lines(group, "step", window)[0] for window in (1, 10))
    assert np.isnan(plain.columns(2, 120, 30).smooth).all()
    assert np.isfinite(smooth.columns(2, 120, 30).smooth).any()
    point = plain.nearest(61.2)
    assert point is not None
    assert (point[0], point[2]) == (62, 62)


def test_the_choices_of_axis_and_smoothing() -> None:
    assert [axis_of(word) for word in ("epoch", "tokens", "nonsense")] == [
        "epoch", "tokens", "step",
    ]  # fmt: skip
    assert [window_of(word) for word in ("off", "10", "200")] == [1, 10, 200]


def test_exported_metrics_are_what_was_logged() -> None:
    found = watched(steps=40, nan_from=36)
    rows = metric_rows(found.source.curves)
    whole(rows)
    found_rows = values(rows)
    assert len(found_rows) == 21, "20 rows of training and the one of step 20; then no number"
    evaluated = [row for row in found_rows if row["eval_loss"] is not None]
    assert [row["step"] for row in evaluated] == [20.0]
    assert evaluated[0]["loss"] is None
    losses = [row["loss"] for row in found_rows if row["loss"] is not None]
    assert sum(math.isnan(float(loss)) for loss in losses) == 3
    assert len(losses) == 20
