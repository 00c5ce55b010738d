"""Predict where a field, a file or a model is not what it should be."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from hfterm.app import HftermApp
from hfterm.inference.options import AUTO_OF
from hfterm.models.types import ModelSpec
from hfterm.screens.predict.batch import BatchPage
from hfterm.screens.predict.result import ResultPage
from hfterm.screens.predict.screen import PredictScreen
from hfterm.screens.predict.task_options import TaskFields
from hfterm.session.types import Place
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.fields import Choice
from pilot_app import notice, settled, shown, tab, table
from screen_fixtures import MakeApp

SIZE = (120, 40)


def screen(app: HftermApp) -> PredictScreen:
    bench = app.workbench
    assert isinstance(bench, PredictScreen)
    return bench


def words(app: HftermApp, name: str) -> str:
    return str(app.screen.query_one(f"#{name}", Static).content)


def put(app: HftermApp, name: str, text: str) -> None:
    app.screen.query_one(f"#{name}", Input).value = text


def rows(folder: Path, name: str, *lines: dict[str, object]) -> Path:
    file = folder / name
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


async def ready(pilot: Pilot[None]) -> None:
    app = pilot.app
    await settled(pilot, lambda: screen(app).page is not None, "the tabs")


async def start(pilot: Pilot[None]) -> None:
    """F5 on the Batch tab, and wait until it is over."""
    page = screen(pilot.app).page
    assert isinstance(page, BatchPage)
    await pilot.press("f5")
    await pilot.pause()
    await settled(pilot, lambda: not page.busy, "the batch")


async def test_a_batch_whose_fields_or_file_are_wrong_says_which(
    make_app: MakeApp, model_zoo: dict[str, Path], tmp_path: Path
) -> None:
    app = make_app(model_zoo["bert-labels"], mode="predict")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await tab(pilot, "Batch")
        page = screen(app).page
        assert isinstance(page, BatchPage)
        page.outdated()  # nothing is shown yet
        assert page.exported() is None
        assert page.code() == ""
        for name, wrong in (("most", "0"), ("size", "many")):
            before = app.screen.query_one(f"#batch-{name}", Input).value
            put(app, f"batch-{name}", wrong)
            await pilot.press("f5")
            await settled(pilot, lambda: repr(wrong) in notice(app))  # noqa: B023
            assert not page.busy
            put(app, f"batch-{name}", before)
        put(app, "batch-source", str(tmp_path / "gone.jsonl"))
        await start(pilot)
        await settled(pilot, lambda: "gone.jsonl" in notice(app))
        assert page.code() == ""
        # without labels there are rows, and no matrix
        plain = rows(tmp_path, "plain.jsonl", {"text": "good"}, {"text": "bad " * 300})
        put(app, "batch-source", str(plain))
        app.screen.query_one("#task-long", Choice).focus()
        await pilot.press("right")
        await start(pilot)
        await settled(pilot, lambda: len(table(app, "batch-rows")) == 2, "the rows")
        assert "1 texts were cut" in words(app, "batch-sum")
        assert "accuracy" not in words(app, "batch-sum")
        assert "!" not in words(app, "batch-sum")  # the head is trained
        assert not app.screen.query_one("#batch-confusion").display
        assert "plain.jsonl" in page.code()
        compile(page.code(), "batch", "exec")
        # with labels there is one
        scored = rows(tmp_path, "scored.jsonl", {"text": "good", "label": 2})
        put(app, "batch-source", str(scored))
        await start(pilot)
        await settled(pilot, lambda: "accuracy" in words(app, "batch-sum"))
        assert app.screen.query_one("#batch-confusion").display
        exported = page.exported()
        assert exported is not None
        assert exported[0] == "batch-rows"
        # another task takes all of it away
        await pilot.press("alt+t")
        await settled(pilot, lambda: not words(app, "batch-sum"))
        assert page.exported() is None
        assert page.code() == ""
        assert not app.screen.query_one("#batch-confusion").display
        screen(app).spec = ModelSpec(ref=str(tmp_path / "no-model"), auto=screen(app).spec.auto)
        await start(pilot)
        await settled(pilot, lambda: "no-model" in notice(app))
        assert not words(app, "batch-sum")
        screen(app).spec = ModelSpec(ref="", auto=screen(app).spec.auto)
        await pilot.press("f5")
        await settled(pilot, lambda: "No model is chosen." in notice(app))


async def test_a_second_press_does_not_begin_a_batch_anew(
    make_app: MakeApp, model_zoo: dict[str, Path], tmp_path: Path
) -> None:
    app = make_app(model_zoo["bert-labels"], mode="predict")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await tab(pilot, "Batch")
        page = screen(app).page
        assert isinstance(page, BatchPage)
        many = [{"text": f"good {number}"} for number in range(3000)]
        put(app, "batch-source", str(rows(tmp_path, "many.jsonl", *many)))
        put(app, "batch-most", "3000")
        put(app, "batch-size", "1")
        page.run()
        await settled(pilot, lambda: page.busy, "the batch")
        page.run()
        assert "A batch is under way." in page.notice.message
        await settled(pilot, lambda: page._stop is not None or not page.busy, "the rows")
        assert screen(app).stop_work()
        await settled(pilot, lambda: not page.busy, "the end")
        assert 0 <= len(table(app, "batch-rows")) <= 3000


async def test_a_result_goes_when_its_model_or_text_will_not_do(
    make_app: MakeApp, model_zoo: dict[str, Path], tmp_path: Path
) -> None:
    app = make_app(model_zoo["bert-labels"], mode="predict", text="good")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        page = screen(app).page
        assert isinstance(page, ResultPage)
        grid = app.screen.query_one("#result-grid", DataGrid)
        grid.post_message(DataGrid.RowHighlighted(grid, 0))  # of an empty table
        await pilot.pause()
        assert page.exported() is None
        assert page.code() == ""
        assert not words(app, "result-words")
        await pilot.press("f5")
        await settled(pilot, lambda: len(table(app, "result-grid")) == 3)
        assert words(app, "result-words")
        exported = page.exported()
        assert exported is not None
        assert exported[1] is grid.source
        # its second table, where the focus is
        app.screen.query_one("#task-label", Choice).focus()
        await pilot.press("right")
        app.screen.query_one("#task-gradients", Choice).focus()
        await pilot.press("right")
        second = app.screen.query_one("#result-second", DataGrid)
        await settled(pilot, lambda: second.display and len(second.source) > 0)
        second.focus()
        await settled(pilot, lambda: second.has_focus)
        exported = page.exported()
        assert exported is not None
        assert exported[1] is second.source
        # a text that won't do, and a model that is not there
        spec = screen(app).spec
        for change in ("text", "model"):
            if change == "text":
                screen(app).text = " "
            else:
                screen(app).spec = ModelSpec(ref=str(tmp_path / "no-model"), auto=spec.auto)
            await pilot.press("f5")
            await settled(pilot, lambda: bool(notice(app)) and not page.busy)
            assert not table(app, "result-grid"), change
            assert not words(app, "result-words"), change
            assert page.code() == "", change
            screen(app).text, screen(app).spec = "good", spec
            await pilot.press("f5")
            await settled(pilot, lambda: len(table(app, "result-grid")) == 3)


async def test_a_task_is_taken_with_what_was_typed_for_it(
    make_app: MakeApp, model_zoo: dict[str, Path]
) -> None:
    app = make_app(model_zoo["bert-labels"], mode="predict")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        fields = app.screen.query_one(TaskFields)
        bench = screen(app)
        # the choice itself, as alt+t
        fields.query_one("#task", Choice).focus()
        await pilot.press("right")
        await settled(pilot, lambda: bench.spec.auto == AUTO_OF[fields.chosen])
        assert fields.chosen != "text-classification"
        # options that were typed stay; a sample is replaced
        put(app, "task-labels", "")
        fields.fill_options("one, two")
        assert fields.query_one("#task-labels", Input).value == "one, two"
        fields.fill_options("three")
        assert fields.query_one("#task-labels", Input).value == "three"
        put(app, "task-labels", "my own")
        fields.fill_options("four")
        assert fields.query_one("#task-labels", Input).value == "my own"
        # a label that the next model does not have is none
        fields.show_labels(("a", "b", "c"))
        fields.query_one("#task-label", Choice).value = "2"
        fields.show_labels(("a", "b", "c"))
        assert fields.query_one("#task-label", Choice).value == "2"
        fields.show_labels(("a",))
        assert fields.query_one("#task-label", Choice).value not in ("2", "a")
        # what another screen opens here comes with its task
        bench.open_for(str(model_zoo["bert-qa"]), "question-answering")
        await settled(pilot, lambda: fields.chosen == "question-answering")
        assert bench.spec.auto == "AutoModelForQuestionAnswering"
        bench.open_for(str(model_zoo["bert-qa"]), "question-answering")
        assert fields.chosen == "question-answering"
        for task, chosen in (
            ("question-answering", "question-answering"), ("no-such-task", "question-answering"),
            ("fill-mask", "fill-mask"),
        ):  # fmt: skip
            await bench.restore(Place(ref=str(model_zoo["bert-mlm"]), task=task))
            assert fields.chosen == chosen


@pytest.mark.parametrize("head", ["AutoModelForSequenceClassification", "AutoModelForMaskedLM"])
async def test_a_model_of_another_screen_is_taken_with_its_task(
    make_app: MakeApp, model_zoo: dict[str, Path], head: str
) -> None:
    app = make_app(mode="predict", text="good")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("f5")
        await settled(pilot, lambda: len(table(app, "result-grid")) > 0)
        info = screen(app).loaded
        assert info is not None
        spec = ModelSpec(ref=str(model_zoo["bert-mlm"]), auto=head)
        screen(app).adopt(msgspec.structs.replace(info, spec=spec))
        assert screen(app).spec == spec
        assert AUTO_OF[app.screen.query_one(TaskFields).chosen] == head
        assert not table(app, "result-grid")
        other = ModelSpec(ref="x", auto="AutoModelForImageClassification")
        screen(app).adopt(msgspec.structs.replace(info, spec=other))
        assert screen(app).spec == spec  # no task has a use for that class
        assert "x" not in shown(app).splitlines()[0].split()
