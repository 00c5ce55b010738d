"""The Train screen, by keyboard: the form, runs of every kind, a real one from start to end."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from textual.widgets import Input, OptionList, Static, Tabs

from hfterm import paths
from hfterm.app import HftermApp
from hfterm.screens import run_watch
from hfterm.screens.train.after import AfterModal
from hfterm.screens.train.page import TrainPage
from hfterm.screens.train.screen import TrainScreen
from hfterm.sizes import size_text
from hfterm.training import run_control, store
from hfterm.training import run_files as files
from hfterm.training.recipe import Recipe
from hfterm.training.recipe_text import parse_recipe, read_recipe, write_recipe
from hfterm.training.watching import Watched
from hfterm.widgets.chart import Chart
from hfterm.widgets.confirm import Confirm
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.fields import Choice
from hfterm.widgets.modals import CodeModal, Prompt
from hfterm.widgets.recipe_form import RecipeForm
from pilot_app import notice, settled, shown, tab, table, toasts
from run_fixtures import (
    a_recipe,
    end_runs,
    folds,
    foreign_runs,
    listing,
    make_run,
    metric_rows,
    over,
    tiny_recipe,
    write_lines,
)
from screen_fixtures import MakeApp
from waiting import until

_ = end_runs  # a fixture

SIZE = (120, 40)


@pytest.fixture(autouse=True)
def painted_when_looked_at() -> None:
    """These tests look at what the charts have painted: all is painted, as on a terminal."""


def screen(app: HftermApp) -> TrainScreen:
    bench = app.workbench
    assert isinstance(bench, TrainScreen)
    return bench


def words(app: HftermApp, name: str) -> str:
    return str(app.screen.query_one(f"#{name}", Static).content)


def value(app: HftermApp, key: str) -> str:
    widget = app.screen.query_one(f"#recipe-{key.replace('.', '-')}")
    assert isinstance(widget, Input | Choice)
    return widget.value


def title(app: HftermApp) -> str:
    """The tab that is open."""
    tab = app.screen.query_one("#train-pages Tabs", Tabs).active_tab
    return str(tab.label) if tab is not None else ""


def page(app: HftermApp) -> TrainPage:
    found = screen(app).page
    assert found is not None
    return found


def charts(app: HftermApp) -> list[Chart]:
    """Those of the Monitor that are in sight."""
    return [c for c in app.screen.query("#page-Monitor Chart").results(Chart) if c.display]


def titles(app: HftermApp) -> list[str]:
    """The first words of what stands above each chart."""
    return [chart._title for chart in charts(app) if chart._chart_lines]


async def new_page(pilot: object) -> None:
    """The form is there, and what it costs is counted."""
    app = pilot.app
    await settled(pilot, lambda: value(app, "name") == "reviews-lora", "the form")
    await settled(pilot, lambda: "parameters are trained" in words(app, "new-cost"), "the cost")


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
    rows = [str(row["run"]) for row in table(app, "runs-grid")]
    near = [number for number, run in enumerate(rows) if name in run]
    place = rows.index(name) if name in rows else near[0]
    await pilot.press("home", *["down"] * place)
    grid = app.screen.query_one("#runs-grid", DataGrid)
    await settled(pilot, lambda: grid.cursor_row == place, name)


async def monitored(pilot: object, path: Path) -> None:
    """A run in the Monitor, from the table of runs."""
    app = pilot.app
    await go_to_run(pilot, path.name)
    await pilot.press("enter")
    await settled(pilot, lambda: title(app) == "Monitor", "the Monitor")
    await settled(pilot, lambda: titles(app), "its charts")


async def answer(pilot: object, text: str) -> None:
    """Write a line into the window that asks for one."""
    app = pilot.app
    await settled(pilot, lambda: isinstance(app.screen, Prompt), "the question")
    app.screen.query_one(Input).value = text
    await pilot.press("enter")
    await settled(pilot, lambda: not isinstance(app.screen, Prompt), "the question to go")


async def load(pilot: object, recipe: Recipe, tmp_path: Path) -> None:
    """A recipe from a file into the form."""
    file = tmp_path / "recipe.toml"
    file.write_text(write_recipe(recipe))
    await pilot.press("ctrl+o")
    await answer(pilot, str(file))
    await settled(pilot, lambda: value(pilot.app, "name") == recipe.name, "the recipe")


async def asked(pilot: object) -> str:
    """The text of the question that is asked."""
    app = pilot.app
    await settled(pilot, lambda: isinstance(app.screen, Confirm), "the question")
    return shown(app)


def status(path: Path) -> str:
    return store.read_run(path).status


# -- the form ----------------------------------------------------------------------------------


async def test_the_form_holds_the_starters_recipe_and_says_what_it_costs(make_app: MakeApp) -> None:
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await new_page(pilot)
        assert title(app) == "New"
        wanted = {
            "task": "text-classification", "model.ref": "minilm", "data.ref": "reviews",
            "data.train": "train[:90%]", "data.eval": "train[90%:]", "data.shuffle": "yes",
            "method.name": "lora", "method.target_modules": "", "method.r": "8",
            "training.epochs": "2", "training.learning_rate": "0.002",
        }  # fmt: skip
        assert {key: value(app, key) for key in wanted} == wanted
        said = words(app, "new-cost")
        assert re.search(r"[\d,]+ of 22,[\d,]+ parameters are trained", said)
        assert "at the peak" in said
        before = re.search(r"([\d,]+) of", said).group(1)
        app.screen.query_one("#recipe-method-r", Input).value = "16"
        await settled(pilot, lambda: f" {before} of" not in f" {words(app, 'new-cost')}", "r = 16")
        assert "parameters are trained" in words(app, "new-cost")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_every_button_is_in_sight(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(mode="train")
    async with app.run_test(size=size) as pilot:
        await new_page(pilot)
        line = shown(app).splitlines()[app.screen.query_one("#new-load").region.y]
        for word in ("Check F5", "Start F7", "Queue", "Save", "Load"):
            assert word in line


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_arrows_go_through_the_form_and_what_is_typed_stays(
    make_app: MakeApp, size: tuple[int, int]
) -> None:
    app = make_app(mode="train")
    async with app.run_test(size=size) as pilot:
        await new_page(pilot)
        app.screen.query_one("#train-pages Tabs", Tabs).focus()
        await pilot.press("down")
        assert app.focused is app.screen.query_one("#recipe-name")
        await pilot.press("end", *"-2", "down")
        assert app.focused is app.screen.query_one("#recipe-model-ref")
        await pilot.press("down", "down", "up")
        assert app.focused is app.screen.query_one("#recipe-data-ref")
        await pilot.press("down", "down")
        assert app.focused is app.screen.query_one("#recipe-method-name")
        await pilot.press("right")
        await settled(pilot, lambda: value(app, "method.name") == "qlora")
        await pilot.press("left")
        assert value(app, "name") == "reviews-lora-2"
        assert value(app, "method.name") == "lora"


async def test_a_wrong_value_is_named_and_nothing_is_lost_or_started(make_app: MakeApp) -> None:
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await new_page(pilot)
        field = app.screen.query_one("#recipe-training-learning_rate", Input)
        field.focus()
        field.value = "fast"
        for key in ("f7", "f5", "alt+q", "alt+w"):
            await pilot.press(key)
            await settled(pilot, lambda: "learning_rate" in notice(app), f"the notice after {key}")
            assert '"fast"' in notice(app)
            assert value(app, "training.learning_rate") == "fast"
            assert value(app, "name") == "reviews-lora"
            assert title(app) == "New"
        assert store.list_runs() == []
        field.value = "1e-3"
        await settled(pilot, lambda: not notice(app), "the notice to go")


async def test_the_field_keeps_the_focus_where_a_recipe_is_refused(make_app: MakeApp) -> None:
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await new_page(pilot)
        field = app.screen.query_one("#recipe-training-learning_rate", Input)
        field.focus()
        field.value = "fast"
        await pilot.press("f7")
        await settled(pilot, lambda: "learning_rate" in notice(app))
        assert app.focused is field


async def test_what_is_changed_while_the_cost_is_counted_is_counted_too(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hfterm.screens.train import new

    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await new_page(pilot)
        monkeypatch.setattr(new, "LIVE", 0.01)
        rank = app.screen.query_one("#recipe-method-r", Input)
        assert "74,498 of" in words(app, "new-cost")
        rank.value = "16"
        await settled(pilot, lambda: page(app).busy, "the count")
        rank.value = "32"
        adapters = 32 * (74_498 - 770) // 8
        await settled(pilot, lambda: f"{adapters + 770:,} of" in words(app, "new-cost"), "r = 32")


async def test_a_refusal_is_not_wiped_by_the_count_of_the_cost(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cost is counted some time after the last key; what F7 was told stands until then too."""
    from hfterm.screens.train import new

    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await new_page(pilot)
        monkeypatch.setattr(new, "LIVE", 2.0)  # it comes surely after the refusal
        app.screen.query_one("#recipe-data-columns", Input).value = "text=txt"
        app.screen.query_one("#recipe-method-r", Input).value = "2"
        await pilot.press("f7")
        await settled(pilot, lambda: "txt" in notice(app) and not page(app).busy, "the refusal")
        before = words(app, "new-cost")
        await settled(pilot, lambda: words(app, "new-cost") != before, "the cost of r = 2")
        await settled(pilot, lambda: not page(app).busy)
        assert "txt" in notice(app)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {"columns": {"text": "txt"}}}, "txt"),
        ({"data": {"ref": "/no/rows.csv"}}, "/no/rows.csv"),
        ({"model": {"ref": "/no/model"}}, "/no/model"),
        ({"method": {"target_modules": ["nope"]}}, "nope"),
    ],
    ids=["column", "data", "model", "targets"],
)
async def test_what_cannot_work_is_refused_before_anything_starts(
    make_app: MakeApp, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await new_page(pilot)
        recipe = tiny_recipe("wrong", **changes)
        await load(pilot, recipe, tmp_path)
        await pilot.press("f7")
        await settled(pilot, lambda: said in notice(app) and not page(app).busy, said)
        await settled(pilot, lambda: app.screen.query_one(RecipeForm).recipe() == recipe)
        assert title(app) == "New"
        assert store.list_runs() == []


async def test_preview_cost_and_probe(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await new_page(pilot)
        recipe = tiny_recipe("small", data={"train": "train[:1%]", "eval": "train[99%:]"})
        await load(pilot, recipe, tmp_path)
        await pilot.press("f5")
        await settled(pilot, lambda: len(table(app, "new-rows")) == 10, "the first rows")
        await until(lambda: "s/step measured" in words(app, "new-cost"), "the probe")
        said = words(app, "new-cost")
        assert "parameters are trained" in said
        assert re.search(r"\d+ rows, \d+ to evaluate on · 3 steps", said)
        assert "resident" in said
        rows = table(app, "new-rows")
        assert all(str(row["row"]).startswith("[CLS]") for row in rows)
        assert {row["label"] for row in rows} <= {"LABEL_0", "LABEL_1"}
        assert max(int(str(row["tokens"])) for row in rows) <= 16
        await tab(pilot, "Preview")
        await settled(pilot, lambda: len(table(app, "preview-rows")) == 10)
        assert table(app, "preview-rows") == rows
        labels = table(app, "preview-labels")
        count = int(re.search(r"([\d,]+) rows to learn from", words(app, "preview-sum")).group(1))
        assert sum(int(str(row["train"])) for row in labels) == count
        lengths = table(app, "preview-lengths")
        assert sum(int(str(row["rows"])) for row in lengths) == count
        assert "columns: text (" in words(app, "preview-sum")
        assert store.list_runs() == []


async def test_esc_stops_a_check_and_another_can_follow(make_app: MakeApp) -> None:
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await new_page(pilot)
        await pilot.press("f5")
        await settled(pilot, lambda: page(app).busy, "the check")
        await settled(pilot, lambda: "Esc stops" in shown(app), "the line of work")
        await pilot.press("escape")
        await settled(pilot, lambda: "Stopped" in notice(app))
        await settled(pilot, lambda: not page(app).busy)
        assert "s/step" not in words(app, "new-cost")
        assert "Esc stops" not in shown(app)
        assert title(app) == "New"
        await pilot.press("f5")
        await settled(pilot, lambda: len(table(app, "new-rows")) == 10, "the rows")
        assert not notice(app)
        await pilot.press("escape")
        await settled(pilot, lambda: not page(app).busy)


async def test_a_recipe_is_saved_opened_again_and_shown_as_a_script(
    make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await new_page(pilot)
        app.screen.query_one("#recipe-name", Input).value = "mine"
        target = tmp_path / "new folder" / "mine.toml"
        await pilot.press("alt+w")
        await answer(pilot, str(target))
        await settled(pilot, lambda: f"Wrote {target}" in notice(app))
        saved = read_recipe(target)
        assert saved == app.screen.query_one(RecipeForm).recipe()
        assert saved.name == "mine"
        await load(pilot, tiny_recipe("other"), tmp_path)
        await pilot.press("ctrl+o")
        await answer(pilot, str(target))
        await settled(pilot, lambda: value(app, "name") == "mine")
        assert app.screen.query_one(RecipeForm).recipe() == saved
        await pilot.press("ctrl+o")
        await answer(pilot, str(tmp_path / "nothing.toml"))
        await settled(pilot, lambda: "nothing.toml" in notice(app))
        (tmp_path / "broken.toml").write_text('name = "x"\ntask = "translate"\n')
        await pilot.press("ctrl+o")
        await answer(pilot, str(tmp_path / "broken.toml"))
        await settled(pilot, lambda: "translate" in notice(app))
        assert app.screen.query_one(RecipeForm).recipe() == saved, "what was there stays"
        await pilot.press("alt+w")
        await answer(pilot, "/proc/no.toml")
        await settled(pilot, lambda: "can't be written" in notice(app))
        await pilot.press("f2")
        await settled(pilot, lambda: isinstance(app.screen, CodeModal))
        assert "import hfterm" not in app.screen.code
        compile(app.screen.code, "train_run.py", "exec")


async def test_a_tab_that_is_opened_twice_at_once_is_whole_for_both(make_app: MakeApp) -> None:
    """Its key opens it, and so does the line of tabs, while its widgets are still being made."""
    make_run("film")
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: title(app) == "New" and screen(app).page, "the tabs")
        pages = screen(app).pages
        assert pages is not None

        async def look(number: int, name: str) -> bool:
            return bool((await pages.open(number)).query(f"#{name}"))

        assert await asyncio.gather(*(look(2, "runs-grid") for _ in range(3))) == [True] * 3
        assert await asyncio.gather(*(look(3, "monitor-below") for _ in range(3))) == [True] * 3
        await runs_page(pilot, 1)


async def test_of_tabs_opened_at_once_one_is_in_sight(make_app: MakeApp) -> None:
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: title(app) == "New" and screen(app).page, "the tabs")
        pages = screen(app).pages
        assert pages is not None
        await asyncio.gather(*(pages.open(number) for number in (2, 3, 1, 4, 2)))
        await settled(pilot, lambda: title(app) == "Runs", "the last of them")

        def seen() -> list[str]:
            found = app.screen.query("TrainPage").results(TrainPage)
            return [str(one.id) for one in found if one.display]

        await settled(pilot, lambda: seen() == ["page-Runs"], "its page alone")
        await pilot.press("f4")
        await settled(pilot, lambda: seen() == ["page-Monitor"], "the next")


# -- a real run --------------------------------------------------------------------------------


@pytest.mark.usefixtures("end_runs")
async def test_a_run_from_the_form_to_its_model_in_predict(
    make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app(mode="train")
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await new_page(pilot)
        await load(pilot, tiny_recipe("first"), tmp_path)
        await pilot.press("f7")
        await settled(pilot, lambda: title(app) == "Monitor", "the Monitor")
        (run,) = store.list_runs()
        assert run.recipe == tiny_recipe("first")
        assert run.active
        await settled(pilot, lambda: "1 run · 1 active" in shown(app), "the line on top")
        await until(lambda: status(run.path) == "finished", "the end")
        await settled(pilot, lambda: "✓ finished" in words(app, "monitor-head"), "the end told")
        assert "3/3" in words(app, "monitor-head")
        await settled(pilot, lambda: any("first finished" in text for text in toasts(app)))
        await settled(pilot, lambda: titles(app)[:1] == ["loss"], "the loss")
        await settled(pilot, lambda: len(table(app, "monitor-below")) >= 4, "the events")
        assert "✓ finished" in {row["event"] for row in table(app, "monitor-below")}
        await pilot.press("o")
        await settled(pilot, lambda: isinstance(app.screen, AfterModal), "what comes after")
        options = app.screen.query_one(OptionList)
        place = [option.id for option in options.options].index("open-predict")
        options.focus()
        await pilot.press("home", *["down"] * place, "enter")
        await settled(pilot, lambda: app.current_mode == "predict", "Predict")
        await settled(pilot, lambda: len(table(app, "result-grid")) == 2, "a result")
        assert str(run.path / "model")[-20:] in shown(app)
        scores = [float(str(row["probability"])) for row in table(app, "result-grid")]
        assert sum(scores) == pytest.approx(1, abs=1e-3)


@pytest.mark.usefixtures("end_runs")
async def test_a_field_edited_right_before_f7_and_f7_twice_are_one_run(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cost of an edit is counted a moment later, which must not stop what F7 began."""
    from hfterm.screens.train import new

    begun, go = threading.Event(), threading.Event()
    create, follow = run_control.create_all, new.NewPage._follow
    followed: list[bool] = []

    def following(page: new.NewPage) -> None:
        followed.append(begun.is_set())
        follow(page)

    def slowly(recipe: Recipe) -> list[Path]:
        begun.set()
        assert go.wait(60)
        return create(recipe)

    monkeypatch.setattr(run_control, "create_all", slowly)
    monkeypatch.setattr(new.NewPage, "_follow", following)
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await new_page(pilot)
        await load(pilot, tiny_recipe("edited"), tmp_path)
        monkeypatch.setattr(new, "LIVE", 0.01)
        app.screen.query_one("#recipe-training-learning_rate", Input).value = "1e-3"
        await pilot.press("f7", "f7")
        await settled(pilot, begun.is_set, "the start")
        await settled(pilot, lambda: followed.count(True) > 1, "the count to come due")
        await pilot.press("f7")
        go.set()
        await settled(pilot, lambda: title(app) == "Monitor", "the Monitor")
        (run,) = store.list_runs()
        assert run.recipe.training.learning_rate == 1e-3


@pytest.mark.usefixtures("end_runs")
async def test_a_run_outlives_the_workbench(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await new_page(pilot)
        await load(pilot, tiny_recipe("outlives"), tmp_path)
        await pilot.press("f7")
        await settled(pilot, lambda: title(app) == "Monitor", "the Monitor")
        (run,) = store.list_runs()
        assert run.active
    left = store.read_run(run.path)
    assert left.active, "it goes on without the workbench"
    again = make_app(mode="train")
    async with again.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: "1 run" in shown(again), "who comes back sees it")
        await until(lambda: status(run.path) == "finished", "the end")
        await runs_page(pilot, 1)
        await settled(pilot, lambda: table(again, "runs-grid")[0]["status"] == "finished")
        await monitored(pilot, run.path)
        await settled(pilot, lambda: "✓ finished" in words(again, "monitor-head"))
        assert "3/3" in words(again, "monitor-head")
        await settled(pilot, lambda: len(table(again, "monitor-below")) > 3, "the events")
        assert table(again, "monitor-below")[0]["event"] == "✓ finished"
    done = over(run.id)
    assert (done.status, done.progress.step, done.state.attempts) == ("finished", 3, 1)
    lines = (run.path / files.METRICS).read_text().splitlines()
    assert sum('"loss"' in line for line in lines) == 3, "nothing is missing, nothing is twice"


# -- all runs ----------------------------------------------------------------------------------


def every_kind() -> dict[str, Path]:
    return {
        "good": make_run("good", skill=0.8),
        "better": make_run("better", at=60, skill=0.95, seconds=500, note="warm", tags=["best"]),
        "bad": make_run("bad", "failed", at=120, nan_from=100),
        "gone": make_run("gone", "died", at=180, steps=70),
        "half": make_run("half", "stopped", at=240, steps=50),
        "one": make_run("one", "queued", at=300),
        "two": make_run("two", "queued", at=360),
        "going": make_run("going", "running", at=420, steps=30),
    }


def names(app: HftermApp) -> list[str]:
    return [str(row["run"]).rpartition("-")[2] for row in table(app, "runs-grid")]


async def test_runs_are_filtered_and_ordered(make_app: MakeApp) -> None:
    every_kind()
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 8)
        assert names(app) == ["going", "two", "one", "half", "gone", "bad", "better", "good"]
        assert "8 runs · 1 active" in shown(app)
        rows = {row["run"]: row for row in table(app, "runs-grid")}
        assert {str(row["status"]) for row in rows.values()} == {
            "running", "queued", "stopped", "died", "failed", "finished",
        }  # fmt: skip
        await go_to_run(pilot, "gone")
        await settled(pilot, lambda: "both were killed" in words(app, "runs-about"))
        await go_to_run(pilot, "bad")
        await settled(pilot, lambda: "no number any more" in words(app, "runs-about"))
        order = app.screen.query_one("#runs-order", Choice)
        expected = {
            "name": ["bad", "better", "going", "gone", "good", "half", "one", "two"],
            "queue": ["one", "two"],
            "metric": ["better"],
            "time": ["better"],
        }
        order.focus()
        for _ in order.values:
            await pilot.press("right")
            await settled(pilot, lambda: len(names(app)) == 8)
            wanted = expected.get(order.value, [])
            assert names(app)[: len(wanted)] == wanted, order.value
            assert str(table(app, "runs-grid")[cursor(app)]["run"]).endswith("bad"), "it stays"
        field = app.screen.query_one("#runs-filter", Input)
        for text, found in (
            ("fail", ["bad"]), ("#best", ["better"]), ("WARM better", ["better"]),
            ("queued", ["two", "one"]), ("nothing", []), ("", ["going"]),
        ):  # fmt: skip
            field.value = text
            await settled(pilot, lambda found=found: names(app)[: len(found) or 8] == found, text)


def cursor(app: HftermApp) -> int:
    return app.screen.query_one("#runs-grid", DataGrid).cursor_row


async def test_the_best_metric_is_first_also_where_less_is_better(make_app: MakeApp) -> None:
    for place, (name, skill) in enumerate((("fair", 2.0), ("best", 1.5), ("worst", 9.0))):
        recipe = a_recipe(
            name, task="causal-lm", model={"ref": "smollm2"}, method={"target_modules": []}
        )
        path = make_run(recipe=recipe, at=60.0 * place)
        progress = msgspec.structs.replace(store.read_run(path).progress, best=skill)
        files.write_struct(path / files.PROGRESS, progress)
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 3)
        app.screen.query_one("#runs-order", Choice).focus()
        while app.screen.query_one("#runs-order", Choice).value != "metric":
            await pilot.press("right")
        await settled(pilot, lambda: len(names(app)) == 3)
        assert names(app) == ["best", "fair", "worst"]


async def test_notes_and_tags(make_app: MakeApp) -> None:
    path = make_run("film", note="before")
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 1)
        await pilot.press("n")
        await settled(pilot, lambda: isinstance(app.screen, Prompt))
        assert app.screen.query_one(Input).value == "before"
        await answer(pilot, "lower rate, more rank")
        await settled(pilot, lambda: store.read_run(path).notes.note == "lower rate, more rank")
        await pilot.press("t")
        await answer(pilot, "#best film")
        await settled(pilot, lambda: store.read_run(path).notes.tags == ("best", "film"))
        wanted = "#best #film lower rate, more rank"
        await settled(pilot, lambda: table(app, "runs-grid")[0]["note"] == wanted)
        assert "#best #film lower" in shown(app)
        await pilot.press("n")
        await answer(pilot, "-")
        await settled(pilot, lambda: store.read_run(path).notes.note == "")
        await pilot.press("alt+t")
        await answer(pilot, "-")
        await settled(pilot, lambda: store.read_run(path).notes.tags == ())


async def test_a_run_is_deleted_after_a_yes_that_says_what_it_frees(make_app: MakeApp) -> None:
    made = every_kind()
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 8)
        await go_to_run(pilot, "going")
        await pilot.press("d")
        await settled(pilot, lambda: "is running" in notice(app))
        assert "Stop it first" in notice(app)
        await go_to_run(pilot, "good")
        await pilot.press("d")
        size = store.size_of(made["good"])
        assert 900_000 < size < 1_000_000
        said = await asked(pilot)
        assert "Delete good?" in said
        assert f"{size_text(size)} will be free" in said
        await pilot.press("escape")
        await settled(pilot, lambda: not isinstance(app.screen, Confirm))
        assert made["good"].is_dir(), "Esc is no"
        await pilot.press("d")
        await asked(pilot)
        await pilot.press("enter")
        await settled(pilot, lambda: not isinstance(app.screen, Confirm))
        assert made["good"].is_dir(), "No has the focus"
        await pilot.press("d")
        await asked(pilot)
        await pilot.press("alt+y")
        await settled(pilot, lambda: len(names(app)) == 7, "a row less")
        assert not made["good"].exists()
        assert "7 runs" in shown(app)


async def test_what_is_done_to_a_run_is_seen_at_once(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table does not wait for the next look of the clock."""
    make_run("film")
    monkeypatch.setattr(run_watch, "BUSY", 3600.0)
    monkeypatch.setattr(run_watch, "IDLE", 3600.0)
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 1)
        await pilot.press("n")
        await answer(pilot, "seen")
        await settled(pilot, lambda: table(app, "runs-grid")[0]["note"] == "seen", "the note")
        await pilot.press("d")
        await asked(pilot)
        await pilot.press("alt+y")
        await settled(pilot, lambda: table(app, "runs-grid") == [], "no row")


async def test_a_tag_does_not_undo_the_note_before_it(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the table has not been read again since."""
    path = make_run("film", note="before")
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 1)
        monkeypatch.setattr(app.run_watch, "look", lambda: None)
        monkeypatch.setattr(run_watch, "_list", lambda: app.run_watch.runs)
        await pilot.press("n")
        await answer(pilot, "after")
        await settled(pilot, lambda: store.read_run(path).notes.note == "after")
        await pilot.press("t")
        await answer(pilot, "best")
        await settled(pilot, lambda: store.read_run(path).notes.tags == ("best",))
        assert store.read_run(path).notes.note == "after"


async def test_the_queue_is_ordered_and_left(make_app: MakeApp) -> None:
    made = every_kind()
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 8)

        def queue() -> list[str]:
            return [run.id for run in store.queue_of(store.list_runs())]

        one, two = made["one"].name, made["two"].name
        assert queue() == [one, two]
        await go_to_run(pilot, one)
        await pilot.press("greater_than_sign")
        await settled(pilot, lambda: queue() == [two, one], "the second place")
        await pilot.press("greater_than_sign", "less_than_sign")
        await settled(pilot, lambda: queue() == [one, two], "the first place")
        await go_to_run(pilot, "good")
        await pilot.press("less_than_sign")
        await settled(pilot, lambda: "not queued" in notice(app))
        await go_to_run(pilot, one)
        await pilot.press("s")
        await settled(pilot, lambda: status(made["one"]) == "stopped", "out of the queue")
        assert queue() == [two]
        await settled(
            pilot,
            lambda: {r["run"]: r["status"] for r in table(app, "runs-grid")}[one] == "stopped",
        )
        assert status(made["two"]) == "queued"
        said = notice(app)
        assert "checkpoint" not in said, "a run that never ran has none to stop after"


async def test_what_cannot_be_done_is_said(make_app: MakeApp) -> None:
    made = every_kind()
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 8)
        await go_to_run(pilot, "good")
        await pilot.press("s")
        await settled(pilot, lambda: "nothing to stop" in notice(app))
        await pilot.press("u")
        await settled(pilot, lambda: "Clone it" in notice(app))
        await pilot.press("k")
        said = await asked(pilot)
        assert "Kill good?" in said
        await pilot.press("alt+y")
        await settled(pilot, lambda: "nothing to kill" in notice(app))
        await pilot.press("m")
        await settled(pilot, lambda: "needs two runs" in notice(app))
        assert title(app) == "Runs"
        assert {status(path) for path in made.values()} == {
            "finished", "failed", "died", "stopped", "queued", "running",
        }  # fmt: skip


async def test_a_clone_is_the_recipe_of_the_run(make_app: MakeApp) -> None:
    recipe = a_recipe(
        "film", data={"max_length": 99}, method={"name": "qlora", "quant": "int8", "r": 4},
        training={"optimizer": "adafactor", "warmup": 0.1, "eval_batch_size": 5},
    )  # fmt: skip
    film = make_run(recipe=recipe)
    fold = folds(("lora",), 2)[1]
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 3)
        await go_to_run(pilot, film.name)
        await pilot.press("c")
        await settled(pilot, lambda: title(app) == "New", "the form")
        await settled(pilot, lambda: value(app, "name") == "film")
        assert app.screen.query_one(RecipeForm).recipe() == recipe
        assert value(app, "also") == "training.eval_batch_size=5 training.optimizer=adafactor"
        await pilot.press("f6")
        await go_to_run(pilot, fold.name)
        await pilot.press("c")
        await settled(pilot, lambda: value(app, "folds") == "2")
        found = app.screen.query_one(RecipeForm).recipe()
        assert (found.fold, found.group, found.folds) == (0, "", 2)


async def test_after_a_failure_a_resume_proposes_what_would_mend_it(make_app: MakeApp) -> None:
    make_run("bad", "failed", nan_from=100)
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 1)
        await pilot.press("u")
        await settled(pilot, lambda: isinstance(app.screen, Prompt))
        assert app.screen.query_one(Input).value == "training.learning_rate=0.0002"
        app.screen.query_one(Input).value = "method.r=2"
        await pilot.press("enter")
        await settled(pilot, lambda: "method can't change" in notice(app))
        assert store.list_runs()[0].status == "failed"
        await pilot.press("u")
        await settled(pilot, lambda: isinstance(app.screen, Prompt))
        await pilot.press("escape")
        await settled(pilot, lambda: not isinstance(app.screen, Prompt))
        assert store.list_runs()[0].status == "failed"


async def test_a_broken_recipe_does_not_break_the_table(make_app: MakeApp) -> None:
    made = every_kind()
    (made["bad"] / files.RECIPE).write_text("name = [")
    (made["half"] / files.RECIPE).write_text('name = "half"\ntask = "translate"\n')
    (made["gone"] / files.STATE).write_text('{"status": "run')
    (made["good"] / files.PROGRESS).write_text("")
    (made["better"] / files.NOTES).write_bytes(b"\xff\xfe")
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 8)
        await go_to_run(pilot, made["bad"].name)
        await settled(pilot, lambda: "recipe.toml is broken" in words(app, "runs-about"))
        await pilot.press("c")
        await settled(pilot, lambda: "is broken" in notice(app))
        assert title(app) == "Runs"
        await pilot.press("u")
        await settled(pilot, lambda: "Mend recipe.toml" in notice(app))
        for place in range(8):
            await pilot.press("home", *["down"] * place)
            await settled(pilot, lambda place=place: cursor(app) == place)
        await monitored(pilot, made["bad"])
        await settled(pilot, lambda: "failed" in words(app, "monitor-head"))
        assert not [text for text in toasts(app) if "fault" in text.lower()]


# -- the Monitor -------------------------------------------------------------------------------


async def test_a_chart_for_each_kind_of_metric(make_app: MakeApp) -> None:
    path = make_run("film")
    app = make_app(mode="train")
    async with app.run_test(size=(200, 50)) as pilot:
        await runs_page(pilot, 1)
        await monitored(pilot, path)
        await settled(pilot, lambda: len(titles(app)) == 6, "six charts")
        assert titles(app) == [
            "loss", "accuracy", "f1", "learning rate", "gradient norm", "steps/s",
        ]  # fmt: skip
        assert "film" in shown(app).splitlines()[0] + shown(app).splitlines()[1] + words(
            app, "monitor-head"
        ), "which run it is"
        assert words(app, "monitor-head").startswith("✓ finished · ")
        assert " · 120/120 · 100 % · took 2:00\n" in words(app, "monitor-head")
        every = app.screen.query_one("#monitor-chart", Choice).values
        assert every == (
            "loss", "accuracy", "f1", "learning rate", "gradient norm", "steps/s", "tokens/s",
            "memory", "cpu",
        )  # fmt: skip
        for number in range(len(every)):
            assert titles(app)[0].split(" (")[0] == every[number]
            await pilot.press("v")
            await settled(
                pilot,
                lambda number=number: titles(app)[0].startswith(every[(number + 1) % len(every)]),
            )


@pytest.mark.parametrize(
    ("size", "places"), [((80, 24), 1), ((100, 30), 1), ((120, 40), 4), ((200, 50), 6)]
)
async def test_every_chart_in_sight_is_drawn(
    make_app: MakeApp, size: tuple[int, int], places: int
) -> None:
    path = make_run("film")
    app = make_app(mode="train")
    async with app.run_test(size=size) as pilot:
        await runs_page(pilot, 1)
        await monitored(pilot, path)
        assert len(charts(app)) == len(titles(app)) == places
        await settled(pilot, lambda: all(chart._picture for chart in charts(app)), "the pictures")
        assert "is drawn here" not in shown(app)
        assert all(chart.size.height >= 5 for chart in charts(app))


async def test_the_axis_and_smoothing_are_chosen(make_app: MakeApp) -> None:
    path = make_run("film")
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 1)
        await monitored(pilot, path)
        assert [chart._axis for chart in charts(app)] == ["step"] * len(charts(app))
        assert charts(app)[0]._extent == (2, 120)
        for axis, last in (("epoch", 2.0), ("time", 120.0), ("tokens", 180_000.0)):
            await pilot.press("x")
            await settled(pilot, lambda axis=axis: charts(app)[0]._axis == axis, axis)
            first, end = charts(app)[0]._extent
            assert end - (first if axis == "time" else 0) == pytest.approx(last, rel=0.03)
            assert {chart._axis for chart in charts(app)} == {axis}
        await pilot.press("x")
        await settled(pilot, lambda: charts(app)[0]._axis == "step")
        plain = "\n".join(shown(app).splitlines())
        await pilot.press("z")
        await settled(pilot, lambda: app.screen.query_one("#monitor-smooth", Choice).value == "10")
        await settled(pilot, lambda: shown(app) != plain, "another picture")


async def test_all_charts_follow_one_cursor_and_one_window(make_app: MakeApp) -> None:
    path = make_run("film")
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 1)
        await monitored(pilot, path)
        drawn = [chart for chart in charts(app) if chart._chart_lines]
        assert len(drawn) >= 4
        await settled(pilot, lambda: drawn[0].has_focus, "a chart has the focus")
        await pilot.press("left", "left", "left")

        def cursors() -> set[float | None]:
            return {chart.view.cursor for chart in drawn}

        await settled(pilot, lambda: len(cursors()) == 1 and None not in cursors(), "the cursor")
        (x,) = cursors()
        assert 100 < x < 120
        await pilot.press("plus", "plus")
        await settled(
            pilot, lambda: len({chart.view.window((2, 120)) for chart in drawn}) == 1, "the window"
        )
        first, last = drawn[0].view.window((2, 120))
        assert last - first == pytest.approx(118 / 4, rel=0.1)
        await pilot.press("g")
        await settled(pilot, lambda: drawn[0].view.log_y)
        assert not any(chart.view.log_y for chart in drawn[1:]), "y is each chart's own"
        await pilot.press("less_than_sign")
        await settled(pilot, lambda: drawn[1].view.window((2, 120))[0] < first)
        await pilot.press("w")
        await settled(pilot, lambda: all(chart.view.whole for chart in drawn), "the whole")
        await pilot.press("escape")
        await settled(pilot, lambda: cursors() == {None}, "no cursor")
        assert title(app) == "Monitor"


async def test_what_stands_below_the_charts(make_app: MakeApp) -> None:
    path = make_run("film", log="loading minilm\nall is well\n")
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 1)
        await monitored(pilot, path)
        below = app.screen.query_one("#monitor-below-what", Choice)
        await settled(pilot, lambda: len(table(app, "monitor-below")) == 15, "the events")
        assert table(app, "monitor-below")[0]["event"] == "✓ finished"
        await pilot.press("b")
        await settled(pilot, lambda: below.value == "log")
        assert [row["log, the newest first"] for row in table(app, "monitor-below")] == [
            "all is well", "loading minilm",
        ]  # fmt: skip
        await pilot.press("b")
        await settled(pilot, lambda: below.value == "samples")
        rows = table(app, "monitor-below")
        assert len(rows) == 6
        assert (rows[0]["step"], rows[0]["prompt"]) == ("120", "a wonderful film")
        await pilot.press("b")
        await settled(pilot, lambda: below.value == "checkpoints")
        rows = table(app, "monitor-below")
        assert [(row["step"], row[""]) for row in rows] == [("120", "★"), ("100", "")]
        await pilot.press("b")
        await settled(pilot, lambda: below.value == "system")
        assert len(table(app, "monitor-below")) == 60
        await pilot.press("b")
        await settled(pilot, lambda: below.value == "events")


async def test_a_resumed_run_and_a_loss_that_is_no_number(make_app: MakeApp) -> None:
    resumed = make_run("resumed", resumed=(90, 60))
    wrong = make_run("wrong", "failed", at=60, nan_from=80)
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 2)
        await monitored(pilot, resumed)
        await settled(pilot, lambda: titles(app)[:1] == ["loss"])
        picture = charts(app)[0]._picture
        assert picture is not None
        from hfterm.widgets.chart_picture import STALE, WRONG

        assert (picture.tones == STALE).any(), "what was done again is grey"
        assert not (picture.tones == WRONG).any()
        await pilot.press("f6")
        await monitored(pilot, wrong)
        await settled(pilot, lambda: "✗ failed" in words(app, "monitor-head"))
        assert "no number any more" in words(app, "monitor-head")
        assert "loss NaN" in words(app, "monitor-head")
        await settled(pilot, lambda: "×" in "".join(charts(app)[0].render_line(1).text))


async def test_a_run_that_goes_on_is_followed(make_app: MakeApp) -> None:
    path = make_run("going", "running", steps=30)
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: title(app) == "Monitor", "who comes back sees it")
        await settled(pilot, lambda: charts(app)[0]._extent == (2, 30), "its points")
        assert "▶ running" in words(app, "monitor-head")
        assert " · 30/120 · 25 %" in words(app, "monitor-head")
        write_lines(path / files.METRICS, metric_rows(44, begin=store.read_run(path).state.started,
                                                      total=120))  # fmt: skip
        await settled(pilot, lambda: charts(app)[0]._extent == (2, 44), "new points")
        files.add_event(path, "alert", "the loss jumped to 9", 44)
        await settled(pilot, lambda: "the loss jumped" in notice(app), "the alert")
        await settled(pilot, lambda: "alert" in str(table(app, "monitor-below")[0]["event"]))
        (path / files.STOP).touch()
        await settled(pilot, lambda: "◼ stopping" in words(app, "monitor-head"), "stopping")
        state = msgspec.structs.replace(
            files.state_of(path), status="stopped", supervisor=None, worker=None
        )
        (path / files.STOP).unlink()
        files.write_struct(path / files.STATE, state)
        await settled(pilot, lambda: "‖ stopped" in words(app, "monitor-head"), "stopped")


async def test_a_run_without_a_word_is_said_to_be_silent(make_app: MakeApp) -> None:
    path = make_run("silent", "running", steps=30)
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: "No step for" in notice(app), "the stall")
        assert "the log (b)" in notice(app)
        write_lines(path / files.METRICS, metric_rows(31, begin=time.time() - 1, total=120))
        state = msgspec.structs.replace(
            files.state_of(path), status="finished", supervisor=None, worker=None
        )
        files.write_struct(path / files.STATE, state)
        await settled(pilot, lambda: "No step for" not in notice(app), "it is over")


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The looks at the table of runs, which come fast: a clock to wait by."""
    found: list[int] = []
    listed = run_watch._list

    def looked() -> list[store.Run]:
        found.append(1)
        return listed()

    monkeypatch.setattr(run_watch, "_list", looked)
    monkeypatch.setattr(run_watch, "BUSY", 0.02)
    return found


async def test_of_a_finished_run_nothing_is_read_or_drawn_again(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, looks: list[int]
) -> None:
    from hfterm.screens.train import monitor

    path = make_run("film")
    read: list[str] = []
    refresh = Watched.refresh

    def counted(self: Watched) -> set[str]:
        read.append(self.name)
        return refresh(self)

    monkeypatch.setattr(Watched, "refresh", counted)
    monkeypatch.setattr(monitor, "TICK", 0.02)
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 1)
        await monitored(pilot, path)
        timer = app.screen.query_one("#page-Monitor")._timer
        await settled(pilot, lambda: not timer._active.is_set(), "the clock to stop")
        before = len(read)
        assert before
        painted = [chart._picture for chart in charts(app)]
        looks.clear()
        await settled(pilot, lambda: len(looks) > 25, "25 looks at the table of runs")
        assert len(read) == before
        now = [chart._picture for chart in charts(app)]
        assert all(new is old for new, old in zip(now, painted, strict=True))


async def test_a_run_is_not_read_by_the_clock_while_it_is_read_as_a_whole(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, looks: list[int]
) -> None:
    """Two readers of one source at once would take its rows twice."""
    from hfterm.screens.train import monitor

    make_run("going", "running", steps=30)
    large = make_run("large", at=60)
    begun, go_on = asyncio.Event(), asyncio.Event()
    during: list[str] = []
    real, refresh = monitor.read_watched, Watched.refresh

    async def slow(watched: Watched, say: object) -> None:
        if watched.name == large.name:
            begun.set()
            await go_on.wait()
        await real(watched, say)

    def watched_refresh(self: Watched) -> set[str]:
        if begun.is_set() and not go_on.is_set():
            during.append(self.name)
        return refresh(self)

    monkeypatch.setattr(monitor, "TICK", 0.02)
    monkeypatch.setattr(monitor, "read_watched", slow)
    monkeypatch.setattr(Watched, "refresh", watched_refresh)
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: title(app) == "Monitor" and titles(app), "that which goes on")
        await pilot.press("f6")
        await settled(pilot, lambda: len(table(app, "runs-grid")) == 2)
        await go_to_run(pilot, large.name)
        await pilot.press("enter")
        await settled(pilot, begun.is_set, "the reading")
        looks.clear()
        await settled(pilot, lambda: len(looks) > 25, "25 looks at the table of runs")
        go_on.set()
        await settled(pilot, lambda: charts(app)[0]._extent == (2, 120), "the run")
        assert large.name not in during


async def test_compared_runs_are_read_by_one_reader_at_a_time(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, looks: list[int]
) -> None:
    """The runs change each second while one goes on: what is being read is not begun anew."""
    from hfterm.screens.train import compare

    made = [make_run("film-a", "running", steps=30), make_run("film-b", at=60)]
    go_on = threading.Event()
    inside: list[object] = []
    most: list[int] = []
    real = compare.read_all

    def slow(source: object, *arguments: object) -> object:
        inside.append(source)
        most.append(inside.count(source))
        try:
            go_on.wait(20)
            return real(source, *arguments)
        finally:
            inside.remove(source)

    monkeypatch.setattr(compare, "read_all", slow)
    app = make_app(mode="train")
    try:
        async with app.run_test(size=SIZE) as pilot:
            await settled(pilot, lambda: title(app) == "Monitor", "that which goes on")
            await runs_page(pilot, 2)
            await pilot.press("home", "space", "space", "m")
            await settled(pilot, lambda: inside, "the reading")
            for step in (31, 32):  # it goes on meanwhile
                progress = msgspec.structs.replace(store.read_run(made[0]).progress, step=step)
                files.write_struct(made[0] / files.PROGRESS, progress)
                await settled(
                    pilot,
                    lambda step=step: any(
                        step in row.values() for row in table(app, "runs-compare-grid")
                    ),
                    f"step {step}",
                )
            assert max(most) == 1
            go_on.set()
            chart = app.screen.query_one("#runs-compare-chart", Chart)
            await settled(pilot, lambda: len(chart._chart_lines) == 2, "two curves")
            assert max(most) == 1
    finally:
        go_on.set()


async def test_a_run_that_another_program_starts_takes_nobody_from_the_form(
    make_app: MakeApp, looks: list[int]
) -> None:
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await new_page(pilot)
        field = app.screen.query_one("#recipe-name", Input)
        field.focus()
        make_run("elsewhere", "running", steps=30)
        await settled(pilot, lambda: "1 run · 1 active" in shown(app), "the run")
        looks.clear()
        await settled(pilot, lambda: len(looks) > 10, "some looks")
        assert title(app) == "New"
        assert app.focused is field


# -- runs of other programs --------------------------------------------------------------------


KINDS = ("trainer", "tensorboard", "wandb", "llama-factory")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_run_of_another_program_is_only_read(
    make_app: MakeApp, tmp_path: Path, kind: str
) -> None:
    folder = foreign_runs(tmp_path / "runs")[kind]
    before = listing(tmp_path / "runs")
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: title(app) == "New", "the tabs")
        await pilot.press("f6")
        await settled(pilot, lambda: title(app) == "Runs")
        await pilot.press("f")
        await answer(pilot, str(folder))
        await settled(pilot, lambda: title(app) == "Monitor", "the Monitor")
        await settled(pilot, lambda: titles(app), "its charts")
        head = words(app, "monitor-head")
        assert head.startswith(f"{kind} · ")
        assert "only read" in head
        assert "loss" in titles(app)[0]
        for _ in range(5):
            await pilot.press("b")
        await pilot.press("s")
        await settled(pilot, lambda: "No run of this machine" in notice(app))
        await pilot.press("f6")
        await settled(pilot, lambda: len(table(app, "runs-grid")) == 1, "it stays in the table")
        row = table(app, "runs-grid")[0]
        assert kind in (row["method"], row["status"])
        await pilot.press("d")
        await settled(pilot, lambda: table(app, "runs-grid") == [], "it is forgotten")
    assert listing(tmp_path / "runs") == before, "nothing of it was touched"


