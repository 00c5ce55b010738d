"""The form over a recipe: whatever a recipe says, the form shows and gives back."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec
import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input

from hfterm.errors import HftermError
from hfterm.training.recipe import Recipe
from hfterm.training.recipe_text import as_table, fields, parse_recipe, set_values, write_recipe
from hfterm.widgets.fields import Choice
from hfterm.widgets.recipe_form import LINES, RecipeForm, words_of
from run_fixtures import a_recipe
from waiting import until

SHOWN = {key for line in LINES for key in line}
OWN = {"fold", "group"}
"""What belongs to one run of several, and to no recipe that a person writes."""

VALUES: dict[str, object] = {
    "name": "another name", "task": "seq2seq", "prompts": ["one", "two words, and a comma"],
    "folds": 3, "compare": ["full", "lora"], "model.ref": "./a folder/with spaces",
    "model.dtype": "bfloat16", "model.device": "cuda:1", "model.tokenizer": "smollm2",
    "data.ref": "rows/*.jsonl", "data.subset": "my subset",
    "data.train": "train[:1%]+train[5%:6%]", "data.eval": "test", "data.shuffle": True,
    "data.columns": {"text": "review", "label": "stars"}, "data.labels": ["bad", "good", "so so"],
    "data.max_length": 1000, "data.stride": 7, "data.mask": 0.3, "method.name": "qlora",
    "method.r": 64, "method.alpha": 2.5, "method.dropout": 0.125,
    "method.target_modules": "all-linear", "method.bias": "lora_only", "method.rslora": True,
    "method.dora": True, "method.quant": "int8", "training.epochs": 0.5,
    "training.max_steps": 12345, "training.batch_size": 3, "training.eval_batch_size": 5,
    "training.accumulate": 4, "training.learning_rate": 1.23456789e-05,
    "training.scheduler": "constant_with_warmup", "training.warmup": 0.06,
    "training.weight_decay": 0.01, "training.max_grad_norm": 0.3,
    "training.optimizer": "adafactor", "training.precision": "bf16",
    "training.activation_checkpointing": True, "training.seed": 0, "training.log_every": 1,
    "training.eval_every": 7, "training.save_every": 14, "training.keep": 9,
    "training.metric": "f1", "training.early_stopping": 2, "training.load_best": True,
    "training.on_nan": "continue", "training.workers": 2, "training.processes": 2,
    "training.accelerate_config": "~/my accelerate.yaml",
}  # fmt: skip
"""For each key another value than it has by default."""

BESIDE: dict[str, dict[str, object]] = {
    "data.columns": {"data.eval": "train[90%:]"},
    "folds": {"data.eval": ""},
    "method.dora": {"method.quant": "nf4"},
}
"""What another key must say for the value to be right."""


class Bench(App[None]):
    """The form alone."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def compose(self) -> ComposeResult:
        yield RecipeForm(id="form")

    def on_recipe_form_changed(self) -> None:
        self.said.append("changed")

    def on_recipe_form_submitted(self) -> None:
        self.said.append("submitted")


@asynccontextmanager
async def bench(
    size: tuple[int, int] = (120, 40),
) -> AsyncGenerator[tuple[Pilot[None], Bench, RecipeForm]]:
    app = Bench()
    async with app.run_test(size=size) as pilot:
        yield pilot, app, app.query_one(RecipeForm)


def with_key(key: str, value: object) -> Recipe:
    """The starter's recipe with one other value."""
    table = as_table(a_recipe())
    for name, told in {**BESIDE.get(key, {}), key: value}.items():
        part, _, last = name.rpartition(".")
        owner = table.setdefault(part, {}) if part else table
        assert isinstance(owner, dict)
        owner[last] = told
    return parse_recipe(write_table(table))


def write_table(table: dict[str, object]) -> str:
    import tomli_w

    return tomli_w.dumps(table)


def set_field(form: RecipeForm, key: str, text: str) -> None:
    widget = form.query_one(f"#recipe-{key.replace('.', '-')}")
    assert isinstance(widget, Input | Choice)
    widget.value = text


# -- there and back ----------------------------------------------------------------------------


def test_every_key_has_another_value_here() -> None:
    never = {"data.packing", "model.revision"}  # any other value is refused
    assert set(VALUES) == set(fields()) - OWN - never


def test_every_field_of_the_form_is_a_key() -> None:
    assert SHOWN - {"also"} <= set(fields())
    assert len([key for line in LINES for key in line]) == len(SHOWN)


