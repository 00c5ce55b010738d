"""The Predict screen, by keyboard, on real models and a real engine."""

from __future__ import annotations

import json
import os
import resource
import signal
from pathlib import Path

import pyarrow.parquet
import pytest
from textual import events
from textual.widgets import Input, Static

from hfterm.app import HftermApp
from hfterm.inference.options import TASKS
from hfterm.screens.load_modal import LoadModal
from hfterm.screens.predict.screen import PredictScreen
from hfterm.screens.predict.task_options import TaskFields
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.exporting import ExportModal
from hfterm.widgets.fields import Choice
from hfterm.widgets.modals import CodeModal, ModelPicker
from hfterm.widgets.text_panel import TextPanel
from pilot_app import notice, settled, shown, tab, table
from screen_fixtures import MakeApp

SIZE = (120, 40)


def screen(app: HftermApp) -> PredictScreen:
    bench = app.workbench
    assert isinstance(bench, PredictScreen)
    return bench


def words(app: HftermApp, name: str) -> str:
    return str(app.screen.query_one(f"#{name}", Static).content)


async def ready(pilot: object) -> None:
    app = pilot.app
    await settled(pilot, lambda: screen(app).page is not None, "the tabs")


async def run(pilot: object) -> None:
    """F5, and wait for what the model says."""
    app = pilot.app
    await ready(pilot)
    await pilot.press("f5")
    await settled(pilot, lambda: len(table(app, "result-grid")) > 0, "a result")


async def choose(pilot: object, task: str) -> None:
    """alt+t until a task is chosen."""
    app = pilot.app
    await ready(pilot)
    for _ in TASKS:
        if app.screen.query_one(TaskFields).chosen == task:
            return
        await pilot.press("alt+t")
    pytest.fail(f"alt+t never comes to {task}")


async def test_logits_probabilities_loss_and_gradients(make_app: MakeApp) -> None:
    app = make_app(mode="predict")
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        rows = table(app, "result-grid")
        assert {row["label"] for row in rows} == {"LABEL_0", "LABEL_1"}
        assert abs(sum(row["probability"] for row in rows) - 1) < 1e-6
        assert "head is new" in words(app, "result-warning")
        assert "● float32 90.9 MB cpu BertForSequenceClassification" in shown(app)
        app.screen.query_one("#task-gradients", Choice).focus()
        await pilot.press("right")
        app.screen.query_one("#task-label", Choice).focus()
        await pilot.press("right", "right")
        assert app.screen.query_one("#task-label", Choice).value == "1"
        await settled(pilot, lambda: "loss for label 1" in words(app, "result-words"))
        said = words(app, "result-words")
        by_labels, by_hand = (
            float(part) for part in (
                said.split("label 1: ")[1].split()[0],
                said.split("by labels=, ")[1].split()[0],
            )
        )  # fmt: skip
        assert by_labels == by_hand
        second = table(app, "result-second")
        assert {row["gradient of"] for row in second} >= {"bert.encoder.layer.0", "classifier"}
        assert all(row["norm"] > 0 for row in second)


async def test_the_result_follows_the_typing(make_app: MakeApp) -> None:
    app = make_app(mode="predict", text="good")
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        before = table(app, "result-grid")
        app.screen.query_one("#text").focus()
        await pilot.press("ctrl+end", *" but bad")
        await settled(pilot, lambda: table(app, "result-grid") != before, "another result")
        assert screen(app).text == "good but bad"


MINILM_TASKS = [task for task in TASKS if task not in ("text-generation", "seq2seq")]


async def test_every_task_of_an_encoder(make_app: MakeApp) -> None:
    app = make_app(mode="predict")
    async with app.run_test(size=SIZE) as pilot:
        for task in MINILM_TASKS:
            await choose(pilot, task)
            await run(pilot)
            assert not notice(app), (task, notice(app))
            await pilot.press("f2")
            await settled(pilot, lambda: isinstance(app.screen, CodeModal))
            assert "from transformers import" in app.screen.code
            compile(app.screen.code, task, "exec")
            await pilot.press("escape")
            await settled(pilot, lambda: not isinstance(app.screen, CodeModal))