async def test_a_path_that_holds_no_run_is_said(make_app: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("no run")
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: title(app) == "New", "the tabs")
        await pilot.press("f6")
        await settled(pilot, lambda: title(app) == "Runs")
        for name, said in (("empty", "empty folder"), ("other", "no run"), ("none", "There is no")):
            await pilot.press("f")
            await answer(pilot, str(tmp_path / name))
            await settled(pilot, lambda said=said: said in notice(app), said)
            assert table(app, "runs-grid") == []
        assert title(app) == "Runs"


# -- comparing ---------------------------------------------------------------------------------


async def test_marked_runs_are_compared(make_app: MakeApp) -> None:
    made = every_kind()
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 8)
        for name in ("good", "better"):
            await go_to_run(pilot, made[name].name)
            await pilot.press("space")
        await settled(
            pilot,
            lambda: [bool(r["marked"]) for r in marked(app)] == [False] * 6 + [True, True],
            "the marks",
        )
        await pilot.press("m")
        await settled(pilot, lambda: title(app) == "Compare", "the comparison")
        chart = app.screen.query_one("#runs-compare-chart", Chart)
        await settled(pilot, lambda: len(chart._chart_lines) == 2, "two curves")
        rows = {
            str(row[""]): {str(name).rpartition(" ")[2]: told for name, told in row.items()}
            for row in table(app, "runs-compare-grid")
        }
        assert rows["status"]["good"] == rows["status"]["better"] == "finished"
        assert rows["time"]["better"] == 500.0
        assert rows["best accuracy"]["better"] > rows["best accuracy"]["good"]
        metric = app.screen.query_one("#runs-compare-metric", Choice)
        await pilot.press("v")
        await settled(pilot, lambda: metric.value != "loss" and chart._title == metric.value)
        await pilot.press("f6", "escape")
        await settled(pilot, lambda: title(app) == "Runs")


