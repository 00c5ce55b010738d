"""The form of a run: what is refused at each of its steps, and answers that come too late."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.widgets import Input, Static, Tabs

from hfterm.app import HftermApp
from hfterm.errors import HftermError
from hfterm.job import Progress
from hfterm.screens.train import monitor
from hfterm.screens.train.monitor import MonitorPage
from hfterm.screens.train.page import TrainPage
from hfterm.screens.train.screen import TrainScreen
from hfterm.training import store
from hfterm.training.recipe import Recipe
from hfterm.training.recipe_text import write_recipe
from hfterm.training.watching import Watched
from hfterm.widgets.modals import Prompt
from pilot_app import notice, settled, shown, table
from run_fixtures import make_run, tiny_recipe
from screen_fixtures import MakeApp

SIZE = (120, 40)


def page(app: HftermApp) -> TrainPage:
    bench = app.workbench
    assert isinstance(bench, TrainScreen)
    assert bench.page is not None
    return bench.page


def title(app: HftermApp) -> str:
    """The tab that is open."""
    found = app.screen.query_one("#train-pages Tabs", Tabs).active_tab
    return str(found.label) if found is not None else ""


def words(app: HftermApp, name: str) -> str:
    return str(app.screen.query_one(f"#{name}", Static).content)


async def loaded(pilot: object, recipe: Recipe, tmp_path: Path) -> None:
    """A recipe from a file into the form, and its cost counted, or refused."""
    app = pilot.app
    file = tmp_path / "recipe.toml"
    file.write_text(write_recipe(recipe))
    await settled(pilot, lambda: app.screen.query_one("#recipe-name", Input).value, "the form")
    await pilot.press("ctrl+o")
    await settled(pilot, lambda: isinstance(app.screen, Prompt), "the question")
    app.screen.query_one(Input).value = str(file)
    await pilot.press("enter")
    await settled(
        pilot,
        lambda: app.screen.query_one("#recipe-name", Input).value == recipe.name,
        "the recipe",
    )


async def test_f5_stops_where_the_data_the_model_or_the_head_are_refused(
    make_app: MakeApp, tmp_path: Path, model_zoo: dict[str, Path], zoo: dict[str, Path]
) -> None:
    unpadded = tmp_path / "unpadded"
    shutil.copytree(zoo["word-level"], unpadded)
    (unpadded / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}'
    )
    bert = str(model_zoo["bert"])
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        # the check refuses it
        recipe = tiny_recipe("unchecked", data={"columns": {"text": "txt"}})
        await loaded(pilot, recipe, tmp_path)
        await settled(pilot, lambda: not page(app).busy)
        await pilot.press("f5")
        await settled(pilot, lambda: "txt" in notice(app) and not page(app).busy, "the check")
        assert table(app, "new-rows") == []
        # only the look at the data finds it
        recipe = tiny_recipe("unlooked", model={"ref": bert, "tokenizer": str(unpadded)})
        await loaded(pilot, recipe, tmp_path)
        await settled(pilot, lambda: not page(app).busy)
        await pilot.press("f5")
        await settled(pilot, lambda: "neither a padding token" in notice(app), "the preview")
        await settled(pilot, lambda: not page(app).busy)
        assert table(app, "new-rows") == []
        # only who builds the model finds it
        recipe = tiny_recipe(
            "uncounted", model={"ref": bert}, method={"target_modules": ["query"], "dropout": 0.0},
            data={"columns": {"source": "text", "target": "text"}},
            task="seq2seq",
        )  # fmt: skip
        await loaded(pilot, recipe, tmp_path)
        await settled(pilot, lambda: notice(app) and not page(app).busy, "the count of the form")
        page(app).notice.clear()
        await pilot.press("f5")
        await settled(pilot, lambda: notice(app) and not page(app).busy, "the cost")
        assert len(table(app, "new-rows")) > 0, "the data are fine"
        assert "measured" not in words(app, "new-cost")
        assert store.list_runs() == []


async def test_a_starter_that_cannot_be_brought_starts_nothing(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HFTERM_STARTER", str(tmp_path / "empty"))
    # nobody listens there
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    app = make_app(mode="train", own_engine=True)
    async with app.run_test(size=SIZE) as pilot:
        told = "minilm is in the starter kit and not here yet: F5 downloads it."
        await settled(pilot, lambda: told in words(app, "new-cost"), "what F5 would do")
        for key in ("f5", "f7"):
            page(app).notice.clear()
            await pilot.press(key)
            await settled(
                pilot, lambda: notice(app) and not page(app).busy, f"why not, {key}", processes=2
            )
            assert title(app) == "New"
        assert store.list_runs() == []
        assert not (tmp_path / "empty" / "minilm").exists()


@pytest.mark.parametrize("fails", [False, True])
async def test_what_is_read_of_a_run_that_is_no_longer_watched_is_not_shown(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    first, second = make_run("first"), make_run("second", at=60.0)
    go_on = asyncio.Event()
    read: list[str] = []
    real = monitor.read_watched

    async def slow(watched: Watched, say: Callable[[Progress], None]) -> None:
        read.append(watched.name)
        if watched.path == first:
            # whoever leaves a page stops what it asked; this comes through all the same
            await asyncio.shield(go_on.wait())
            if fails:
                raise HftermError("unreadable", "It can't be read.", "")
        await real(watched, say)

    monkeypatch.setattr(monitor, "read_watched", slow)
    app = make_app(mode="train")
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: "2 runs" in shown(app), "the runs")
        bench = app.workbench
        assert isinstance(bench, TrainScreen)
        await bench._watch(first.name)
        found = page(app)
        assert isinstance(found, MonitorPage)
        await settled(pilot, lambda: read == [first.name], "the first")
        stale = Watched(first.name, first, found._watched.source)
        reading = asyncio.create_task(found._read(stale))
        await bench._watch(second.name)
        await settled(pilot, lambda: read[-1] == second.name, "the second")
        await settled(pilot, lambda: "second" in words(app, "monitor-head"))
        go_on.set()
        await reading
        assert found._watched is not None
        assert found._watched.path == second
        assert "second" in words(app, "monitor-head")
        assert notice(app) == ""