async def test_text_generation_and_seq2seq(make_app: MakeApp, model_zoo: dict[str, Path]) -> None:
    app = make_app("smollm2", mode="predict")
    async with app.run_test(size=SIZE) as pilot:
        await choose(pilot, "text-generation")
        app.screen.query_one("#task-new", Input).value = "6"
        await run(pilot)
        assert len(table(app, "result-grid")) == 6
        assert table(app, "result-grid")[0]["token"] == "ĠParis"
        assert "tokens/s" in words(app, "result-words")
        await choose(pilot, "seq2seq")
        await pilot.press("f5")
        await settled(pilot, lambda: "no class for llama" in notice(app))
        await pilot.press("f6")
        await settled(pilot, lambda: isinstance(app.screen, ModelPicker))
        app.screen.query_one("#picker-name", Input).value = str(model_zoo["t5"])
        await pilot.press("enter")
        await settled(pilot, lambda: len(table(app, "result-grid")) > 0, "the decoder's steps")
        assert "the same tokens as generate()" in words(app, "result-words")
        assert "encoder token" in table(app, "result-second")[0]


async def test_answers_are_marked_in_their_context(make_app: MakeApp) -> None:
    app = make_app(mode="predict")
    async with app.run_test(size=SIZE) as pilot:
        await choose(pilot, "question-answering")
        await run(pilot)
        rows = table(app, "result-grid")
        assert any(row["span"] is None for row in rows), "the no-answer row"
        best = next(row for row in rows if row["span"])
        start, end = map(int, best["span"].split(":"))
        assert screen(app).text[start:end] == best["answer"]
        assert "“No answer” scores" in words(app, "result-words")


async def test_a_long_text_is_said_and_can_be_cut_or_read_in_windows(make_app: MakeApp) -> None:
    app = make_app(mode="predict", text="good " * 600)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("f5")
        await settled(pilot, lambda: "602 tokens" in notice(app), "the limit")
        assert "512" in notice(app)
        app.screen.query_one("#task-long", Choice).focus()
        await pilot.press("right")
        await settled(pilot, lambda: "the last 90 cut off" in words(app, "result-words"))
        await pilot.press("right")
        await settled(pilot, lambda: "2 windows" in words(app, "result-words"))
        assert not notice(app)


