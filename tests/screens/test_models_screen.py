"""The Models screen, by keyboard, on real models and a real engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.widgets import Input, Static
from transformers import LlamaConfig

from hfterm.app import HftermApp
from hfterm.screens.models.screen import ModelsScreen
from hfterm.widgets.confirm import Confirm
from hfterm.widgets.data_grid import DataGrid
from hfterm.widgets.fields import Choice
from pilot_app import notice, settled, shown, tab, table
from screen_fixtures import MakeApp

SIZE = (120, 40)


def screen(app: HftermApp) -> ModelsScreen:
    bench = app.workbench
    assert isinstance(bench, ModelsScreen)
    return bench


def words(app: HftermApp, name: str) -> str:
    return str(app.screen.query_one(f"#{name}", Static).content)


async def described(pilot: object, ref: str = "minilm") -> None:
    app = pilot.app
    await settled(
        pilot,
        lambda: (
            screen(app).subject is not None
            and screen(app).subject.spec.ref == ref
            and len(table(app, "classes-grid")) > 0
        ),
        f"the classes of {ref}",
    )


async def open_model(pilot: object, name: str) -> None:
    """F6, a name, Enter."""
    await pilot.press("f6")
    app = pilot.app
    await settled(pilot, lambda: app.screen.query_one("#models-search").has_focus)
    app.screen.query_one("#models-search", Input).value = name
    await pilot.pause()
    await pilot.press("enter")


async def test_classes_of_minilm_and_what_each_leaves(make_app: MakeApp) -> None:
    app = make_app(mode="models")
    async with app.run_test(size=SIZE) as pilot:
        await described(pilot)
        rows = {row["Auto class"]: row for row in table(app, "classes-grid")}
        assert rows["AutoModel"]["verdict"] == "complete"
        assert rows["AutoModelForSequenceClassification"]["class"] == (
            "BertForSequenceClassification"
        )
        assert rows["AutoModelForSequenceClassification"]["missing"] == 2
        assert rows["AutoModelForSeq2SeqLM"]["verdict"] == "absent"
        assert "22,713,216 parameters" in words(app, "model-facts")
        app.screen.query_one("#classes-grid", DataGrid).focus()
        await pilot.press("down", "down")
        await settled(pilot, lambda: "head is new" in words(app, "classes-words"))
        assert "classifier.weight" in words(app, "classes-words")
        await pilot.press("enter")
        await settled(
            pilot, lambda: screen(app).subject.spec.auto == "AutoModelForSequenceClassification"
        )
        assert "AutoModelForSequenceClassification → BertForSequence" in shown(app)


async def test_a_size_mismatch_is_explained(make_app: MakeApp, model_zoo: dict[str, Path]) -> None:
    """The tutorial's exercise 4: what a size mismatch is, and how it is solved."""
    app = make_app(model_zoo["bert-labels"], mode="models")
    async with app.run_test(size=SIZE) as pilot:
        await described(pilot, str(model_zoo["bert-labels"]))
        app.screen.query_one("#classes-labels", Input).focus()
        await pilot.press(*"7", "enter")

        def place() -> int | None:
            rows = enumerate(table(app, "classes-grid"))
            wanted = ("text classification", "mismatched")
            return next((i for i, row in rows if (row["task"], row["verdict"]) == wanted), None)

        # another head does not fit whatever the labels are: it is in the table before them
        await settled(pilot, lambda: place() is not None)
        app.screen.query_one("#classes-grid", DataGrid).focus()
        await pilot.press("home", *["down"] * (place() or 0))
        await settled(pilot, lambda: "Size mismatch" in words(app, "classes-words"))
        said = words(app, "classes-words")
        assert "num_labels=3" in said
        assert "ignore_mismatched_sizes" in said


async def test_an_architecture_from_the_list(make_app: MakeApp) -> None:
    app = make_app(mode="models")
    async with app.run_test(size=SIZE) as pilot:
        await described(pilot)
        await pilot.press("f6")
        await settled(pilot, lambda: len(table(app, "models-grid")) > 500, "the architectures")
        await pilot.press(*"distilb")
        await settled(pilot, lambda: len(table(app, "models-grid")) == 1)
        await pilot.press("enter")
        await described(pilot, "distilbert")
        assert screen(app).subject.overview.parameters == 66_362_880
        assert "no weights" in words(app, "model-facts")


