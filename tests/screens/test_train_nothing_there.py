"""The Train screen where there is nothing: no run, no preview, nothing to compare or to watch."""

from __future__ import annotations

import msgspec
import pytest
from textual.widgets import Input, Static

from hfterm import paths
from hfterm.app import HftermApp
from hfterm.engine.training_requests import CostRecipe
from hfterm.screens.train.new import NewPage
from hfterm.screens.train.page import PreviewMade
from hfterm.session.types import Place
from hfterm.training import store
from hfterm.training.preview_types import LabelCount, Preview, PreviewRow
from hfterm.training.recipe_text import read_recipe, write_recipe
from hfterm.widgets.chart import Chart
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.modals import Prompt
from pilot_app import notice, settled, shown, tab, table
from run_fixtures import a_recipe, make_run
from screen_fixtures import MakeApp
from train_pilot import page, screen, title

SIZE = (120, 40)
NO_RUN = "No run of this machine is chosen."


def words(app: HftermApp, name: str) -> str:
    return str(app.screen.query_one(f"#{name}", Static).content)


async def prompted(pilot: object, text: str | None) -> None:
    """Answer the window that asks for a line; None leaves it by Esc."""
    app = pilot.app
    await settled(pilot, lambda: isinstance(app.screen, Prompt), "the question")
    if text is None:
        await pilot.press("escape")
    else:
        app.screen.query_one(Input).value = text
        await pilot.press("enter")
    await settled(pilot, lambda: not isinstance(app.screen, Prompt), "the question to go")


async def test_keys_for_a_run_say_that_none_is_chosen(make_app: MakeApp) -> None:
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: title(app) == "New", "the tabs")
        await pilot.press("f6")
        await settled(pilot, lambda: app.screen.query_one("#runs-grid").has_focus, "the table")
        assert "No run yet" in shown(app)
        for key in ("s", "k", "u", "c", "d", "n", "t"):
            page(app).notice.clear()
            await pilot.press(key)
            await settled(pilot, lambda: NO_RUN in notice(app), f"a word after {key}")
            assert title(app) == "Runs"
            assert app.screen is app.workbench, "nothing is asked"
        page(app).notice.clear()
        for key in ("space", "enter", "less_than_sign", "greater_than_sign"):
            await pilot.press(key)
        await pilot.press("m")
        await settled(pilot, lambda: "needs two runs" in notice(app))
        assert (title(app), table(app, "runs-grid")) == ("Runs", [])
        assert page(app).exported() is None
        await pilot.press("f")
        await prompted(pilot, None)
        assert table(app, "runs-grid") == []
        assert title(app) == "Runs"


async def test_pages_without_a_run_export_nothing_and_draw_nothing(make_app: MakeApp) -> None:
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: title(app) == "New", "the tabs")
        await tab(pilot, "Preview")
        assert page(app).exported() is None
        assert "F5 on the New tab" in shown(app)
        await tab(pilot, "Monitor")
        await settled(pilot, lambda: "No run is watched" in words(app, "monitor-head"))
        app.screen.query_one("#monitor-axis").focus()
        for key in ("v", "x", "z", "b", "b"):
            await pilot.press(key)
        assert page(app).exported() is None
        assert page(app).code() == ""
        assert table(app, "monitor-below") == []
        await pilot.press("k")
        await settled(pilot, lambda: NO_RUN in notice(app))
        await tab(pilot, "Compare")
        app.screen.query_one("#runs-compare-axis").focus()
        for key in ("v", "x", "z"):
            await pilot.press(key)
        assert page(app).exported() is None
        assert app.screen.query_one("#runs-compare-chart", Chart)._chart_lines == []
        assert "Space marks runs" in shown(app)