def marked(app: HftermApp) -> list[dict[str, object]]:
    """The rows of runs by the names that their columns have in a file."""
    source = app.screen.query_one("#runs-grid", DataGrid).source
    columns = [column.label or column.name for column in source.columns]
    return [dict(zip(columns, source.values(i), strict=True)) for i in range(len(source))]


async def test_folds_of_methods_are_one_table(make_app: MakeApp) -> None:
    """The tutorial's experiment: full against LoRA, three folds."""
    import statistics

    made = folds()
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 6)
        await pilot.press("m")  # nothing is marked: the runs of one recipe
        await settled(pilot, lambda: title(app) == "Compare", "the comparison")
        await settled(pilot, lambda: len(table(app, "runs-compare-methods")) == 2, "the methods")
        rows = {str(row["method"]): row for row in table(app, "runs-compare-methods")}
        runs = [store.read_run(path) for path in made]
        for method in ("full", "lora"):
            its = [run for run in runs if run.recipe and run.recipe.method.name == method]
            accuracy = [float(run.progress.metrics["eval_accuracy"]) for run in its]
            mean, deviation = statistics.fmean(accuracy), statistics.stdev(accuracy)
            assert rows[method]["eval_accuracy"] == pytest.approx(mean)
            assert f"{mean:.4f} ± {deviation:.4f}" in shown(app)
            assert rows[method]["time"] == pytest.approx(
                statistics.fmean(run.state.seconds for run in its)
            )
        differing = {str(row[""]) for row in table(app, "runs-compare-grid")}
        assert {"method.name", "fold"} <= differing
        assert "training.learning_rate" not in differing
        chart = app.screen.query_one("#runs-compare-chart", Chart)
        await settled(pilot, lambda: len(chart._chart_lines) == 6, "six curves")
        assert len({line.name for line in chart._chart_lines}) == 6
        seen = shown(app)
        for letter, line in zip("abcdef", chart._chart_lines, strict=True):
            assert f"{letter} {line.name}" in seen, "which line is which run"


