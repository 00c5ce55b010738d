"""The Attention screen, by keyboard, on real models and a real engine."""

from __future__ import annotations

import contextlib
import io
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from attention_pilot import desk, idle, laid, said, screen, sight
from hfterm.app import HftermApp
from hfterm.screens.attention.figure import FigureModal
from hfterm.screens.attention.heads import HeadsPage
from hfterm.screens.tokenize.screen import TokenizeScreen
from hfterm.widgets.exporting import ExportModal
from hfterm.widgets.fields import Choice
from hfterm.widgets.head_grid import HeadGrid
from hfterm.widgets.heatmap import Heatmap
from hfterm.widgets.link_lines import LinkLines
from hfterm.widgets.modals import CodeModal
from hfterm.widgets.scatter import Scatter
from hfterm.widgets.token_strip import TokenStrip
from pilot_app import notice, ready, settled, shown, tab, table, toasts
from screen_fixtures import MakeApp

SIZE = (120, 40)
TEXT = "The cat sat on the mat because it was tired."


def heat(app: HftermApp, name: str = "heads-map") -> Heatmap:
    return screen(app).query_one(f"#{name}", Heatmap)


async def run(pilot: Pilot[None]) -> None:
    """F5, and wait for the first map."""
    app = pilot.app
    await laid(pilot)
    await pilot.press("f5")
    await settled(pilot, lambda: not np.isnan(heat(app).weight), "a map")


async def focus(pilot: Pilot[None], name: str) -> None:
    pilot.app.screen.query_one(f"#{name}").focus()
    await pilot.pause()


def direct(ref: str, text: str) -> tuple[np.ndarray, ...]:
    """The model's own eager attentions, float32[heads, query, key] of each layer."""
    import torch
    import transformers

    from hfterm.hub.starter import starter_path

    path = starter_path(ref) or ref
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    model = transformers.AutoModel.from_pretrained(path, attn_implementation="eager")
    with torch.inference_mode():
        output = model(**tokenizer(text, return_tensors="pt"), output_attentions=True)
    return tuple(layer[0].numpy() for layer in output.attentions)