async def test_each_key_comes_back_from_the_form() -> None:
    lost: dict[str, str] = {}
    async with bench() as (_, _, form):
        for key, value in VALUES.items():
            recipe = with_key(key, value)
            assert recipe != a_recipe(), key
            form.show(recipe)
            try:
                if (back := form.recipe()) != recipe:
                    lost[key] = f"{write_recipe(recipe)} → {write_recipe(back)}"
            except HftermError as error:
                lost[key] = error.message
    assert not lost


RECIPES = {
    "folds and methods": a_recipe(
        "film", data={"eval": ""}, folds=3, compare=["full", "lora"],
        method={"target_modules": "all-linear"},
    ),
    "chat": a_recipe(
        "chat", task="chat-sft", model={"ref": "smollm2"}, prompts=["Hello", "Who are you?"],
        data={"ref": "chats.jsonl", "eval": "", "columns": {"messages": "turns"}},
        method={"name": "qlora", "quant": "nf4", "r": 16, "dropout": 0.1},
        training={"max_steps": 200, "accumulate": 4, "precision": "bf16", "warmup": 0.03},
    ),
    "questions": a_recipe(
        "qa", task="question-answering", prompts=["Who?\nShe was there."],
        data={"ref": "qa.parquet", "stride": 32,
              "columns": {"question": "q", "context": "c", "answers": "a"}},
        method={"name": "full", "target_modules": []},
        training={"metric": "f1", "load_best": True, "early_stopping": 3, "optimizer": "sgd"},
    ),
    "masked": a_recipe(
        "mask", task="masked-lm", data={"ref": "texts/*.txt", "mask": 0.2},
        training={"activation_checkpointing": True, "processes": 2, "on_nan": "continue",
                  "accelerate_config": "/etc/accelerate.yaml"},
    ),
    "words with spaces": a_recipe(
        "spaces", prompts=["one; two", "three"],
        data={"columns": {"text": "the review", "label": "a = b"}, "subset": "2024",
              "labels": ["so so", "very, very"], "ref": "my data/*.csv"},
    ),
    "numbers": a_recipe(
        "numbers", training={"learning_rate": 1.0000001e-4, "weight_decay": 0.1 + 0.2,
                             "epochs": 2.123456789, "max_grad_norm": 0.123456789,
                             "seed": 123456789},
        method={"alpha": 32.0000001},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RECIPES)
async def test_a_recipe_comes_back_from_the_form(name: str) -> None:
    recipe = RECIPES[name]
    async with bench() as (_, app, form):
        form.show(recipe)
        assert form.recipe() == recipe
        assert form.recipe() == parse_recipe(write_recipe(recipe)), "and from a file"
        form.show(a_recipe())
        assert form.recipe() == a_recipe(), "nothing of the one before is left"
        assert app.said.count("submitted") == 0


async def test_to_show_a_recipe_is_no_change() -> None:
    async with bench() as (pilot, app, form):
        await pilot.pause()
        app.said.clear()
        form.show(RECIPES["folds and methods"])
        await pilot.pause()
        assert app.said == []
        form.query_one("#recipe-name", Input).focus()
        await pilot.press("x")
        await until(lambda: app.said == ["changed"], "a change to be told")
        await pilot.press("enter")
        await until(lambda: app.said == ["changed", "submitted"], "Enter to be told")
        form.query_one("#recipe-task", Choice).focus()
        await pilot.press("right")
        await until(lambda: app.said[2:] == ["changed"], "a choice to be told")


async def test_what_a_run_of_several_adds_is_left_out() -> None:
    """Which fold a run was, and its group, are not its recipe's."""
    one = a_recipe("film", data={"eval": ""}, folds=3, fold=2, group="20200615-120000-film")
    async with bench() as (_, _, form):
        form.show(one)
        assert form.recipe() == msgspec.structs.replace(one, fold=0, group="")


# -- what is wrong -----------------------------------------------------------------------------


WRONG = [
    ("training.learning_rate", "fast", '"fast"'), ("training.learning_rate", "-1", "-1"),
    ("training.learning_rate", "0", "0"), ("training.learning_rate", "nan", "nan"),
    ("training.batch_size", "1.5", "1.5"), ("training.batch_size", "0", "0"),
    ("training.batch_size", "many", '"many"'), ("training.epochs", "0", "0"),
    ("training.seed", "-3", "-3"), ("training.keep", "0", "0"),
    ("training.warmup", "-0.1", "-0.1"), ("training.metric", "bleu", "bleu"),
    ("training.processes", "0", "0"), ("method.r", "0", "0"), ("method.dropout", "1", "1"),
    ("method.alpha", "big", '"big"'), ("data.max_length", "0", "0"),
    ("data.columns", "txt=review", "txt"), ("model.device", "tpu", "tpu"),
    ("compare", "full lorra", "lorra"), ("compare", "lora lora", "lora"), ("folds", "1", "1"),
    ("folds", "x", '"x"'),
]  # fmt: skip
"""A field, what is typed into it, and what the message must say besides the key."""


def refusal(form: RecipeForm) -> str:
    """Why the form holds no recipe; empty when it does."""
    try:
        form.recipe()
    except HftermError as error:
        return f"{error.message} {error.remedy}"
    return ""


async def test_a_wrong_value_is_named_with_its_key() -> None:
    unsaid: dict[tuple[str, str], str] = {}
    async with bench() as (_, _, form):
        for key, text, named in WRONG:
            form.show(a_recipe())
            assert not refusal(form)
            set_field(form, key, text)
            said = refusal(form)
            if key.rpartition(".")[2] not in said or named not in said:
                unsaid[key, text] = said
            assert form.value(key) == text, "what was typed stays"
    assert not unsaid


LAST_LINE = [
    ("training.optimiser=sgd", "training.optimizer"), ("training.optimizer", "sets nothing"),
    ("=3", "sets nothing"), ("data.mask=2", "data.mask"), ("nonsense=1", "nonsense"),
    ("name.x=1", "name"), ('data.subset="open', "quotation"),
    ("training.activation_checkpointing=maybe", "true or false"),
]  # fmt: skip


async def test_the_last_line_says_what_is_wrong_with_it() -> None:
    unsaid: dict[str, str] = {}
    async with bench() as (_, _, form):
        form.show(a_recipe())
        for text, words in LAST_LINE:
            set_field(form, "also", text)
            if words not in (said := refusal(form)):
                unsaid[text] = said
    assert not unsaid


async def test_the_last_line_takes_any_key() -> None:
    async with bench() as (_, _, form):
        form.show(a_recipe())
        set_field(
            form, "also",
            "training.optimizer=adafactor data.mask=0.2 training.activation_checkpointing=true "
            "model.dtype=float16 'data.subset=two words' training.eval_batch_size=7",
        )  # fmt: skip
        found = form.recipe()
        assert found.training.optimizer == "adafactor"
        assert found.data.mask == 0.2
        assert found.training.activation_checkpointing is True
        assert found.model.dtype == "float16"
        assert found.data.subset == "two words"
        assert found.training.eval_batch_size == 7


async def test_an_empty_name_and_model_are_missed_and_other_empty_fields_are_as_by_default() -> (
    None
):
    async with bench() as (_, _, form):
        form.show(a_recipe())
        set_field(form, "name", "")
        set_field(form, "model.ref", " ")
        with pytest.raises(HftermError) as caught:
            form.recipe()
        assert "name" in caught.value.message
        assert "model.ref" in caught.value.message
        form.show(a_recipe())
        for key in ("prompts", "data.eval", "method.target_modules", "training.batch_size"):
            set_field(form, key, "")
        found = form.recipe()
        assert (found.prompts, found.data.eval, found.method.target_modules) == ((), "", ())
        assert found.training.batch_size == 8


WAYS: list[tuple[str, str, object]] = [
    ("training.max_steps", "10,000", 10_000),
    ("training.max_steps", "10_000", 10_000),
    ("training.learning_rate", "2e-3", 2e-3),
    ("training.learning_rate", " .5 ", 0.5),
    ("data.columns", "text=review, label=stars", {"text": "review", "label": "stars"}),
    ("data.labels", "[negative, positive]", ("negative", "positive")),
    ("data.labels", '"negative" "positive"', ("negative", "positive")),
    ("method.target_modules", '["query", "value"]', ("query", "value")),
    ("compare", "full, lora", ("full", "lora")),
    ("prompts", "one; two ;; three;", ("one", "two", "three")),
]


async def test_ways_to_write_a_value() -> None:
    other: dict[tuple[str, str], object] = {}
    async with bench() as (_, _, form):
        for key, text, value in WAYS:
            form.show(a_recipe())
            set_field(form, key, text)
            found: object = form.recipe()
            for name in key.split("."):
                found = getattr(found, name)
            if found != value:
                other[key, text] = found
    assert not other


async def test_a_decimal_comma_is_refused_and_not_read_as_a_number_a_thousand_times_larger() -> (
    None
):
    async with bench() as (_, _, form):
        form.show(a_recipe())
        set_field(form, "training.learning_rate", "0,001")
        with pytest.raises(HftermError) as caught:
            form.recipe()
        assert "training.learning_rate" in caught.value.message


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "yes"), (False, "no"), (None, ""), (0.002, "0.002"), (16, "16"), (16.0, "16"),
        (["query", "value"], "query value"), (("full",), "full"), ("all-linear", "all-linear"),
        ({"text": "review"}, "text=review"), ([], ""), ({}, ""),
    ],
)  # fmt: skip
def test_words_of_values(value: object, shown: str) -> None:
    assert words_of("some.key", value) == shown