async def test_compared_runs_that_are_deleted_go(make_app: MakeApp) -> None:
    made = folds(("lora",), 3)
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 3)
        await pilot.press("m")
        chart = app.screen.query_one("#runs-compare-chart", Chart)
        await settled(pilot, lambda: len(chart._chart_lines) == 3, "three curves")
        run_control.delete(store.read_run(made[0]))
        await settled(pilot, lambda: len(chart._chart_lines) == 2, "two curves")
        with suppress(KeyError):
            assert "fold1" not in str(table(app, "runs-compare-grid")[0].keys())


# -- after a run -------------------------------------------------------------------------------


async def test_what_can_be_done_after_a_run(make_app: MakeApp) -> None:
    path = make_run("film")
    make_run("none", "failed", at=60, steps=10, checkpoints=[], nan_from=5)
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await runs_page(pilot, 2)
        await go_to_run(pilot, "none")
        await pilot.press("o")
        await settled(pilot, lambda: isinstance(app.screen, AfterModal))
        await settled(pilot, lambda: "no model yet" in notice(app))
        app.screen.query_one(OptionList).focus()
        await pilot.press("enter")
        assert isinstance(app.screen, AfterModal), "there is nothing to open"
        await pilot.press("escape")
        await settled(pilot, lambda: not isinstance(app.screen, AfterModal))
        await go_to_run(pilot, "film")
        await pilot.press("o")
        await settled(pilot, lambda: isinstance(app.screen, AfterModal))
        options = app.screen.query_one(OptionList)
        ids = [str(option.id) for option in options.options]
        assert {"open-predict", "open-attention", "base-models", "merge", "card"} <= set(ids)
        options.focus()
        await pilot.press("home", *["down"] * ids.index("card"), "enter")
        await settled(pilot, lambda: "README.md" in notice(app), "the card")
        card = (path / "model" / "README.md").read_text()
        assert "minilm" in card
        assert "accuracy" in card
        assert parse_recipe(re.search(r"```toml\n(.*?)```", card, re.DOTALL).group(1)) == a_recipe(
            "film"
        )