async def test_the_tutorials_exercise_in_a_few_keys(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exercise 7: the weights of a sentence, seen and drawn with matplotlib."""
    monkeypatch.chdir(tmp_path)
    app = make_app(mode="attention", text=TEXT)
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)  # 1: F5
        await pilot.press("escape", "v")  # 3: to the heads, as small maps
        assert app.focused is screen(app).query_one(HeadGrid)
        assert screen(app).query_one(HeadGrid).mode == "maps"
        await pilot.press("ctrl+e")  # 4
        await settled(pilot, lambda: isinstance(app.screen, FigureModal))
        await pilot.press("tab", "right", "enter")  # 7: the grid of all heads
        await settled(pilot, (tmp_path / "attention.png").exists, "the figure")
        await settled(pilot, lambda: not isinstance(app.screen, FigureModal))
        assert (tmp_path / "attention.png").read_bytes().startswith(b"\x89PNG")
        assert any("grid of 6 × 12 heads" in toast for toast in toasts(app))


async def test_the_map_is_the_models_own(make_app: MakeApp) -> None:
    weights = direct("minilm", TEXT)
    app = make_app(mode="attention", text=TEXT)
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        await pilot.press("escape", "down", "down", "right")
        await settled(pilot, lambda: said(app, "map-said").startswith("layer 2 · head 1"))
        await idle(pilot)
        await pilot.press("enter")
        assert app.focused is heat(app)
        await pilot.press("down", "down", "right")
        query, key = heat(app).position
        assert (query, key) == (2, 1)
        assert heat(app).weight == pytest.approx(weights[2][1, 2, 1], abs=1e-6)
        assert f"{weights[2][1, 2, 1]:.4f}" in said(app, "map-said")
        assert sight(app).query == 2
        assert "cat 2 → The 1" in said(app, "map-said")
        await focus(pilot, "attention-strip")
        await pilot.press("right")
        await settled(pilot, lambda: heat(app).position == (3, 1))
        assert screen(app).query_one("#text-panel").editor.selected_text == "sat"


async def test_hidden_tokens_are_said_and_renormalised(make_app: MakeApp) -> None:
    weights = direct("minilm", TEXT)[0][0]
    app = make_app(mode="attention", text=TEXT)
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        await pilot.press("escape", "x")
        await settled(pilot, lambda: "renormalised" in said(app, "map-said"))
        assert "2 of 13 keys hidden" in said(app, "map-said")
        heat(app).go_to(2, 2)
        row = weights[2, 1:-1]
        assert heat(app).weight == pytest.approx(row[1] / row.sum(), abs=1e-5)
        await pilot.press("x")
        await settled(pilot, lambda: "3 of 13 keys hidden" in said(app, "map-said"))
        await pilot.press("x")
        await settled(pilot, lambda: "hidden" not in said(app, "map-said"))
        await focus(pilot, "attention-keys")
        await pilot.press(*"cat,6", "enter")
        await settled(pilot, lambda: "11 of 13 keys hidden" in said(app, "map-said"))
        app.screen.query_one("#attention-keys", Input).value = "xyz"
        await pilot.press("enter")
        await settled(pilot, lambda: "matches no token" in notice(app))
        assert "11 of 13 keys hidden" in said(app, "map-said")


async def test_means_and_rollout(make_app: MakeApp) -> None:
    weights = direct("minilm", TEXT)
    app = make_app(mode="attention", text=TEXT)
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        await pilot.press("escape")
        expected = {
            "layer 0 · mean of heads": weights[0].mean(0),
            "mean of layers · head 0": np.mean([layer[0] for layer in weights], axis=0),
            "mean of layers · mean of heads": np.mean([layer.mean(0) for layer in weights], axis=0),
            "rollout to layer 0": 0.5 * weights[0].mean(0) + 0.5 * np.eye(13),
        }
        for name, values in expected.items():
            await pilot.press("u")
            await settled(pilot, lambda name=name: said(app, "map-said").startswith(name), name)
            await idle(pilot)
            heat(app).go_to(3, 1)
            assert heat(app).weight == pytest.approx(values[3, 1], abs=1e-5)
        await pilot.press("u")
        await settled(pilot, lambda: said(app, "map-said").startswith("layer 0 · head 0"))


async def test_metrics(make_app: MakeApp) -> None:
    weights = direct("minilm", TEXT)
    app = make_app(mode="attention", text=TEXT)
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        await pilot.press("escape", "e")
        await settled(pilot, lambda: said(app, "heads-said").startswith("top: "))
        rows = screen(app).query_one(HeadGrid).copy_text().splitlines()
        assert float(rows[1].split("\t")[1]) == pytest.approx(weights[0][0].max(1).mean(), abs=1e-5)
        await pilot.press("e", "e", "e")
        await settled(pilot, lambda: said(app, "heads-said").startswith("previous: "))


async def test_ranking_leads_to_the_head(make_app: MakeApp) -> None:
    weights = np.stack(direct("minilm", TEXT))
    app = make_app(mode="attention", text=TEXT)
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        await focus(pilot, "attention-strip")
        await pilot.press("right", "right", "right")
        await tab(pilot, "Ranking")
        await settled(pilot, lambda: "sat” 3" in said(app, "ranking-said"))
        first = table(app, "ranking-grid")[0]
        assert first["weight"] == pytest.approx(weights[:, :, 3].max(), abs=1e-6)
        assert weights[first["layer"], first["head"], 3, first["#"]] == pytest.approx(
            first["weight"], abs=1e-6
        )
        await focus(pilot, "ranking-direction")
        await pilot.press("right")
        await settled(pilot, lambda: "who looks" in table(app, "ranking-grid")[0])
        incoming = table(app, "ranking-grid")[0]
        assert incoming["weight"] == pytest.approx(weights[:, :, :, 3].max(), abs=1e-6)
        await focus(pilot, "ranking-grid")
        await pilot.press("enter")
        await settled(pilot, lambda: isinstance(desk(app).page, HeadsPage))
        await settled(
            pilot,
            lambda: (
                heat(app).position == (incoming["#"], 3)
                and heat(app).weight == pytest.approx(incoming["weight"], abs=1e-5)
            ),
        )
        assert screen(app).query_one(HeadGrid).selected == (incoming["layer"], incoming["head"])


async def test_lines(make_app: MakeApp) -> None:
    app = make_app(mode="attention", text=TEXT)
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        await tab(pilot, "Lines")
        await settled(pilot, lambda: "layer 0 · head 0" in said(app, "lines-said"))
        await focus(pilot, "lines")
        await pilot.press("down", "down")
        await settled(pilot, lambda: sight(app).query == 2)
        assert screen(app).query_one(LinkLines).selected == 2
        assert screen(app).query_one(TokenStrip)._selected == 2


async def test_hidden_states(make_app: MakeApp) -> None:
    app = make_app(mode="attention", text=TEXT)
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        await tab(pilot, "Hidden")
        await settled(pilot, lambda: len(table(app, "hidden-norms")) == 13)
        assert "7 × [1, 13, 384]" in said(app, "hidden-said")
        norms = sight(app).summary.norms["self"].numpy()
        assert table(app, "hidden-norms")[4]["L6"] == pytest.approx(norms[6, 4])
        await focus(pilot, "hidden-view")
        await pilot.press("right")
        await settled(pilot, lambda: heat(app, "hidden-map").weight == pytest.approx(1, abs=1e-5))
        await pilot.press("right", "right")
        await settled(pilot, lambda: screen(app).query_one(Scatter).display)
        await idle(pilot)
        assert "PC 1" in shown(app)


async def test_the_lens_of_a_causal_model(make_app: MakeApp) -> None:
    app = make_app("smollm2", "The capital of France is", mode="attention")
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        assert "causal" in shown(app)
        assert "30 × 9 heads on 3 of keys" in shown(app)
        await focus(pilot, "attention-strip")
        await pilot.press("end")
        await tab(pilot, "Lens")
        await settled(pilot, lambda: "Paris" in said(app, "lens-said"), "the last layer")
        assert len(table(app, "lens-grid")) == 31
        assert "KL 0.000" in said(app, "lens-said")
        await focus(pilot, "lens-grid")
        await pilot.press("up")
        await settled(pilot, lambda: "layer 29" in said(app, "lens-said"))


async def test_no_lens_without_a_head(make_app: MakeApp) -> None:
    app = make_app(mode="attention", text=TEXT)
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        await tab(pilot, "Lens")
        await settled(pilot, lambda: "no head over the vocabulary" in notice(app))


async def test_two_texts_compared(make_app: MakeApp) -> None:
    other = TEXT.replace("cat", "dog")
    before, after = direct("minilm", TEXT), direct("minilm", other)
    app = make_app(mode="attention", text=TEXT)
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        await tab(pilot, "Compare")
        await focus(pilot, "other-text")
        app.screen.query_one("#other-text", Input).value = other
        await pilot.press("enter")
        await settled(pilot, lambda: not np.isnan(heat(app, "change-map").weight), "a difference")
        change = heat(app, "change-map")
        change.go_to(2, 2)
        assert change.weight == pytest.approx(after[0][0, 2, 2] - before[0][0, 2, 2], abs=1e-6)
        assert "cat/dog" in shown(app)
        await pilot.press("ctrl+e")
        await settled(pilot, lambda: isinstance(app.screen, ExportModal))


async def test_two_models_compared(make_app: MakeApp, model_zoo: dict[str, Path]) -> None:
    app = make_app(model_zoo["bert"], "one two", mode="attention")
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        await tab(pilot, "Compare")
        await focus(pilot, "other-model")
        app.screen.query_one("#other-model", Input).value = str(model_zoo["bert-labels"])
        await pilot.press("enter")
        await settled(pilot, lambda: not np.isnan(heat(app, "change-map").weight), "a difference")
        app.screen.query_one("#other-model", Input).value = str(model_zoo["llama"])
        await pilot.press("enter")
        await settled(pilot, lambda: "no head for each head" in notice(app) or
                      "no weight for each weight" in shown(app))  # fmt: skip


async def test_cross_attention(make_app: MakeApp, model_zoo: dict[str, Path]) -> None:
    app = make_app(model_zoo["t5"], "one two three", mode="attention")
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        side = app.screen.query_one("#attention-side", Choice)
        assert side.values == ("encoder", "decoder", "cross")
        target = app.screen.query_one("#attention-target", Input)
        target.focus()
        target.value = "four"
        await pilot.press("enter")
        await settled(pilot, lambda: len(sight(app).summary.target) < len(sight(app).rows))
        await idle(pilot)
        side.focus()
        await pilot.press("right", "right")
        await settled(pilot, lambda: sight(app).side == "cross")
        await idle(pilot)
        assert len(sight(app).rows) == len(sight(app).summary.target)
        assert len(sight(app).columns) == len(sight(app).summary.source)
        await tab(pilot, "Hidden")
        await settled(pilot, lambda: len(table(app, "hidden-norms")) == len(sight(app).rows))


async def test_the_map_follows_the_typing(make_app: MakeApp) -> None:
    app = make_app(mode="attention", text="good")
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        await focus(pilot, "text")
        await pilot.press("ctrl+end", *" but bad")
        await settled(pilot, lambda: len(sight(app).rows) == 5, "another pass")


async def test_no_text_no_model_no_attention(make_app: MakeApp, tmp_path: Path) -> None:
    import transformers

    config = transformers.MambaConfig(
        vocab_size=64, hidden_size=16, state_size=4, num_hidden_layers=2, intermediate_size=32
    )
    transformers.MambaForCausalLM(config).save_pretrained(tmp_path)
    app = make_app(mode="attention", text="")
    async with app.run_test(size=SIZE) as pilot:
        await laid(pilot)
        await pilot.press("f5")
        await settled(pilot, lambda: "There is no text" in notice(app))
        assert "There is no text" in shown(app)
        await focus(pilot, "text")
        await pilot.press(*"x y")
        await pilot.press("f5")
        await settled(pilot, lambda: screen(app).sight is not None)
        screen(app).open_model(str(tmp_path))
        await settled(pilot, lambda: "tokenizer" in notice(app), "an error about the tokenizer")
        assert "Traceback" not in shown(app)


async def test_a_text_longer_than_the_model(make_app: MakeApp) -> None:
    app = make_app(mode="attention", text="word " * 1_000)
    async with app.run_test(size=(80, 24)) as pilot:
        await laid(pilot)
        await pilot.press("f5")
        await settled(pilot, lambda: "positions for 512" in notice(app))
        long = app.screen.query_one("#attention-long", Choice)
        await settled(pilot, lambda: long.region.height == 1, "the line of fields")
        long.focus()
        await pilot.press("right", "right")
        assert long.value == "window"
        await settled(pilot, lambda: screen(app).sight is not None)
        await settled(pilot, lambda: "Window 1 of 3" in shown(app))
        await idle(pilot)
        await pilot.press("greater_than_sign")
        await settled(pilot, lambda: "Window 2 of 3" in shown(app))
        field = app.screen.query_one("#attention-window", Input)
        assert field.value == "2"
        await idle(pilot)
        await pilot.press("greater_than_sign", "greater_than_sign", "greater_than_sign")
        await settled(pilot, lambda: "Window 3 of 3" in shown(app))
        assert field.value == "3"  # there is none after it, so the next key goes back


async def test_a_head_that_is_no_number(make_app: MakeApp, tmp_path: Path) -> None:
    import torch
    import transformers

    from hfterm.hub.starter import starter_path

    path = starter_path("minilm")
    model = transformers.AutoModel.from_pretrained(path)
    with torch.no_grad():
        model.encoder.layer[2].attention.self.query.weight[:] = float("nan")
    model.save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(path).save_pretrained(tmp_path)
    app = make_app(tmp_path, TEXT, mode="attention")
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        await pilot.press("escape", "down", "down")
        await settled(pilot, lambda: "no numbers (NaN)" in notice(app))
        assert "no numbers (NaN)" in heat(app)._empty
        await pilot.press("up")
        await settled(pilot, lambda: not np.isnan(heat(app).weight) and not notice(app))


@pytest.mark.parametrize(
    ("title", "prints"),
    [("Heads", "0.2685"), ("Ranking", "0.9"), ("Lines", "0.2685"), ("Hidden", "7 (1, 13, 384)")],
)
async def test_show_code_prints_what_is_shown(
    make_app: MakeApp, title: str, prints: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = make_app(mode="attention", text=TEXT)
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        await tab(pilot, title)
        await idle(pilot)
        await pilot.press("f2")
        await settled(pilot, lambda: isinstance(app.screen, CodeModal))
        code = app.screen.code
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, title, "exec"), {})
    assert prints in out.getvalue()


async def test_a_token_is_seen_in_tokenize(make_app: MakeApp) -> None:
    app = make_app(mode="attention", text=TEXT)
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        await focus(pilot, "attention-strip")
        await pilot.press("right", "right", "g")
        await settled(pilot, lambda: isinstance(app.workbench, TokenizeScreen))
        await ready(pilot)
        assert app.workbench.subject.text == TEXT
        panel = app.workbench.tokens_panel
        await settled(pilot, lambda: panel.query_one(TokenStrip)._selected == 2, "the token")


async def test_hostile_text_is_shown_and_never_obeyed(make_app: MakeApp) -> None:
    hostile = "[red]a[/red] \x1b[2J \u202eb [@click=app.quit]c[/] 🏳️‍🌈 \u200b"
    app = make_app(mode="attention", text=hostile)
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        await pilot.press("escape", "end", "down")
        for title in ("Heads", "Ranking", "Lines", "Hidden"):
            await tab(pilot, title)
            await idle(pilot)
            for forbidden in ("\x1b", "\u202e", "\u200b"):
                assert forbidden not in shown(app)
            assert "[" in shown(app)


async def test_escape_leaves_the_text_while_a_map_is_on_its_way(make_app: MakeApp) -> None:
    app = make_app(mode="attention", text=TEXT)
    async with app.run_test(size=SIZE) as pilot:
        await laid(pilot)
        await pilot.press("f5")
        await settled(pilot, lambda: screen(app).sight is not None)
        await pilot.press("escape")
        assert app.focused is screen(app).query_one(HeadGrid)
        await settled(pilot, lambda: not np.isnan(heat(app).weight), "a map")
        assert "Stopped" not in notice(app)


async def test_layouts(make_app: MakeApp) -> None:
    app = make_app(mode="attention", text=TEXT)
    async with app.run_test(size=(80, 24)) as pilot:
        await run(pilot)
        await pilot.press("escape", "w")
        await settled(pilot, lambda: heat(app).size.width > 60)
        assert app.focused is heat(app)
        await pilot.press("w")
        await settled(pilot, lambda: screen(app).query_one(HeadGrid).size.width > 30)
        assert app.focused is screen(app).query_one(HeadGrid)
        await pilot.press("enter")
        await settled(pilot, lambda: app.focused is heat(app) and heat(app).display)


async def test_the_engine_dies(make_app: MakeApp) -> None:
    app = make_app(mode="attention", text=TEXT, own_engine=True)
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        pid = app.model_engine.status.pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        await settled(pilot, lambda: "process ended" in notice(app))
        assert not np.isnan(heat(app).weight)  # what is shown is kept
        await pilot.press("f5")
        await settled(pilot, lambda: "process ended" not in notice(app))
        await settled(pilot, lambda: app.loaded is not None)


async def test_export_of_a_table_and_bad_names(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = make_app(mode="attention", text=TEXT)
    async with app.run_test(size=SIZE) as pilot:
        await run(pilot)
        await pilot.press("escape", "ctrl+e")
        await settled(pilot, lambda: isinstance(app.screen, FigureModal))
        name = app.screen.query_one(Input)
        name.value = "map.bmp"
        await pilot.press("enter")
        await settled(pilot, lambda: "map.bmp ends in none" in notice(app))
        name.value = "map.npz"
        await pilot.press("enter")
        await settled(pilot, lambda: not isinstance(app.screen, FigureModal))
        weights = np.load(tmp_path / "map.npz")["weights"]
        assert np.allclose(weights, direct("minilm", TEXT)[0][0], atol=1e-6)
        await tab(pilot, "Ranking")
        await settled(pilot, lambda: len(table(app, "ranking-grid")) > 0)
        await pilot.press("ctrl+e")
        await settled(pilot, lambda: isinstance(app.screen, ExportModal))
        app.screen.query_one(Input).value = "ranking.csv"
        await pilot.press("enter")
        await settled(pilot, (tmp_path / "ranking.csv").exists)
