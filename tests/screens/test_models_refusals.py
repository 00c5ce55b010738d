"""The Models screen where there is no model, a field is wrong, or work is stopped."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Button, Input, Static

from hfterm.app import HftermApp
from hfterm.engine.client import EngineStatus
from hfterm.screens.models.model_list import ModelList
from hfterm.screens.models.screen import TITLES, ModelsScreen
from hfterm.screens.models.subject import ModelPage
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.fields import Choice
from pilot_app import notice, settled, shown, tab, table
from screen_fixtures import MakeApp
from waiting import until

SIZE = (120, 40)


def screen(app: HftermApp) -> ModelsScreen:
    bench = app.workbench
    assert isinstance(bench, ModelsScreen)
    return bench


def words(app: HftermApp, name: str) -> str:
    return str(app.screen.query_one(f"#{name}", Static).content)


async def described(pilot: Pilot[None], ref: str) -> None:
    app = pilot.app

    def there() -> bool:
        subject = screen(app).subject
        return subject is not None and subject.spec.ref == ref

    await settled(pilot, there, f"the description of {ref}")


async def page(pilot: Pilot[None], title: str) -> ModelPage:
    """Go to a tab, and wait until it has shown its subject."""
    await tab(pilot, title)
    app = pilot.app

    def rests() -> bool:
        now = screen(app).page
        return now is not None and now.id == f"page-{title}" and not now.busy

    await settled(pilot, rests, title)
    found = screen(app).page
    assert found is not None
    return found


async def enter(pilot: Pilot[None], name: str, text: str) -> None:
    """Type into a field, and Enter."""
    field = pilot.app.screen.query_one(f"#{name}", Input)
    field.focus()
    await settled(pilot, lambda: field.has_focus)
    field.value = text
    await pilot.press("enter")
    await pilot.pause()


def choose(app: HftermApp, name: str, row: int) -> None:
    """Enter on a row of a table, which may be gone by now."""
    grid = app.screen.query_one(f"#{name}", DataGrid)
    grid.post_message(DataGrid.RowChosen(grid, row))


async def test_without_a_model_every_tab_is_empty_and_nothing_is_asked(
    make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app(str(tmp_path / "nowhere"), mode="models")
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: "nowhere" in notice(app))
        assert screen(app).subject is None
        assert screen(app).copy_text() == ""
        await settled(pilot, lambda: len(table(app, "models-grid")) > 500, "the architectures")
        for title in TITLES:
            here = await page(pilot, title)
            assert here.code() == "", title
            assert here.exported() is None, title
            here.again()
            assert not here.busy, title
            if title == "Classes":
                classes = app.screen.query_one("#classes-grid", DataGrid)
                classes.post_message(DataGrid.RowHighlighted(classes, 0))
                choose(app, "classes-grid", 0)
                await pilot.pause()
                await enter(pilot, "classes-labels", "none")
                assert "“labels” is 'none', which is no number." in notice(app)
            elif title == "Parameters":
                await enter(pilot, "parameters-search", "query")
                assert not table(app, "parameters-grid")
            elif title == "Memory":
                await enter(pilot, "memory-context", "16")
            elif title == "LoRA":
                choose(app, "lora-grid", 0)
                await enter(pilot, "lora-rank", "4")
            elif title == "Compare":
                await enter(pilot, "compare-with", "minilm")
            elif title == "Load":
                app.screen.query_one("#load-start", Button).press()
                await pilot.pause()
                assert words(app, "load-state") == "Nothing is loaded."
            assert not here.busy, title
        # F5 looks again, in vain
        await pilot.press("f5")
        await settled(pilot, lambda: not screen(app).job.display)
        await settled(pilot, lambda: "nowhere" in notice(app))
        assert screen(app).subject is None


async def test_fields_that_are_wrong_leave_what_is_shown(
    make_app: MakeApp, model_zoo: dict[str, Path]
) -> None:
    ref = str(model_zoo["bert-labels"])
    app = make_app(ref, mode="models")
    async with app.run_test(size=SIZE) as pilot:
        await described(pilot, ref)
        # a class that there is not is none to choose
        here = await page(pilot, "Classes")
        subject = screen(app).subject
        assert subject is not None
        absent = len(subject.overview.classes)
        classes = app.screen.query_one("#classes-grid", DataGrid)
        classes.post_message(DataGrid.RowHighlighted(classes, absent))
        await settled(pilot, lambda: "has no bert class for" in words(app, "classes-words"))
        choose(app, "classes-grid", absent)
        await pilot.pause()
        assert screen(app).subject == subject
        # memory: three numbers, and one beyond the model
        here = await page(pilot, "Memory")
        await settled(pilot, lambda: len(table(app, "memory-grid")) > 5, "the plans")
        before = table(app, "memory-grid")
        assert "BertForSequenceClassification" in here.code()
        compile(here.code(), "memory", "exec")
        for name, wrong, right in (
            ("context", "long", ""), ("batch", "0", "1"), ("rank", "-1", "8"),
        ):  # fmt: skip
            await enter(pilot, f"memory-{name}", wrong)
            await settled(pilot, lambda: repr(wrong) in notice(app))  # noqa: B023
            assert not here.busy
            app.screen.query_one(f"#memory-{name}", Input).value = right
        await enter(pilot, "memory-context", "100000")
        await settled(pilot, lambda: "takes 128 tokens, not 100,000" in notice(app))
        assert table(app, "memory-grid") == before
        await enter(pilot, "memory-context", "16")
        await settled(pilot, lambda: not notice(app) and not here.busy)
        await settled(pilot, lambda: table(app, "memory-grid") != before)
        grid = app.screen.query_one("#memory-grid", DataGrid)
        said = words(app, "memory-words")
        grid.post_message(DataGrid.RowHighlighted(grid, 999))  # a row of an older table
        await pilot.pause()
        assert words(app, "memory-words") == said
        notes = set[str]()
        for row in range(len(table(app, "memory-grid"))):
            grid.post_message(DataGrid.RowHighlighted(grid, row))
            await pilot.pause()
            notes.add(words(app, "memory-words"))
        assert len(notes) == len(table(app, "memory-grid"))
        # LoRA: a module that there is not, and none at all
        here = await page(pilot, "LoRA")
        await settled(pilot, lambda: len(table(app, "lora-grid")) > 0, "the modules")
        told = words(app, "lora-sum")
        compile(here.code(), "lora", "exec")
        await enter(pilot, "lora-targets", "no-such-module")
        await settled(pilot, lambda: "no-such-module" in notice(app))
        assert words(app, "lora-sum") == told
        await enter(pilot, "lora-targets", "query")
        await settled(pilot, lambda: words(app, "lora-sum") != told and not here.busy)
        modules = [row["module"] for row in table(app, "lora-grid")]
        choose(app, "lora-grid", modules.index("query"))
        await settled(pilot, lambda: "at least one module" in notice(app))
        assert app.screen.query_one("#lora-targets", Input).value == "query"
        # compare: another model, which is not there
        here = await page(pilot, "Compare")
        await settled(pilot, lambda: bool(words(app, "compare-sum")))
        compile(here.code(), "compare", "exec")
        await enter(pilot, "compare-with", "./nothing-here")
        await settled(pilot, lambda: "nothing-here" in notice(app))
        assert here.code() == ""
        assert here.exported() is None
        await enter(pilot, "compare-with", str(model_zoo["gpt2"]))
        await settled(pilot, lambda: "GPT2For" in words(app, "compare-sum"))
        assert "stored weights are equal" not in words(app, "compare-sum")
        # parameters and load
        here = await page(pilot, "Parameters")
        await settled(pilot, lambda: len(table(app, "parameters-grid")) > 0)
        compile(here.code(), "parameters", "exec")
        here = await page(pilot, "Load")
        compile(here.code(), "load", "exec")
        app.screen.query_one("#load-device", Input).value = "cuda:99"
        app.screen.query_one("#load-start", Button).press()
        await settled(pilot, lambda: "cuda:99" in notice(app), "the refusal")
        assert words(app, "load-state") == "Nothing is loaded."
        app.screen.query_one("#load-labels", Input).value = "many"
        assert here.code() == ""
        await settled(pilot, lambda: "'many'" in notice(app))


async def test_the_list_is_gone_through_left_and_empty(
    make_app: MakeApp, model_zoo: dict[str, Path]
) -> None:
    ref = str(model_zoo["bert"])
    app = make_app(ref, mode="models")
    async with app.run_test(size=(80, 24)) as pilot:
        await described(pilot, ref)
        await settled(pilot, lambda: len(table(app, "models-grid")) > 500, "the architectures")
        for key in ("f6", "escape"):  # the same key, and Esc, give the model its place back
            await pilot.press("f6")
            await settled(pilot, lambda: screen(app).has_class("-listing"))
            await pilot.press(key)
            await settled(pilot, lambda: not screen(app).has_class("-listing"))
            await settled(pilot, lambda: app.screen.query_one("#model-pages Tabs").has_focus)
        choose(app, "models-grid", 10_000)
        await pilot.pause()
        assert screen(app).thing() is not None
        assert screen(app).place().ref == ref
        names = [str(row["model"]) for row in table(app, "models-grid")]
        await pilot.press("f6")
        choose(app, "models-grid", names.index("minilm"))
        await described(pilot, "minilm")
        assert not screen(app).has_class("-listing")
        listing = app.screen.query_one(ModelList)
        listing.show([], [])
        await pilot.press("f6")
        search = app.screen.query_one("#models-search", Input)
        await settled(pilot, lambda: search.has_focus)
        await pilot.press("enter")  # nothing is typed, and nothing found
        await pilot.pause()
        assert screen(app).has_class("-listing")
        assert screen(app).place().ref == "minilm"
        await pilot.press("escape")
        assert not screen(app).stop_work()


async def test_another_screen_opens_a_comparison_and_work_is_stopped(
    make_app: MakeApp, model_zoo: dict[str, Path]
) -> None:
    ref, other = str(model_zoo["bert-labels"]), str(model_zoo["bert-ner"])
    app = make_app(str(model_zoo["bert"]), mode="models")
    async with app.run_test(size=SIZE) as pilot:
        await described(pilot, str(model_zoo["bert"]))
        await screen(app).open_against(ref, other)
        await described(pilot, ref)
        here = await page(pilot, "Compare")
        assert app.screen.query_one("#compare-with", Input).value == other
        await settled(pilot, lambda: other in here.code(), "the comparison")
        # Esc stops what the page does, and then the description
        here = await page(pilot, "Memory")
        await settled(pilot, lambda: len(table(app, "memory-grid")) > 5, "the plans")
        screen(app).again()
        await until(lambda: here.busy, "the page asks again")
        assert screen(app).stop_work()
        assert here.notice.message.startswith("Stopped.")
        await settled(pilot, lambda: not here.busy and not screen(app).job.display)
        assert len(table(app, "memory-grid")) > 5
        screen(app).open_model("funnel")
        await until(lambda: screen(app).job.display, "the description")
        assert screen(app).stop_work()
        assert screen(app).notice.message.startswith("Stopped.")
        assert not screen(app).job.display
        assert not screen(app).stop_work()
        # the same subject once more asks for nothing
        subject = screen(app).subject
        assert subject is not None
        here.show(subject)
        assert not here.busy
        await pilot.press("f7")
        await settled(pilot, lambda: app.screen.query_one("#load-dtype", Choice).has_focus)
        screen(app).engine_changed(EngineStatus("dead", detail="SIGKILL"))
        await settled(pilot, lambda: "The engine process ended (SIGKILL)." in notice(app))
        assert "F5 starts it again." in shown(app)
