"""Runs on the Train screen that change under the user: deleted, resumed, unreadable, too many."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import msgspec
import pytest
from textual.widgets import Input, OptionList, Static

from hfterm.app import HftermApp
from hfterm.screens import run_watch
from hfterm.screens.messages import ModelToOpen
from hfterm.screens.train.after import AfterModal
from hfterm.screens.train.compare import MOST, ComparePage
from hfterm.training import run_control, store
from hfterm.training import run_files as files
from hfterm.training.run_types import RunFailure
from hfterm.widgets.chart import Chart
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.modals import Prompt
from pilot_app import notice, settled, shown, table
from run_fixtures import a_recipe, end_runs, foreign_runs, make_run
from screen_fixtures import MakeApp
from train_pilot import page, title

_ = end_runs  # a fixture

SIZE = (120, 40)


def head(app: HftermApp) -> str:
    return str(app.screen.query_one("#monitor-head", Static).content)


async def runs_page(pilot: object, count: int) -> None:
    """F6, and so many rows."""
    app = pilot.app
    await settled(pilot, lambda: title(app) != "", "the tabs")
    await pilot.press("f6")
    await settled(pilot, lambda: len(table(app, "runs-grid")) == count, f"{count} runs")
    await settled(pilot, lambda: app.screen.query_one("#runs-grid").has_focus, "the table")


async def go_to_run(pilot: object, name: str) -> None:
    """Put the cursor on a run."""
    app = pilot.app
    place = [name in str(row["run"]) for row in table(app, "runs-grid")].index(True)
    await pilot.press("home", *["down"] * place)
    grid = app.screen.query_one("#runs-grid", DataGrid)
    await settled(pilot, lambda: grid.cursor_row == place, name)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of runs is looked at often."""
    monkeypatch.setattr(run_watch, "BUSY", 0.05)
    monkeypatch.setattr(run_watch, "IDLE", 0.05)


async def test_a_watched_run_is_exported_goes_on_again_and_is_deleted(make_app: MakeApp) -> None:
    folder = make_run("film", "stopped", steps=40)
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 1)
        await pilot.press("enter")
        await settled(pilot, lambda: "stopped" in head(app), "the Monitor")
        grid = app.screen.query_one("#monitor-below", DataGrid)
        await settled(pilot, lambda: len(grid.source) > 2, "the table below")
        app.screen.query_one("#monitor-axis").focus()
        await settled(pilot, lambda: not grid.has_focus)
        exported = page(app).exported()
        assert exported is not None
        assert (exported[0], len(exported[1])) == ("metrics", 20 + 2)
        grid.focus()
        await settled(pilot, lambda: grid.has_focus)
        exported = page(app).exported()
        assert exported is not None
        assert (exported[0], exported[1]) == ("run", grid.source)
        assert "from_pretrained(" in page(app).code()
        state = files.state_of(folder)
        mark = files.mark_of(os.getpid())
        going = msgspec.structs.replace(state, status="running", supervisor=mark, worker=mark)
        files.write_struct(folder / files.STATE, going)
        await settled(pilot, lambda: "running" in head(app), "it goes on again")
        files.write_struct(folder / files.STATE, state)
        await settled(pilot, lambda: "stopped" in head(app), "it is over again")
        await settled(pilot, lambda: not store.read_run(folder).active)
        run_control.delete(store.read_run(folder))
        await settled(pilot, lambda: "film was deleted" in notice(app), "a word about it")
        assert "stopped" in head(app), "what was read stays"


@pytest.mark.usefixtures("starter_kit", "end_runs")
async def test_a_resume_proposes_by_what_it_failed_of_and_shows_the_run(make_app: MakeApp) -> None:
    nowhere = {"accelerate_config": "/no/such/config.yaml"}
    recipe = a_recipe("full", training={"batch_size": 32, "accumulate": 2} | nowhere)
    full = make_run("full", "failed", recipe=recipe, steps=20,
                    error=RunFailure("out-of-memory", "Memory ran out.", "Less."))  # fmt: skip
    make_run("bad", "failed", at=60.0, steps=20, recipe=a_recipe("bad", training=nowhere),
             error=RunFailure("bad-data", "The data is bad.", "Mend it."))  # fmt: skip
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 2)
        await go_to_run(pilot, "full")
        await pilot.press("t")
        await settled(pilot, lambda: isinstance(app.screen, Prompt), "the question")
        await pilot.press("escape")
        await settled(pilot, lambda: not isinstance(app.screen, Prompt), "the question to go")
        assert store.read_run(full).notes.tags == ()
        await pilot.press("u")
        await settled(pilot, lambda: isinstance(app.screen, Prompt), "the question")
        wanted = "training.batch_size=16 training.accumulate=4"
        assert app.screen.query_one(Input).value == wanted
        await pilot.press("enter")
        await settled(pilot, lambda: title(app) == "Monitor", "the Monitor")
        await settled(pilot, lambda: "There is no file" in head(app), "what it fails of now")
        run = store.read_run(full)
        assert run.recipe is not None
        assert (run.recipe.training.batch_size, run.recipe.training.accumulate) == (16, 4)
        await runs_page(pilot, 2)
        await go_to_run(pilot, "bad")
        await pilot.press("u")
        await settled(pilot, lambda: title(app) == "Monitor", "no question: no value is known")
        await settled(pilot, lambda: "bad" in head(app))
        assert not isinstance(app.screen, Prompt)