def test_words_of_prompts() -> None:
    assert words_of("prompts", ["one, two", "three"]) == "one, two; three"


# -- keys --------------------------------------------------------------------------------------


async def focus_line(form: RecipeForm) -> int:
    """The number of the line with the focus."""
    focused = form.screen.focused
    for number, row in enumerate(form.query(".options")):
        if focused in [*row.query("*")]:
            return number
    return -1


@pytest.mark.parametrize("size", [(120, 40), (60, 12)])
async def test_arrows_go_from_line_to_line_and_stay_in_sight(size: tuple[int, int]) -> None:
    async with bench(size) as (pilot, app, form):
        form.query_one("#recipe-name", Input).focus()
        for expected in [*range(1, len(LINES))]:
            await pilot.press("down")
            assert await focus_line(form) == expected
            await pilot.pause()
            focused = app.focused
            assert focused is not None
            assert form.region.contains_region(focused.region), f"line {expected} is out of sight"
        for expected in reversed(range(len(LINES) - 1)):
            await pilot.press("up")
            assert await focus_line(form) == expected


async def test_arrows_go_to_the_field_that_is_nearest() -> None:
    async with bench() as (pilot, app, form):
        form.query_one("#recipe-training-accumulate", Input).focus()
        await pilot.press("up")
        assert app.focused is form.query_one("#recipe-compare", Input)
        form.query_one("#recipe-training-epochs", Input).focus()
        await pilot.press("down")
        assert app.focused is form.query_one("#recipe-training-learning_rate", Input)


