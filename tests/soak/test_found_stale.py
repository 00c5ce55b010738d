"""What was in sight before is no fault when another thing has taken its place."""

from __future__ import annotations

import asyncio

import pytest
from textual import events
from textual.command import CommandPalette
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Static

from hfterm.app import HftermApp
from hfterm.chat.lab_types import spec_of
from hfterm.chat.types import LlmSpec
from hfterm.errors import HftermError
from hfterm.models.types import ModelSpec
from hfterm.screens.asking_code import CodeNeeded
from hfterm.screens.attention.sight import HeadPicked, LinkPicked, PlacePicked
from hfterm.screens.chat.screen import ChatScreen
from hfterm.screens.models.screen import ModelsScreen
from hfterm.screens.predict.screen import PredictScreen
from hfterm.screens.tokenize.page import TokenSelected
from hfterm.screens.tokenize.screen import TokenizeScreen
from hfterm.screens.train.screen import TrainScreen
from hfterm.widgets.confirm import Confirm
from hfterm.widgets.heatmap import Heatmap
from hfterm.widgets.token_strip import TokenStrip
from pilot_app import at_a_map, ready, settled
from screen_fixtures import MakeApp, make_app
from waiting import until

_ = make_app  # a fixture
SIZE = (120, 40)


async def told(pilot: Pilot[None], node: Static | TokenStrip | Heatmap, message: Message) -> None:
    """A widget says something, and whoever is above it has heard."""
    node.post_message(message)
    await pilot.pause()
    await pilot.pause()


async def test_a_place_of_the_pass_before_is_none(make_app: MakeApp) -> None:
    app = make_app(mode="attention")
    async with app.run_test(size=SIZE) as pilot:
        desk = await at_a_map(pilot)
        heat = app.screen.query_one("#heads-map", Heatmap)
        before = desk.sight
        for message in (PlacePicked(500), PlacePicked(0, 500), LinkPicked(0, 0, 500, 0),
                        LinkPicked(99, 0, 0, 0), HeadPicked(99, 0), HeadPicked(0, 99)):  # fmt: skip
            await told(pilot, heat, message)
            assert desk.sight == before
        await told(pilot, heat, PlacePicked(1, 2))
        assert desk.sight is not None
        assert (desk.sight.query, desk.sight.key) == (1, 2)


async def test_a_token_of_the_encoding_before_is_none(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        screen = app.workbench
        assert isinstance(screen, TokenizeScreen)
        strip = app.screen.query_one(TokenStrip)
        await told(pilot, strip, TokenSelected(500))
        strip.select(500)
        await pilot.pause()
        encoding = screen.subject.encoding
        assert encoding is not None
        assert strip._selected == len(encoding) - 1


@pytest.mark.parametrize(
    ("mode", "key", "kind"),
    [("5", "ctrl+o", TrainScreen), ("6", "f7", ChatScreen), ("3", "f5", PredictScreen)],
)
async def test_keys_wait_until_a_screen_is_filled(
    make_app: MakeApp, mode: str, key: str, kind: type
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        for name in (f"alt+{mode}", key):  # in one packet
            app.post_message(events.Key(name, None))
        await settled(pilot, lambda: isinstance(app.workbench, kind), "the screen")
        await settled(pilot, lambda: not app._held and not app._climbing, "the key to act")


async def test_a_palette_may_be_asked_for_as_the_screen_changes(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        app.action_command_palette()  # which is being made yet
        await app.action_mode("models")
        await settled(pilot, lambda: app.current_mode == "models", "the other screen")
        await app.action_mode("tokenize")
        await settled(pilot, lambda: isinstance(app.screen, CommandPalette), "the palette")


async def test_a_yes_to_a_models_code_is_for_that_model(make_app: MakeApp) -> None:
    app: HftermApp = make_app(mode="predict", model="minilm")
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: app.workbench is not None and app.workbench.settled, "it")
        screen = app.workbench
        assert isinstance(screen, PredictScreen)
        screen.post_message(CodeNeeded(HftermError("code", "nobody/nothing has code.", "")))
        await settled(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        other = screen.spec = ModelSpec(ref="another", auto="AutoModel")
        await pilot.press("alt+y")
        await settled(pilot, lambda: app.screen is screen, "the answer")
        await pilot.pause()
        assert screen.spec == other
        assert not screen.spec.allow_code


def test_the_way_a_model_of_llama_cpp_was_loaded_is_a_way() -> None:
    spec = LlmSpec(ref="model.gguf", engine="llama.cpp")
    assert spec_of(spec, "llama.cpp") == spec


async def test_a_screen_that_is_closed_while_it_is_filled_has_no_fault(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill = ModelsScreen.fill
    filled = asyncio.Event()

    async def fill_while_all_goes(self: ModelsScreen) -> None:
        await fill(self)
        filled.set()
        while not self._pruning:
            await asyncio.sleep(0.01)
        self.query_one(CommandPalette)  # as what is in it may be gone by then

    monkeypatch.setattr(ModelsScreen, "fill", fill_while_all_goes)
    async with make_app(mode="models").run_test(size=SIZE):
        await until(filled.is_set, "the screen to be filled")