# -- hostile -----------------------------------------------------------------------------------


@pytest.fixture
def tapped(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Apps on a terminal that keeps what is written to it."""
    from test_hostile import Tap
    from textual.drivers import headless_driver

    monkeypatch.setattr(headless_driver, "HeadlessDriver", Tap)
    yield


@pytest.mark.usefixtures("tapped")
async def test_hostile_runs_are_shown_and_never_obeyed(make_app: MakeApp) -> None:
    from test_hostile import check

    from corpus import HOSTILE

    windows = [0, 1, len(HOSTILE) - 1]  # the newest are those of markup
    attack = " ".join(HOSTILE.values())
    long = attack * 40
    made: list[Path] = []
    for place, text in enumerate(HOSTILE.values()):
        recipe = a_recipe("x", prompts=[text, long])
        recipe = msgspec.structs.replace(
            recipe, name=text, data=msgspec.structs.replace(recipe.data, ref=text)
        )
        path = make_run(
            recipe=recipe, at=60.0 * place, note=long, tags=(text,), answers=(text, long),
            log=f"{attack}\n{long}\n", status="failed",
            error=store.RunFailure("kind\x1b[2J", attack, long),
        )  # fmt: skip
        files.add_event(path, text, long, 3)
        rows = [{"step": step, "time": 1.0 * step, text or "x": 0.5} for step in range(9)]
        write_lines(path / files.METRICS, rows)
        made.append(path)
    app = make_app(mode="train")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await runs_page(pilot, len(made))
        for place in range(len(made)):
            await pilot.press("home", *["down"] * place)
            await settled(pilot, lambda place=place: cursor(app) == place)
            check(app)
            for key in ("n", "k", "o") if place in windows else ():
                await pilot.press(key)
                await settled(pilot, lambda: len(app.screen_stack) == 2, f"the window of {key}")
                check(app)
                await pilot.press("escape")
                await settled(pilot, lambda: len(app.screen_stack) == 1)
            if place in (windows[0], windows[-1]):
                await pilot.press("enter")
                await settled(pilot, lambda: title(app) == "Monitor")
                await settled(pilot, lambda: titles(app), "its chart")
                for _ in range(5):
                    await pilot.press("b", "v")
                    await pilot.pause()
                    check(app)
                await pilot.press("f6")
                await settled(pilot, lambda: title(app) == "Runs")
        await pilot.press("home", "space", "space", "space", "m")
        await settled(pilot, lambda: title(app) == "Compare")
        check(app)
        await pilot.press("f6")
        await settled(pilot, lambda: title(app) == "Runs")
        await pilot.press("home", "c")
        await settled(pilot, lambda: title(app) == "New")
        check(app)
        assert not [text for text in toasts(app) if "fault" in text.lower()], toasts(app)


@pytest.mark.usefixtures("tapped")
async def test_hostile_text_in_the_form(make_app: MakeApp) -> None:
    from test_hostile import ALL, check

    app = make_app(mode="train")
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await new_page(pilot)
        for key in ("model.ref", "data.ref", "data.columns", "also"):
            field = app.screen.query_one(f"#recipe-{key.replace('.', '-')}", Input)
            before = field.value
            field.value = ALL
            field.focus()
            await pilot.press("enter")
            await settled(pilot, lambda: notice(app) or not page(app).busy)
            check(app)
            await pilot.press("escape")
            await settled(pilot, lambda: not page(app).busy)
            field.value = before
        await pilot.press("f")
        await pilot.press("f6")
        await settled(pilot, lambda: title(app) == "Runs")
        await pilot.press("f")
        await answer(pilot, f"/no/{ALL}")
        await settled(pilot, lambda: notice(app))
        check(app)


def test_the_place_of_runs_is_not_the_users() -> None:
    assert "home" in str(paths.runs_dir()), "tests have a home of their own"
