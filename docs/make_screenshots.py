"""Export the pictures of the README from the running application.

    python docs/make_screenshots.py

Needs the starter kit (`hfterm starter`). Nothing is drawn: each picture is what Textual
exports of the real screen, with real tokens from a real engine process.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["TEXTUAL_COLOR_SYSTEM"] = "truecolor"
os.environ["COLORTERM"] = "truecolor"

from textual.css.query import NoMatches
from textual.pilot import Pilot

from hfterm.app import HftermApp
from hfterm.screens.attention.desk import AttentionDesk
from hfterm.screens.start import StartOptions
from hfterm.screens.tokenize.screen import TokenizeScreen
from hfterm.widgets.chart_board import ChartBoard
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.fields import Choice
from hfterm.widgets.heatmap import Heatmap

HERE = Path(__file__).parent
TEXT_SECONDS = 60


async def _tokenize() -> None:
    app = HftermApp()
    async with app.run_test(size=(110, 32)) as pilot:
        deadline = time.monotonic() + TEXT_SECONDS
        screen = app.workbench
        assert isinstance(screen, TokenizeScreen)
        while app.engine.status.phase != "warm" or screen.subject.info is None:
            if time.monotonic() > deadline:
                raise SystemExit("The engine did not become ready; is the starter kit installed?")
            await pilot.pause(0.1)
        await pilot.press("tab", "tab", "tab", *["down"] * 4)
        await pilot.pause(0.5)
        (HERE / "tokenize.svg").write_text(app.export_screenshot(), encoding="utf-8")


async def _models() -> None:
    app = HftermApp(mode="models")
    async with app.run_test(size=(110, 32)) as pilot:
        await _until(pilot, lambda: len(app.screen.query_one("#classes-grid", DataGrid).source) > 0)
        app.screen.query_one("#classes-grid", DataGrid).focus()
        await pilot.press("down", "down")
        await pilot.pause(0.5)
        (HERE / "models.svg").write_text(app.export_screenshot(), encoding="utf-8")


async def _predict() -> None:
    app = HftermApp(mode="predict")
    async with app.run_test(size=(110, 32)) as pilot:
        await _until(pilot, lambda: bool(app.screen.query("#task-label")))
        await pilot.press("f5")
        await _until(pilot, lambda: len(app.screen.query_one("#result-grid", DataGrid).source) > 0)
        app.screen.query_one("#task-gradients", Choice).action_step(1)
        app.screen.query_one("#task-label", Choice).action_step(2)
        await _until(pilot, lambda: app.screen.query_one("#result-second").display)
        await pilot.pause(0.5)
        (HERE / "predict.svg").write_text(app.export_screenshot(), encoding="utf-8")


async def _attention() -> None:
    text = "The capital of France is Paris, and the capital of Spain is"
    app = HftermApp(start=StartOptions(model="smollm2", text=text), mode="attention")
    async with app.run_test(size=(120, 40)) as pilot:
        await _until(pilot, lambda: app.screen.query_one(AttentionDesk).page is not None)
        await pilot.press("f5")
        await _until(pilot, lambda: app.screen.query_one(Heatmap).weight >= 0)
        await pilot.press("escape", *["down"] * 14, *["right"] * 3)
        await pilot.press("enter", "end", "pagedown")
        await pilot.pause(1)
        (HERE / "attention.svg").write_text(app.export_screenshot(), encoding="utf-8")


RECIPE = """\
name = "reviews-lora"
task = "text-classification"
prompts = ["a wonderful film", "long, dull and badly acted"]
[model]
ref = "minilm"
[data]
ref = "reviews"
train = "train[:20%]"
eval = "train[95%:]"
shuffle = true
max_length = 64
[method]
name = "lora"
target_modules = ["query", "value"]
[training]
epochs = 2
batch_size = 32
learning_rate = 2e-3
log_every = 2
eval_every = 20
"""


async def _train() -> None:
    """A real run, and the Monitor once it is over."""
    from hfterm.training import run_control, store
    from hfterm.training.recipe_text import parse_recipe

    with tempfile.TemporaryDirectory() as home:
        os.environ["XDG_DATA_HOME"] = home
        folder = run_control.create(parse_recipe(RECIPE))
        run_control.start(folder)
        while store.read_run(folder).status != "finished":
            if store.read_run(folder).state.error is not None:
                raise SystemExit(f"The run ended: {store.read_run(folder).state.error}")
            await asyncio.sleep(1)
        app = HftermApp(mode="train")
        async with app.run_test(size=(120, 40)) as pilot:
            await _until(pilot, lambda: bool(app.run_watch.runs))
            await pilot.press("f6")
            await _until(
                pilot, lambda: len(app.screen.query_one("#runs-grid", DataGrid).source) > 0
            )
            await pilot.press("enter")
            await _until(pilot, lambda: bool(app.screen.query_one(ChartBoard).charts))
            await pilot.press("z", "b", "b")
            await pilot.pause(3)
            (HERE / "train.svg").write_text(app.export_screenshot(), encoding="utf-8")


async def _chat() -> None:
    """A question and an answer, in a folder of the picture's own."""
    from hfterm.chat.types import Sampling
    from hfterm.screens.chat.screen import ChatScreen
    from hfterm.widgets.composer import Composer

    with tempfile.TemporaryDirectory() as home:
        os.environ["XDG_DATA_HOME"] = home
        app = HftermApp(mode="chat")
        async with app.run_test(size=(120, 40)) as pilot:
            await _until(pilot, lambda: app.screen.query_one(Composer).has_focus)
            screen = app.workbench
            assert isinstance(screen, ChatScreen)
            assert screen.session is not None
            assert screen.talk is not None
            screen.session.sampling = Sampling(temperature=0, max_new_tokens=200)
            await screen.talk.show()
            for number, question in enumerate(("What is the capital of France?", QUESTION), 1):
                screen.talk.composer.put(question)
                await pilot.press("enter")
                await _until(
                    pilot,
                    lambda count=2 * number: (
                        len(screen.session.path()) == count and not screen.talk.busy
                    ),
                )
            await pilot.pause(0.5)
            (HERE / "chat.svg").write_text(app.export_screenshot(), encoding="utf-8")


QUESTION = "Name three rivers of Europe in a list, with the country where each begins."


async def _until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TEXT_SECONDS
    while True:
        await pilot.pause(0.1)
        try:
            if condition():
                return
        except NoMatches:
            pass
        if time.monotonic() > deadline:
            raise SystemExit("The engine did not become ready; is the starter kit installed?")


if __name__ == "__main__":
    asyncio.run(_tokenize())
    asyncio.run(_models())
    asyncio.run(_predict())
    asyncio.run(_attention())
    asyncio.run(_train())
    asyncio.run(_chat())