async def test_what_can_be_done_depends_on_what_was_trained(make_app: MakeApp) -> None:
    full = make_run(recipe=a_recipe("whole", method={"name": "full"}))
    lora = make_run("adapter", at=60.0)
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 2)
        told: list[object] = []

        async def opened(folder: Path) -> OptionList:
            modal = AfterModal(store.read_run(folder), app.engine, (("predict", "Predict"),))
            app.push_screen(modal, told.append)
            await settled(pilot, lambda: app.screen is modal and modal.query_one(OptionList))
            modal.query_one(OptionList).focus()
            return modal.query_one(OptionList)

        options = await opened(full)
        assert "merge" not in [option.id for option in options.options]
        options.highlighted = options.get_option_index("base-models")
        await pilot.press("enter")
        await settled(pilot, lambda: told, "an answer")
        (wanted,) = told
        assert isinstance(wanted, ModelToOpen)
        assert (wanted.mode, wanted.against) == ("models", "minilm")
        assert wanted.ref == str(full / "model")
        options = await opened(lora)
        options.highlighted = options.get_option_index("merge")
        await pilot.press("enter")
        await settled(pilot, lambda: notice(app), "a word: its weights are none")
        assert not (lora / "merged").exists()
        assert len(told) == 1
        await pilot.press("escape")
        await settled(pilot, lambda: len(told) == 2)
        assert told[1] is None


async def test_more_runs_than_curves_are_compared_and_gone_ones_go(make_app: MakeApp) -> None:
    made = [
        make_run(recipe=a_recipe(f"film-{number}", training={"seed": number % 2}), at=60.0 * number)
        for number in range(MOST + 1)
    ]
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, len(made))
        await pilot.press("home", *["space"] * len(made), "m")
        await settled(pilot, lambda: title(app) == "Compare", "the comparison")
        chart = app.screen.query_one("#runs-compare-chart", Chart)
        await settled(pilot, lambda: len(chart._chart_lines) == MOST, "the curves")
        assert f"{MOST + 1} runs; the curves of {MOST}" in shown(app)
        compared = page(app)
        assert isinstance(compared, ComparePage)
        before = chart._chart_lines
        ids = frozenset(folder.name for folder in made)
        compared.compare(ids, tuple(store.list_runs()))
        await settled(pilot, lambda: not compared.busy)
        assert len(chart._chart_lines) == len(before)
        exported = compared.exported()
        assert exported is not None
        assert exported[0] == "runs-compared"
        methods = app.screen.query_one("#runs-compare-methods", DataGrid)
        methods.focus()
        await settled(pilot, lambda: methods.has_focus)
        exported = compared.exported()
        assert exported is not None
        assert (exported[0], len(exported[1])) == ("methods", 1)
        for folder in made:
            run_control.delete(store.read_run(folder))
        await settled(pilot, lambda: "0 runs" in shown(app), "none is left")
        await settled(pilot, lambda: chart._chart_lines == [], "no curve")
        assert "film-1" not in shown(app)
        assert len(methods.source) == 0
        exported = compared.exported()
        assert exported is None or len(exported[1].columns) == 1
        await pilot.press("v")
        assert chart._chart_lines == []


async def test_a_folder_with_runs_of_several_programs_shows_one_and_names_the_others(
    make_app: MakeApp, tmp_path: Path
) -> None:
    foreign_runs(tmp_path / "runs")
    app = make_app(mode="train")
    app._start = dataclasses.replace(app._start, watch=str(tmp_path / "runs"))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: title(app) == "Monitor", "the Monitor")
        await settled(pilot, lambda: "There are 3 runs in" in notice(app), "the others")
        assert "f on the Runs tab adds them all" in notice(app), "it has none of them"
        assert "only read" in head(app)
        assert page(app).code() == ""
        await pilot.press("f6")
        await settled(pilot, lambda: title(app) == "Runs")
        assert table(app, "runs-grid") == []
        await pilot.press("f")
        await settled(pilot, lambda: isinstance(app.screen, Prompt), "the question")
        app.screen.query_one(Input).value = str(tmp_path / "runs")
        await pilot.press("enter")
        await settled(pilot, lambda: "The Runs tab has the others" in notice(app), "that it has")
        await runs_page(pilot, 3)
        for key in ("space", "less_than_sign"):
            await pilot.press(key)
        await pilot.press("enter")
        await settled(pilot, lambda: title(app) == "Monitor", "Enter watches it again")


async def test_a_log_that_turns_out_to_be_none_is_said_and_can_be_chosen_again(
    make_app: MakeApp, tmp_path: Path
) -> None:
    folder = foreign_runs(tmp_path)["trainer"] / "checkpoint-20"
    whole = (folder / "trainer_state.json").read_bytes()
    (folder / "trainer_state.json").write_bytes(whole[:50])
    app = make_app(mode="train")
    app._start = dataclasses.replace(app._start, watch=str(folder))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: title(app) == "Monitor", "the Monitor")
        await settled(pilot, lambda: "trainer_state.json" in notice(app), "what is wrong")
        assert page(app).exported() is None
        (folder / "trainer_state.json").write_bytes(whole)
        await page(app).watch_foreign(str(folder))
        chart = app.screen.query_one("#monitor-charts Chart", Chart)
        await settled(pilot, lambda: chart._chart_lines, "its curves")
        assert not notice(app)