async def test_a_recipe_is_not_saved_or_opened_after_esc_and_found_by_its_name(
    make_app: MakeApp,
) -> None:
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: app.screen.query_one("#recipe-name"), "the form")
        field = app.screen.query_one("#recipe-name", Input)
        await settled(pilot, lambda: field.value == "reviews-lora")
        await pilot.press("alt+w")
        await prompted(pilot, None)
        assert not paths.recipes_dir().exists()
        field.value = "kept"
        await pilot.press("alt+w")
        await settled(pilot, lambda: isinstance(app.screen, Prompt), "the question")
        await pilot.press("enter")
        await settled(pilot, (paths.recipes_dir() / "kept.toml").exists, "the file")
        assert read_recipe(paths.recipes_dir() / "kept.toml").name == "kept"
        await settled(pilot, lambda: not isinstance(app.screen, Prompt), "the question to go")
        field.value = "other"
        await pilot.press("ctrl+o")
        await settled(pilot, lambda: isinstance(app.screen, Prompt), "the question")
        assert "saved here: kept" in shown(app)
        await prompted(pilot, None)
        assert field.value == "other"
        await pilot.press("ctrl+o")
        await prompted(pilot, "kept")
        await settled(
            pilot, lambda: app.screen.query_one("#recipe-name", Input).value == "kept", "by name"
        )
        await pilot.press("ctrl+o")
        await prompted(pilot, "nobody")
        await settled(pilot, lambda: "nobody" in notice(app), "a word about it")
        assert app.screen.query_one("#recipe-name", Input).value == "kept"


async def test_the_form_says_what_it_knows_of_the_memory(make_app: MakeApp) -> None:
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: "at the peak" in words(app, "new-cost"), "the cost")
        form = page(app)
        assert isinstance(form, NewPage)
        cost = await app.engine.call(CostRecipe(recipe=a_recipe(), labels=2))
        assert cost.plan is not None
        unsure = msgspec.structs.replace(cost, plan=msgspec.structs.replace(cost.plan, verdicts=()))
        assert form._cost_line(unsure).plain.endswith(" at the peak")
        told = form._cost_line(msgspec.structs.replace(cost, plan=None)).plain
        assert "parameters are trained" in told
        assert "peak" not in told


def a_preview(rows: int) -> Preview:
    one = PreviewRow(tokens=("a", "film"), label="good", learnt=(), cut=0)
    return Preview(
        train_rows=rows, eval_rows=2, columns=(("text", "string"),),
        labels=(LabelCount("good", rows, 2),), lengths=((8, rows),), measured=rows, cut=0,
        longest=2, rows=(one,) * 3, steps=4, warnings=(),
    )  # fmt: skip


async def test_a_preview_is_shown_before_and_after_its_tab_is_open(make_app: MakeApp) -> None:
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: title(app) == "New", "the tabs")
        screen(app).post_message(PreviewMade(a_preview(40)))
        await tab(pilot, "Preview")
        await settled(pilot, lambda: "40 rows to learn from" in words(app, "preview-sum"))
        screen(app).post_message(PreviewMade(a_preview(50)))
        await settled(pilot, lambda: "50 rows to learn from" in words(app, "preview-sum"))
        exported = page(app).exported()
        assert exported is not None
        assert len(exported[1]) == 3
        labels = app.screen.query_one("#preview-labels", DataGrid)
        labels.focus()
        await settled(pilot, lambda: labels.has_focus)
        exported = page(app).exported()
        assert exported is not None
        assert exported[0] == "preview-labels"
        app.screen.query_one("#train-pages Tabs").focus()
        await settled(pilot, lambda: not labels.has_focus)
        exported = page(app).exported()
        assert exported is not None
        assert exported[0] == "preview"


@pytest.mark.parametrize("there", [True, False])
async def test_who_comes_back_finds_the_run_that_was_watched_or_none(
    make_app: MakeApp, there: bool
) -> None:
    run = store.read_run(make_run("film"))
    recipe = write_recipe(a_recipe("left"))
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: "1 run" in shown(app), "the run")
        await settled(pilot, lambda: title(app) == "New", "the tabs")
        place = Place(tab="Monitor", run=run.id if there else "20200101-000000-gone", recipe=recipe)
        await screen(app).restore(place)
        if there:
            await settled(pilot, lambda: title(app) == "Monitor", "the Monitor")
            await settled(pilot, lambda: "film" in words(app, "monitor-head"))
            assert screen(app).place().run == run.id
        else:
            await settled(pilot, lambda: title(app) == "New")
            assert screen(app).place().run == ""
        assert 'name = "left"' in (screen(app).place().recipe or "")


async def test_a_run_that_goes_on_comes_before_the_one_that_was_left(make_app: MakeApp) -> None:
    left = make_run("left")
    make_run("going", "running", at=60.0, steps=30)
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: title(app) == "Monitor", "the Monitor")
        await settled(pilot, lambda: "going" in words(app, "monitor-head"))
        await screen(app).restore(Place(tab="Monitor", run=left.name))
        await pilot.pause()
        assert "going" in words(app, "monitor-head")