async def test_a_70b_config_is_looked_through(make_app: MakeApp, tmp_path: Path) -> None:
    config = LlamaConfig(
        hidden_size=8192, intermediate_size=28672, num_hidden_layers=80, num_attention_heads=64,
        num_key_value_heads=8, vocab_size=128256, max_position_embeddings=8192, dtype="bfloat16",
    )  # fmt: skip
    config.save_pretrained(tmp_path)
    app = make_app(tmp_path / "config.json", mode="models")
    async with app.run_test(size=SIZE) as pilot:
        ref = str(tmp_path / "config.json")
        await described(pilot, ref)
        app.screen.query_one("#classes-grid", DataGrid).focus()
        rows = table(app, "classes-grid")
        place = next(i for i, r in enumerate(rows) if r["Auto class"] == "AutoModelForCausalLM")
        await pilot.press("home", *["down"] * place, "enter")
        await tab(pilot, "Parameters")
        await settled(pilot, lambda: len(table(app, "parameters-grid")) == 723)
        assert "70,553,706,496" in words(app, "parameters-sum")
        await tab(pilot, "Memory")
        await settled(pilot, lambda: len(table(app, "memory-grid")) > 5, "the plans")
        plans = {(r["purpose"], r["weights in"]): r for r in table(app, "memory-grid")}
        bf16 = plans["inference", "bfloat16"]
        assert 141e9 < bf16["peak"] < 146e9
        assert bf16["cpu"] == "does not fit"
        assert "more" in words(app, "memory-words")


async def test_config_is_searched_and_its_changes_marked(make_app: MakeApp) -> None:
    app = make_app(mode="models")
    async with app.run_test(size=SIZE) as pilot:
        await described(pilot)
        await tab(pilot, "Config")
        await settled(pilot, lambda: len(table(app, "config-grid")) > 20)
        app.screen.query_one("#config-show", Choice).focus()
        await pilot.press("right")
        await settled(pilot, lambda: all(row[""] for row in table(app, "config-grid")))
        changed = {row["field"]: row for row in table(app, "config-grid")}
        assert changed["hidden_size"]["value"] == "384"
        assert changed["hidden_size"]["default"] == "768"
        app.screen.query_one("#config-search", Input).focus()
        await pilot.press(*"layers")
        await settled(
            pilot,
            lambda: [row["field"] for row in table(app, "config-grid")] == ["num_hidden_layers"],
        )
        assert "2 labels: 0 LABEL_0" in words(app, "config-labels")


async def test_parameters_are_searched_and_summed(make_app: MakeApp) -> None:
    app = make_app("smollm2", mode="models")
    async with app.run_test(size=SIZE) as pilot:
        await described(pilot, "smollm2")
        await tab(pilot, "Parameters")
        await settled(pilot, lambda: len(table(app, "parameters-grid")) == 273)
        rows = {row["parameter"]: row for row in table(app, "parameters-grid")}
        assert rows["lm_head.weight"]["state"] == "tied to model.embed_tokens.weight"
        assert rows["lm_head.weight"]["count"] == 0
        assert rows["model.layers.0.self_attn.k_proj.weight"]["shape"] == "192×576"
        app.screen.query_one("#parameters-search", Input).focus()
        await pilot.press(*"k_proj")
        await settled(pilot, lambda: len(table(app, "parameters-grid")) == 30)
        app.screen.query_one("#parameters-view", Choice).focus()
        await pilot.press("right")
        await settled(pilot, lambda: "module" in table(app, "parameters-grid")[0])
        assert sum(r["parameters"] for r in table(app, "parameters-grid")) == 30 * 192 * 576


async def test_lora_modules_are_chosen_with_enter(make_app: MakeApp) -> None:
    app = make_app(mode="models")
    async with app.run_test(size=SIZE) as pilot:
        await described(pilot)
        await tab(pilot, "LoRA")
        await settled(pilot, lambda: "73,728 parameters" in words(app, "lora-sum"))
        app.screen.query_one("#lora-grid", DataGrid).focus()
        await pilot.press("home", "down", "enter")  # key, besides query and value
        await settled(pilot, lambda: "110,592 parameters" in words(app, "lora-sum"))
        ranks = {row["train"]: row["parameters"] for row in table(app, "lora-ranks")}
        assert ranks["LoRA r=16"] == 2 * 110_592
        assert ranks["full fine-tune"] == 22_713_216
        app.screen.query_one("#lora-rank", Input).focus()
        await pilot.press("backspace", *"0x", "enter")
        await settled(pilot, lambda: "not a whole number" in notice(app))
        assert "110,592 parameters" in words(app, "lora-sum")


async def test_auto_and_specific_have_the_same_parameters(make_app: MakeApp) -> None:
    """The tutorial's exercise 3."""
    app = make_app(mode="models")
    async with app.run_test(size=SIZE) as pilot:
        await described(pilot)
        await tab(pilot, "Compare")
        await settled(pilot, lambda: "the same class, BertModel" in words(app, "compare-sum"))
        app.screen.query_one("#compare-as", Input).focus()
        await pilot.press(*"BertForMaskedLM", "enter")
        await settled(
            pilot, lambda: "BertForMaskedLM against BertModel" in words(app, "compare-sum")
        )
        names = {(row["kind"], row["name"]) for row in table(app, "compare-grid")}
        assert ("class", "class") in names
        assert ("parameter", "cls.predictions.bias") in names