async def test_tab_goes_through_every_field() -> None:
    async with bench() as (pilot, app, form):
        form.query_one("#recipe-name", Input).focus()
        seen: list[str] = []
        for _ in SHOWN:
            assert app.focused is not None
            seen.append(str(app.focused.id))
            await pilot.press("tab")
        assert seen == [f"recipe-{key.replace('.', '-')}" for line in LINES for key in line]


@pytest.mark.parametrize("size", [(76, 16), (116, 36)])
async def test_every_field_has_room_for_its_value(size: tuple[int, int]) -> None:
    """A label that leaves no cell to type in, or a choice that is cut, is no field."""
    async with bench(size) as (pilot, _, form):
        form.show(a_recipe())
        await pilot.pause()
        narrow: dict[str, str] = {}
        for line in LINES:
            for key in line:
                widget = form.query_one(f"#recipe-{key.replace('.', '-')}")
                if isinstance(widget, Choice):
                    longest = max(len(value) for value in widget.values)
                    needs = len(widget.label) + longest + 3
                else:
                    needs = 3  # two digits, and the cursor behind them
                if widget.content_size.width < needs:
                    narrow[key] = f"{widget.content_size.width} of {needs}"
        assert not narrow


def test_settings_of_the_last_line_are_those_of_the_command() -> None:
    assert set_values({}, ["training.seed=3", "name=x y"]) == {
        "training": {"seed": 3}, "name": "x y",
    }  # fmt: skip


async def test_every_field_says_what_it_is() -> None:
    async with bench() as (_, _, form):
        texts = {
            key: str(form.query_one(f"#recipe-{key.replace('.', '-')}").tooltip) for key in SHOWN
        }
    assert texts["training.max_steps"] == (
        "training.max_steps: optimizer steps; 0 leaves it to `epochs`.\nIt takes a whole number "
        "from 0."
    )
    assert texts["method.target_modules"].endswith("Separate several by spaces.")
    assert texts["method.name"].endswith("one on a quantized base.")
    assert [key for key, text in texts.items() if text == "None"] == []
