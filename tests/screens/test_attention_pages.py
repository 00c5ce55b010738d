"""Attention's pages where there is nothing yet, nothing any more, or nothing of that kind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from textual.pilot import Pilot
from textual.widgets import Input

from attention_pilot import desk, idle, said, screen, sight
from hfterm.app import HftermApp
from hfterm.attention.types import Which
from hfterm.screens.attention.pages import TITLES
from hfterm.screens.attention.sight import AttentionPage, HeadPicked, LinkPicked, PlacePicked
from hfterm.widgets.exporting import ExportModal
from hfterm.widgets.fields import Choice
from hfterm.widgets.head_grid import HeadGrid
from hfterm.widgets.heatmap import Heatmap
from hfterm.widgets.link_lines import LinkLines
from hfterm.widgets.scatter import Scatter
from model_zoo import config_of
from pilot_app import at_a_map, notice, settled, shown, tab, toasts
from screen_fixtures import MakeApp

SIZE = (120, 40)
TEXT = "the cat sat on the mat"


def page(app: HftermApp) -> AttentionPage:
    found = desk(app).page
    assert found is not None
    return found


async def pick(pilot: Pilot[None], name: str, value: str) -> None:
    """Step a choice to a value by its key."""
    choice = pilot.app.screen.query_one(f"#{name}", Choice)
    choice.focus()
    for _ in choice.values:
        if choice.value == value:
            break
        await pilot.press("right")
    assert choice.value == value
    await pilot.pause()


def dressed(model: transformers.PreTrainedModel, tokenizer: Path, folder: Path) -> Path:
    """A model with a tokenizer, in a folder of its own."""
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, folder / name)
    return folder


async def test_before_a_pass_each_page_is_empty_and_takes_no_hurt(make_app: MakeApp) -> None:
    app = make_app(mode="attention", text=TEXT)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: desk(app).page is not None, "the tabs")
        for title in TITLES:
            await tab(pilot, title)
            assert page(app).exported() is None
            assert page(app).code() == ""
            screen(app).action_export_table()
            await settled(pilot, lambda: "There is no table here to export." in toasts(app))
            app.clear_notifications()
            for choice in page(app).query(Choice):
                choice.focus()
                await pilot.press("right")
            for field in page(app).query(Input):
                field.focus()
                await pilot.press(*"x", "enter")
            for message in (HeadPicked(0, 0), PlacePicked(0, 0), LinkPicked(0, 0, 0, 0)):
                page(app).post_message(message)
            await pilot.press("e")
            await pilot.pause()
            assert screen(app).sight is None
            assert not page(app).busy
        await pilot.press("escape", "p")
        await settled(pilot, lambda: any("pixels" in toast for toast in toasts(app)))
        assert notice(app) == ""


async def test_what_was_picked_in_an_older_picture_is_not_gone_to(
    make_app: MakeApp, model_zoo: dict[str, Path]
) -> None:
    app = make_app(model_zoo["bert"], TEXT, mode="attention")
    async with app.run_test(size=SIZE) as pilot:
        await at_a_map(pilot)
        await idle(pilot)
        page(app).post_message(PlacePicked(1, 2))
        await settled(pilot, lambda: (sight(app).query, sight(app).key) == (1, 2))
        before = sight(app)
        for message in (
            HeadPicked(9, 0), HeadPicked(0, 9), PlacePicked(999), PlacePicked(0, 999),
            LinkPicked(0, 0, 999, 0), LinkPicked(9, 0, 0, 0),
        ):  # fmt: skip
            page(app).post_message(message)
        page(app).post_message(PlacePicked(3))
        await settled(pilot, lambda: sight(app).query == 3)
        now = sight(app)
        assert (now.layer, now.head, now.key) == (before.layer, before.head, 2)
        assert now.which == before.which


async def test_a_head_leads_out_of_the_mean_of_all(
    make_app: MakeApp, model_zoo: dict[str, Path]
) -> None:
    app = make_app(model_zoo["bert"], TEXT, mode="attention")
    async with app.run_test(size=SIZE) as pilot:
        await at_a_map(pilot)
        await pick(pilot, "attention-map", "mean of all")
        await settled(pilot, lambda: sight(app).which == Which(layer=None, head=None))
        await idle(pilot)
        screen(app).query_one(HeadGrid).focus()
        await pilot.press("down")
        await settled(pilot, lambda: sight(app).which == Which(layer=1, head=0))
        assert screen(app).query_one("#attention-map", Choice).value == "head"
        await settled(pilot, lambda: said(app, "map-said").startswith("layer 1 · head 0"))


async def test_queries_are_hidden_alone_and_said(
    make_app: MakeApp, model_zoo: dict[str, Path]
) -> None:
    app = make_app(model_zoo["bert"], TEXT, mode="attention")
    async with app.run_test(size=SIZE) as pilot:
        await at_a_map(pilot)
        desk(app).fields.more(True)
        await pilot.pause()
        field = screen(app).query_one("#attention-queries", Input)
        field.focus()
        await pilot.press(*"0-2", "enter")
        count = len(sight(app).rows)
        await settled(
            pilot, lambda: f"{count - 3} of {count} queries hidden" in said(app, "map-said")
        )
        assert screen(app).query_one("#heads-map", Heatmap).weight > 0
        await tab(pilot, "Lines")
        await settled(pilot, lambda: "queries hidden" in said(app, "lines-said"))
        field.focus()
        await pilot.press("end", "backspace", "1", "enter")
        await settled(
            pilot, lambda: f"{count - 2} of {count} queries hidden" in said(app, "lines-said")
        )


async def test_a_window_that_is_no_number(make_app: MakeApp, model_zoo: dict[str, Path]) -> None:
    app = make_app(model_zoo["bert"], "word " * 300, mode="attention")
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, lambda: desk(app).page is not None, "the tabs")
        desk(app).fields.more(False)
        await pilot.press("f5")
        await settled(pilot, lambda: "positions for" in notice(app))
        assert desk(app).fields.has_class("-more")  # where what to do about it is
        await pick(pilot, "attention-long", "window")
        await settled(pilot, lambda: "Window 1 of" in notice(app))
        field = screen(app).query_one("#attention-window", Input)
        field.focus()
        await pilot.press("end", "backspace", *"zero", "enter")
        await settled(pilot, lambda: "“window” is 'zero'" in notice(app))
        assert sight(app).looked.options.window == 0  # what was shown stays


async def test_a_model_without_attention_takes_the_sides_of_the_one_before_along(
    make_app: MakeApp, model_zoo: dict[str, Path], tmp_path: Path
) -> None:
    config = transformers.MambaConfig(
        vocab_size=1024, hidden_size=16, state_size=4, num_hidden_layers=2, intermediate_size=32
    )
    mamba = dressed(transformers.MambaForCausalLM(config), model_zoo["bert"], tmp_path / "mamba")
    app = make_app(model_zoo["t5"], TEXT, mode="attention")
    async with app.run_test(size=SIZE) as pilot:
        await at_a_map(pilot)
        side = screen(app).query_one("#attention-side", Choice)
        await pick(pilot, "attention-side", "cross")
        await settled(pilot, lambda: sight(app).side == "cross")
        await idle(pilot)
        screen(app).open_model(str(mamba))
        await settled(pilot, lambda: "has no attention weights" in notice(app))
        assert screen(app).sight is None
        assert not side.display
        assert "has no attention weights" in shown(app)
        assert page(app).exported() is None
        screen(app).open_model(str(model_zoo["t5"]))
        await settled(pilot, lambda: screen(app).sight is not None)
        assert sight(app).side == "encoder"
        assert notice(app) == ""


async def test_a_model_that_needs_its_own_code_asks_and_shows_nothing(
    make_app: MakeApp, model_zoo: dict[str, Path], tmp_path: Path
) -> None:
    odd = tmp_path / "odd"
    shutil.copytree(model_zoo["bert"], odd)
    (odd / "config.json").write_text(
        json.dumps({"model_type": "odd", "auto_map": {"AutoConfig": "odd.C", "AutoModel": "odd.M"}})
    )
    (odd / "odd.py").write_text("raise SystemExit('it was run')\n")
    app = make_app(model_zoo["bert"], TEXT, mode="attention")
    async with app.run_test(size=SIZE) as pilot:
        await at_a_map(pilot)
        screen(app).open_model(str(odd))
        await settled(pilot, lambda: "odd.py" in shown(app), "what it would run")
        await pilot.press("escape")
        await settled(pilot, lambda: app.screen is app.workbench)
        assert screen(app).sight is None
        assert np.isnan(screen(app).query_one("#heads-map", Heatmap).weight)


async def test_weights_that_are_no_numbers_leave_no_older_map(
    make_app: MakeApp, model_zoo: dict[str, Path], tmp_path: Path
) -> None:
    model = transformers.BertModel.from_pretrained(model_zoo["bert"])
    with torch.no_grad():
        model.encoder.layer[1].attention.self.query.weight[:] = float("nan")
    broken = dressed(model, model_zoo["bert"], tmp_path / "broken")
    app = make_app(broken, TEXT, mode="attention")
    async with app.run_test(size=SIZE) as pilot:
        await at_a_map(pilot)
        await tab(pilot, "Lines")
        lines = screen(app).query_one(LinkLines)
        await settled(pilot, lambda: "weight" in lines.copy_text())
        table = page(app).exported()
        assert table is not None
        assert len(table[1]) == len(sight(app).rows)
        page(app).post_message(HeadPicked(1, 0))
        await settled(pilot, lambda: "no numbers (NaN)" in notice(app))
        assert lines.copy_text() == ""
        assert "no numbers (NaN)" in shown(app)
        assert page(app).exported() is None
        await tab(pilot, "Heads")
        heat = screen(app).query_one("#heads-map", Heatmap)
        await settled(pilot, lambda: np.isnan(heat.weight) and "no numbers (NaN)" in notice(app))
        assert said(app, "map-said") == "layer 1 · head 0"
        page(app).post_message(HeadPicked(0, 0))
        await settled(pilot, lambda: not np.isnan(heat.weight) and not notice(app))


async def test_escape_leads_from_the_text_to_the_view_that_is_there(
    make_app: MakeApp, model_zoo: dict[str, Path]
) -> None:
    app = make_app(model_zoo["bert"], TEXT, mode="attention")
    async with app.run_test(size=SIZE) as pilot:
        await at_a_map(pilot)
        await tab(pilot, "Hidden")
        for view, kind in (("plane", Scatter), ("positions", Heatmap)):
            await pick(pilot, "hidden-view", view)
            await idle(pilot)
            screen(app).query_one("#text").focus()
            await pilot.press("escape")
            await settled(pilot, lambda kind=kind: isinstance(app.focused, kind))
        assert "every" not in said(app, "hidden-said")


async def test_a_layer_that_the_next_model_lacks_becomes_the_first(
    make_app: MakeApp, model_zoo: dict[str, Path], tmp_path: Path
) -> None:
    deep = transformers.BertModel(config_of("bert", num_hidden_layers=4))
    app = make_app(dressed(deep, model_zoo["bert"], tmp_path / "deep"), TEXT, mode="attention")
    async with app.run_test(size=SIZE) as pilot:
        await at_a_map(pilot)
        await tab(pilot, "Hidden")
        await pick(pilot, "hidden-view", "positions")
        layer = screen(app).query_one("#hidden-layer", Choice)
        await pick(pilot, "hidden-layer", "4")
        await idle(pilot)
        assert layer.values == tuple("01234")
        screen(app).open_model(str(model_zoo["bert"]))
        await settled(pilot, lambda: layer.values == tuple("012"))
        assert layer.value == "0"
        await idle(pilot)
        heat = screen(app).query_one("#hidden-map", Heatmap)
        await settled(pilot, lambda: heat.weight == pytest.approx(1, abs=1e-4))


async def test_compared_again_only_where_it_must_be(
    make_app: MakeApp, model_zoo: dict[str, Path], tmp_path: Path
) -> None:
    deep = transformers.BertModel(config_of("bert", num_hidden_layers=3))
    other = dressed(deep, model_zoo["bert"], tmp_path / "deep")
    app = make_app(model_zoo["bert"], TEXT, mode="attention")
    async with app.run_test(size=SIZE) as pilot:
        await at_a_map(pilot)
        await screen(app).open_against(str(model_zoo["bert"]), str(model_zoo["bert-labels"]))
        change = screen(app).query_one("#change-map", Heatmap)
        await settled(pilot, lambda: not np.isnan(change.weight), "a difference")
        await idle(pilot)
        assert screen(app).query_one("#other-model", Input).value == str(model_zoo["bert-labels"])
        grid = screen(app).query_one("#change-grid", HeadGrid)
        before = grid.copy_text()
        await pilot.press("escape", "e")
        await settled(pilot, lambda: grid.copy_text() != before)
        assert said(app, "change-said").startswith(sight(app).metric)
        assert not np.isnan(change.weight)
        page(app).post_message(HeadPicked(1, 1))
        await settled(pilot, lambda: "1 · head 1" in said(app, "change-said") or
                      "L1 H1" in said(app, "change-said"))  # fmt: skip
        await idle(pilot)
        assert "CompareAttention" not in page(app).code()
        compile(page(app).code(), "compare", "exec")
        field = screen(app).query_one("#other-model", Input)
        field.focus()
        field.value = str(other)
        await pilot.press("enter")
        await settled(pilot, lambda: "there is no head for each head" in notice(app))
        assert page(app).exported() is None
        assert page(app).code() == ""
        assert np.isnan(change.weight)
        field.value = ""
        await pilot.press("enter")
        await settled(pilot, lambda: notice(app) == "")
        screen(app).action_export_table()
        await settled(pilot, lambda: "There is no table here to export." in toasts(app))
        await tab(pilot, "Ranking")
        await settled(pilot, lambda: page(app).exported() is not None)
        screen(app).action_export_table()
        await settled(pilot, lambda: isinstance(app.screen, ExportModal))
