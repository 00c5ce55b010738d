"""Attention by ways that lead nowhere: no model, no name, no pixels, another tab or screen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from textual.widgets import Input

from attention_pilot import laid, said, screen, sight
from hfterm.app import HftermApp
from hfterm.screens.attention.figure import FigureModal
from hfterm.screens.attention.pixels import PixelsModal
from hfterm.screens.attention.screen import AttentionScreen
from hfterm.screens.messages import ModelLoaded
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.fields import Choice
from hfterm.widgets.head_grid import HeadGrid
from hfterm.widgets.heatmap import Heatmap
from hfterm.widgets.token_strip import TokenStrip
from pilot_app import at_a_map, notice, settled, shown, tab, table
from screen_fixtures import MakeApp

SIZE = (120, 40)
TEXT = "the cat sat on the mat"


async def test_no_model_is_chosen(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_app(mode="attention")  # the engine starts with the kit
    monkeypatch.setenv("HFTERM_STARTER", str(tmp_path))
    app = make_app(mode="attention", text=TEXT)
    async with app.run_test(size=SIZE) as pilot:
        await laid(pilot)
        await pilot.press("f5")
        await settled(pilot, lambda: "No model is chosen." in notice(app))
        assert "F6 chooses one." in shown(app)
        long = screen(app).query_one("#attention-long", Choice)
        screen(app).action_more()
        await pilot.pause()
        long.focus()
        await pilot.press("right")
        await pilot.pause()
        assert long.value == "truncate"
        assert screen(app).sight is None  # a field alone loads no model


async def test_real_pixels_where_the_terminal_has_none_and_where_the_map_is_gone(
    make_app: MakeApp, model_zoo: dict[str, Path], tmp_path: Path
) -> None:
    app = make_app(model_zoo["bert"], TEXT, mode="attention")
    async with app.run_test(size=SIZE) as pilot:
        await laid(pilot)
        screen(app)._pixels = "auto"
        screen(app).action_pixels()
        await pilot.pause()
        assert app.screen is app.workbench  # there is no map yet
        await at_a_map(pilot)
        screen(app).action_pixels()
        await settled(pilot, lambda: "neither kitty's graphics nor sixel" in notice(app))
        assert "Ctrl+E" in shown(app)
        await pilot.press("escape")
        await settled(pilot, lambda: app.screen is app.workbench)
        spec = msgspec.structs.replace(sight(app).looked.spec, ref=str(tmp_path / "gone"))
        gone = replace(sight(app), looked=msgspec.structs.replace(sight(app).looked, spec=spec))
        app.push_screen(PixelsModal(app.model_engine, gone, "sixel"))
        await settled(pilot, lambda: str(tmp_path / "gone") in notice(app).replace("\n", ""))
        await pilot.press("escape")
        await settled(pilot, lambda: app.screen is app.workbench)
        assert screen(app).query_one("#heads-map", Heatmap).weight > 0


async def test_a_figure_without_a_name_is_not_written(
    make_app: MakeApp, model_zoo: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = make_app(model_zoo["bert"], TEXT, mode="attention")
    async with app.run_test(size=SIZE) as pilot:
        await at_a_map(pilot)
        await pilot.press("ctrl+e")
        await settled(pilot, lambda: isinstance(app.screen, FigureModal))
        name = app.screen.query_one(Input)
        name.value = "  "
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, FigureModal)
        assert [*tmp_path.iterdir()] == []
        name.value = "x" * 300 + ".csv"
        await pilot.press("enter")
        await settled(pilot, lambda: "File name too long" in notice(app))
        name.value = "weights.csv"
        await pilot.press("enter")
        await settled(pilot, lambda: app.screen is app.workbench)
        assert [file.name for file in tmp_path.iterdir()] == ["weights.csv"]


async def test_a_token_without_a_place_in_the_text_leaves_its_selection(
    make_app: MakeApp, model_zoo: dict[str, Path]
) -> None:
    app = make_app(model_zoo["bert"], TEXT, mode="attention")
    async with app.run_test(size=SIZE) as pilot:
        await at_a_map(pilot)
        strip = screen(app).query_one(TokenStrip)
        strip.focus()
        await pilot.press("right")
        await settled(pilot, lambda: screen(app).panel.editor.selected_text == "the")
        await pilot.press("left")
        await settled(pilot, lambda: sight(app).query == 0)
        await pilot.pause()
        assert sight(app).rows[0].special
        assert screen(app).panel.editor.selected_text == "the"


async def test_the_layout_is_that_of_the_heads_alone(
    make_app: MakeApp, model_zoo: dict[str, Path]
) -> None:
    app = make_app(model_zoo["bert"], TEXT, mode="attention")
    async with app.run_test(size=SIZE) as pilot:
        await at_a_map(pilot)
        await tab(pilot, "Ranking")
        await settled(pilot, lambda: len(table(app, "ranking-grid")) > 0)
        await pilot.press("escape")
        before = shown(app)
        await pilot.press("w")
        await pilot.pause()
        assert "Ranking" in before
        await tab(pilot, "Heads")
        assert screen(app).query_one("#heads-left").display
        assert screen(app).query_one("#heads-right").display
        screen(app).query_one(HeadGrid).focus()
        await pilot.press("w")
        await settled(pilot, lambda: not screen(app).query_one("#heads-left").display)


async def test_what_predict_has_loaded_is_what_attention_begins_with(
    make_app: MakeApp, model_zoo: dict[str, Path]
) -> None:
    app = make_app(model_zoo["bert-labels"], TEXT, mode="predict")
    loaded: list[str] = []

    def hook(message: object) -> None:
        if isinstance(message, ModelLoaded):
            loaded.append(message.info.cls)

    async with app.run_test(size=SIZE, message_hook=hook) as pilot:
        await settled(pilot, lambda: app.workbench is not None)
        await settled(pilot, lambda: app.screen.query("#text"), "the screen")
        await pilot.press("f5")
        await settled(pilot, lambda: app.loaded is not None, "the model")
        spec = app.loaded.spec if app.loaded is not None else None
        await pilot.press("alt+4")
        await settled(pilot, lambda: isinstance(app.workbench, AttentionScreen))
        await at_a_map(pilot)
        assert screen(app).spec == spec
        assert set(loaded) == {"BertForSequenceClassification"}


async def test_the_lens_follows_the_token_and_is_read_again_for_another_part(
    make_app: MakeApp, model_zoo: dict[str, Path]
) -> None:
    app = make_app(model_zoo["llama"], "the cat sat on the mat and " * 8, mode="attention")
    async with app.run_test(size=SIZE) as pilot:
        await at_a_map(pilot)
        await tab(pilot, "Lens")
        grid = screen(app).query_one("#lens-grid", DataGrid)
        await settled(pilot, lambda: len(grid.source) == 3, "the layers")
        assert "KL 0.000" in said(app, "lens-said")
        strip = screen(app).query_one(TokenStrip)
        strip.focus()
        before = said(app, "lens-said")
        await pilot.press("right")
        await settled(pilot, lambda: "” 1, layer 2" in said(app, "lens-said"))
        assert said(app, "lens-said") != before
        assert "[0:32]" in page_code(app)
        await pilot.press("e")  # a metric of the heads: the lens stays
        await pilot.pause()
        assert "” 1, layer 2" in said(app, "lens-said")
        await pilot.press("end")
        last = len(sight(app).rows) - 1
        assert last >= 32
        await settled(pilot, lambda: f"” {last}, layer 2" in said(app, "lens-said"))
        assert "[0:32]" not in page_code(app)
        grid.focus()
        await pilot.press("home")
        await settled(pilot, lambda: "the embeddings" in said(app, "lens-said"))
        screen(app).open_model(str(model_zoo["bert"]))
        await settled(pilot, lambda: "no head over the vocabulary" in notice(app))
        assert said(app, "lens-said") == ""
        assert page_code(app) == ""
        assert "no head over the vocabulary" in grid.empty


def page_code(app: HftermApp) -> str:
    page = screen(app).page
    assert page is not None
    return page.code()