async def test_two_hundred_labels_and_hostile_ones(
    make_app: MakeApp, model_zoo: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "hostile"
    folder.mkdir()
    for file in model_zoo["bert-200"].iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    names = {str(i): f"[red]label {i}[/]\x1b]0;pwned\x07" for i in range(200)}
    config["id2label"] = names
    config["label2id"] = {name: int(i) for i, name in names.items()}
    (folder / "config.json").write_text(json.dumps(config))
    app = make_app(folder, mode="predict")
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        rows = table(app, "result-grid")
        assert len(rows) == 200
        assert [r["probability"] for r in rows] == sorted(
            (r["probability"] for r in rows), reverse=True
        )
        assert "[red]label" in shown(app)
        assert "\x1b" not in shown(app)
        assert "␛" in shown(app)


async def test_logits_that_are_no_numbers(
    make_app: MakeApp, model_zoo: dict[str, Path], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "nan"
    folder.mkdir()
    for file in model_zoo["bert-labels"].iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"][0] = float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    app = make_app(folder, mode="predict", text="a fox")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("f5")
        await settled(pilot, lambda: "NaN" in notice(app), "the message")
        assert "classifier.bias" in notice(app)
        assert screen(app).text == "a fox"
        screen(app).open_model(str(model_zoo["bert-labels"]))
        await settled(pilot, lambda: len(table(app, "result-grid")) == 3, "another model's labels")
        assert not notice(app)


async def test_a_batch_with_figures_and_its_export(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(mode="predict")
    async with app.run_test(size=SIZE) as pilot:
        await tab(pilot, "Batch")
        app.screen.query_one("#batch-most", Input).value = "40"
        await pilot.press("f5")
        await settled(pilot, lambda: len(table(app, "batch-rows")) == 40, "the rows")
        assert "accuracy" in words(app, "batch-sum")
        assert "macro F1" in words(app, "batch-sum")
        confusion = table(app, "batch-confusion")
        assert sum(row["LABEL_0"] + row["LABEL_1"] for row in confusion) == 40
        await pilot.press("ctrl+e")
        await settled(pilot, lambda: isinstance(app.screen, ExportModal))
        target = tmp_path / "rows.parquet"
        app.screen.query_one(Input).value = str(target)
        await pilot.press("enter")
        await settled(pilot, target.exists, "the file")
        await settled(pilot, lambda: not isinstance(app.screen, ExportModal))
        rows = pyarrow.parquet.read_table(target).to_pylist()
        assert [row["score"] for row in rows] == [r["score"] for r in table(app, "batch-rows")]


async def test_a_batch_is_stopped_within_a_batch(make_app: MakeApp) -> None:
    app = make_app(mode="predict")
    async with app.run_test(size=SIZE) as pilot:
        await tab(pilot, "Batch")
        app.screen.query_one("#batch-most", Input).value = ""
        app.screen.query_one("#batch-size", Input).value = "4"
        await pilot.press("f5")
        await settled(pilot, lambda: "rows/s" in shown(app), "progress")
        await pilot.press("escape")
        await settled(pilot, lambda: "Stopped after" in words(app, "batch-sum"), "what there is")
        assert 0 < len(table(app, "batch-rows")) < 10_605
        assert "accuracy" in words(app, "batch-sum")
        app.screen.query_one("#batch-most", Input).value = "8"
        await pilot.press("f5")
        await settled(pilot, lambda: len(table(app, "batch-rows")) == 8, "a new batch")


async def test_a_generation_that_is_stopped_keeps_its_text(make_app: MakeApp) -> None:
    app = make_app("smollm2", mode="predict", text="Once upon a time")
    async with app.run_test(size=SIZE) as pilot:
        await choose(pilot, "text-generation")
        app.screen.query_one("#task-new", Input).value = "2000"
        await pilot.press("f5")
        await settled(pilot, lambda: "generating" in shown(app) and "%" in shown(app), "progress")
        await pilot.press("escape")
        await settled(pilot, lambda: "ended by you" in words(app, "result-words"), "the text")
        assert 0 < len(table(app, "result-grid")) < 2000


async def test_options_changed_beside_the_batch_make_the_result_outdated(
    make_app: MakeApp,
) -> None:
    app = make_app(mode="predict", text="good " * 600)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        app.screen.query_one("#task-long", Choice).value = "truncate"
        await run(pilot)
        assert "the last 90 cut off" in words(app, "result-words")
        await tab(pilot, "Batch")
        app.screen.query_one("#task-long", Choice).focus()
        await pilot.press("right")
        assert app.screen.query_one("#task-long", Choice).value == "window"
        await tab(pilot, "Result")
        await settled(pilot, lambda: "2 windows" in words(app, "result-words"), "a new result")
        await tab(pilot, "Batch")
        await tab(pilot, "Result")
        assert "2 windows" in words(app, "result-words"), "nothing changed"
        await tab(pilot, "Batch")
        app.screen.query_one("#task-long", Choice).focus()
        await pilot.press("right")
        await screen(app).action_unload()
        await settled(pilot, lambda: screen(app).loaded is None)
        await tab(pilot, "Result")
        await settled(pilot, lambda: not table(app, "result-grid"), "no result")
        assert not words(app, "result-words")
        assert not screen(app).code()


async def test_wrong_fields_are_said_where_they_are(make_app: MakeApp) -> None:
    app = make_app(mode="predict")
    async with app.run_test(size=SIZE) as pilot:
        await tab(pilot, "Batch")
        for name, value, said in (
            ("size", "none", "not a whole number"),
            ("size", "8", ""),
            ("source", "./nowhere.csv", "no file"),
            ("source", "reviews", ""),
            ("column", "texte", "no column"),
        ):
            app.screen.query_one(f"#batch-{name}", Input).value = value
            if said:
                await pilot.press("f5")
                await settled(pilot, lambda said=said: said in notice(app), said)
        await choose(pilot, "fill-mask")
        await tab(pilot, "Result")
        app.screen.query_one("#task-top", Input).value = "many"
        await pilot.press("f5")
        await settled(pilot, lambda: "“best” is 'many'" in notice(app))


async def test_load_options_quantize_and_start_at_random(make_app: MakeApp) -> None:
    app = make_app(mode="predict")
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        await pilot.press("f7")
        await settled(pilot, lambda: isinstance(app.screen, LoadModal))
        app.screen.query_one("#load-quantization", Choice).focus()
        await pilot.press("left", "left")  # nf4
        app.screen.query_one("#load-labels", Input).focus()
        await pilot.press("3", "enter")
        await settled(pilot, lambda: not isinstance(app.screen, LoadModal))
        await settled(pilot, lambda: len(table(app, "result-grid")) == 3, "three labels")
        assert "● nf4 29.3 MB cpu BertForSequenceClassification" in shown(app)


async def test_alt_l_loads_from_within_a_field(make_app: MakeApp) -> None:
    app = make_app(mode="predict")
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        await pilot.press("f7")
        await settled(pilot, lambda: isinstance(app.screen, LoadModal))
        field = app.screen.query_one("#load-labels", Input)
        field.focus()
        await pilot.press("3")
        app.post_message(events.Key("alt+l", "l"))  # a terminal sends the letter along
        await settled(pilot, lambda: not isinstance(app.screen, LoadModal))
        assert field.value == "3"
        assert screen(app).spec.num_labels == 3


async def test_what_models_loads_predict_uses(make_app: MakeApp) -> None:
    app = make_app(mode="models")
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: len(table(app, "classes-grid")) > 0)
        app.screen.query_one("#classes-grid", DataGrid).focus()
        await pilot.press("home", *["down"] * 3, "enter", "f7")  # token classification
        await settled(pilot, lambda: app.screen.query_one("#load-start").region.width > 0)
        app.screen.query_one("#load-start").focus()
        await pilot.press("enter")
        await settled(pilot, lambda: app.loaded is not None, "the model")
        await pilot.press("alt+3")
        await settled(pilot, lambda: app.current_mode == "predict")
        await ready(pilot)
        await settled(
            pilot,
            lambda: app.screen.query_one(TaskFields).chosen == "token-classification",
            "the task of what is loaded",
        )
        assert screen(app).spec == app.loaded.spec


async def test_the_models_process_dies_and_nothing_else_is_lost(make_app: MakeApp) -> None:
    app = make_app(mode="predict", text="a good film", own_engine=True)
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        pid, other = app.model_engine.status.pid, app.engine.status.pid
        assert pid is not None and other is not None and pid != other
        os.kill(pid, signal.SIGKILL)
        await settled(pilot, lambda: "process ended (SIGKILL" in notice(app), "the notice")
        assert "●" not in shown(app).splitlines()[-2]
        assert app.screen.query_one(TextPanel).editor.text == "a good film"
        await pilot.press("f5")
        await settled(pilot, lambda: app.model_engine.status.pid not in (None, pid))
        await settled(pilot, lambda: not notice(app) and app.loaded is not None, "it works again")
        assert app.engine.status.pid == other


async def test_out_of_memory_is_said_and_survived(make_app: MakeApp) -> None:
    """The engine process gets a limit of memory, as a container would give it."""
    app = make_app(mode="predict", text="a good film", own_engine=True)
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        pid = app.model_engine.status.pid
        assert pid is not None
        size = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
        resource.prlimit(pid, resource.RLIMIT_AS, (size + 150_000_000, size + 150_000_000))
        await tab(pilot, "Batch")
        app.screen.query_one("#batch-most", Input).value = "2000"
        app.screen.query_one("#batch-size", Input).value = "2000"
        await pilot.press("f5")
        await settled(pilot, lambda: "Memory ran out" in notice(app), "the message")
        assert "smaller batch" in notice(app)
        assert screen(app).text == "a good film"
        app.screen.query_one("#batch-most", Input).value = "4"
        app.screen.query_one("#batch-size", Input).value = "2"
        await pilot.press("f5")
        await settled(pilot, lambda: len(table(app, "batch-rows")) == 4, "a smaller batch")
        assert app.model_engine.status.pid == pid


async def test_a_starter_data_set_is_brought_when_it_is_asked_for(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, starter_kit: Path
) -> None:
    """Nobody answers at the registry; then the data set is there, and the same key goes on."""
    kit = tmp_path / "starter"
    kit.mkdir()
    (kit / "minilm").symlink_to(starter_kit / "minilm")
    monkeypatch.setenv("HFTERM_STARTER", str(kit))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_RETRIES", "0")
    app = make_app(mode="predict", text="a good film", own_engine=True)
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        await tab(pilot, "Batch")
        app.screen.query_one("#batch-most", Input).value = "4"
        await pilot.press("f5")
        await settled(pilot, lambda: "can't be reached" in notice(app), "the registry is asked")
        for part in starter_kit.glob("reviews*"):
            (kit / part.name).symlink_to(part)
        await pilot.press("f5")
        await settled(pilot, lambda: len(table(app, "batch-rows")) == 4, "the rows")
        app.screen.query_one("#batch-source", Input).value = "reviewz"
        await pilot.press("f5")
        await settled(pilot, lambda: "There is no file 'reviewz'" in notice(app), "the wrong name")
        assert len(table(app, "batch-rows")) == 4
        await app.action_quit()