async def test_load_shows_in_the_status_line_and_unload_clears_it(make_app: MakeApp) -> None:
    app = make_app(mode="models")
    async with app.run_test(size=SIZE) as pilot:
        await described(pilot)
        await pilot.press("f7")
        await settled(pilot, lambda: app.screen.query_one("#load-labels").region.width > 0)
        app.screen.query_one("#load-labels", Input).value = "5"
        app.screen.query_one("#load-start").focus()
        await pilot.press("enter")
        await settled(pilot, lambda: words(app, "load-state").startswith("loaded"), "the model")
        assert "● float32 90.9 MB cpu BertModel" in shown(app)
        assert app.loaded is not None
        await pilot.press("alt+1")
        await settled(pilot, lambda: app.current_mode == "tokenize")
        await settled(pilot, lambda: "cpu BertModel" in shown(app), "the model on another screen")
        await pilot.press("alt+2")
        await settled(pilot, lambda: app.current_mode == "models")
        app.screen.query_one("#load-stop").focus()
        await pilot.press("enter")
        await settled(pilot, lambda: "Nothing is loaded" in words(app, "load-state"))
        assert "●" not in shown(app).splitlines()[-2]


async def test_errors_leave_what_is_shown(
    make_app: MakeApp, model_zoo: dict[str, Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text('{"model_type": "ber')
    app = make_app(mode="models")
    async with app.run_test(size=SIZE) as pilot:
        await described(pilot)
        for name, said in (
            ("./nothing-here", "no file or folder"),
            (str(broken), "not whole JSON"),
            (str(tmp_path), "no config.json"),
            ("owner/name", "HF_HUB_OFFLINE"),
        ):
            await open_model(pilot, name)
            await settled(pilot, lambda said=said: said in notice(app), said)
            assert screen(app).subject.spec.ref == "minilm"
            assert len(table(app, "classes-grid")) == 11
        await open_model(pilot, str(model_zoo["truncated"]))
        await described(pilot, str(model_zoo["truncated"]))
        assert {row["verdict"] for row in table(app, "classes-grid")} >= {"refused"}
        await settled(pilot, lambda: "damaged" in words(app, "classes-words"))


async def test_pickle_is_refused_until_the_user_says_yes(
    make_app: MakeApp, model_zoo: dict[str, Path]
) -> None:
    app = make_app(model_zoo["pickle"], mode="models")
    async with app.run_test(size=SIZE) as pilot:
        await described(pilot, str(model_zoo["pickle"]))
        assert table(app, "classes-grid")[0]["verdict"] == "refused"
        await pilot.press("f7")
        await settled(pilot, lambda: app.screen.query_one("#load-start").region.width > 0)
        start = app.screen.query_one("#load-start")
        start.focus()
        await settled(pilot, lambda: start.has_focus)
        await pilot.press("enter")
        await settled(pilot, lambda: "pickle" in notice(app))
        choice = app.screen.query_one("#load-pickle", Choice)
        choice.focus()
        await settled(pilot, lambda: choice.has_focus)
        await pilot.press("right")
        start.focus()
        await settled(pilot, lambda: start.has_focus)
        await pilot.press("enter")
        await settled(pilot, lambda: words(app, "load-state").startswith("loaded"), "the model")


@pytest.fixture
def own_code(tmp_path: Path) -> Path:
    """A model whose repository brings Python; running it leaves a file behind."""
    folder = tmp_path / "own-code"
    folder.mkdir()
    (folder / "config.json").write_text(
        json.dumps(
            {
                "model_type": "sneaky",
                "auto_map": {
                    "AutoConfig": "configuration_sneaky.SneakyConfig",
                    "AutoModel": "configuration_sneaky.SneakyModel",
                },
            }
        )
    )
    (folder / "configuration_sneaky.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w').close()\n"
        "from transformers import PreTrainedConfig as C\n"
        "class SneakyConfig(C):\n    model_type = 'sneaky'\n"
    )
    return folder


async def test_no_code_runs_without_a_yes_that_names_it(
    make_app: MakeApp, own_code: Path, model_zoo: dict[str, Path]
) -> None:
    app = make_app(model_zoo["bert"], mode="models")
    async with app.run_test(size=SIZE) as pilot:
        await described(pilot, str(model_zoo["bert"]))
        await open_model(pilot, str(own_code))
        await settled(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        assert "configuration_sneaky.py" in shown(app)
        assert "own-code" in shown(app)
        await pilot.press("escape")
        await settled(pilot, lambda: "needs Python from its repository" in notice(app))
        assert not (own_code.parent / "ran").exists()
        assert screen(app).subject.spec.ref == str(model_zoo["bert"])
