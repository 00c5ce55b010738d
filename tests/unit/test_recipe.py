"""Recipes: TOML in and out, changed key by key; whatever is wrong is said in words."""

from __future__ import annotations

import math
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hfterm.errors import HftermError
from hfterm.training.recipe import (
    AUTO_CLASSES,
    COLUMNS,
    METRICS,
    DataPart,
    MethodPart,
    ModelPart,
    Recipe,
    TrainingPart,
    expand,
)
from hfterm.training.recipe_text import (
    as_table,
    defects,
    fields,
    parse_recipe,
    read_recipe,
    recipe_of,
    with_values,
    write_recipe,
)

MINIMAL = 'name = "x"\ntask = "causal-lm"\n[model]\nref = "a"\n[data]\nref = "b"\n'
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

WRONG: dict[str, tuple[str, str]] = {
    "no TOML": ("name = ", "not TOML"),
    "a list of tables": ("[[model]]", "must be a table, [model]"),
    "a misspelt key": ("[training]\nlearning_rat = 1e-3", "did you mean training.learning_rate?"),
    "a key of another table": ("[model]\nmax_length = 9", "did you mean data.max_length?"),
    "a key as transformers names it": (
        "[training]\nlr = 3",
        "did you mean training.learning_rate?",
    ),
    "a key of another table, named as peft does": (
        "[training]\nlora_alpha = 3",
        "did you mean method.alpha?",
    ),
    "device": ("[training]\ndevice = 'cpu'", "did you mean model.device?"),
    "a misspelt table": ("[trainig]\nepochs = 1", "did you mean training?"),
    "rank 0": ("[method]\nr = 0", "method.r = 0: must be a rank, a whole number from 1"),
    "rank by word": ('[method]\nr = "8"', 'method.r = "8"'),
    "no such task": ('task = "clasify"', "one of text-classification"),
    "no such method": ('[method]\nname = "dora"', "one of full, lora, qlora"),
    "nan": ("[training]\nlearning_rate = nan", "learning_rate = nan: must be a number above 0"),
    "inf": ("[training]\nlearning_rate = inf", "learning_rate = inf"),
    "minus inf": ("[training]\nwarmup = -inf", "warmup = -inf"),
    "nan of a share": ("[method]\ndropout = nan", "dropout = nan"),
    "whole dropout": ("[method]\ndropout = 1.0", "from 0 to below 1"),
    "too many digits": (f"[training]\nbatch_size = {10**30}", "batch_size = 1000"),
    "half a batch": ("[training]\nbatch_size = 1.5", "a whole number from 1"),
    "true as a number": ("[training]\nepochs = true", "epochs = true"),
    "a word as true": ('[data]\nshuffle = "yes"', "true or false"),
    "one label": ("[data]\nlabels = 'a'", "a list of words"),
    "labels twice": ("[data]\nlabels = ['a', 'a']", "each label once"),
    "no such column": ("[data]\ncolumns = { txet = 'a' }", "reads text"),
    "packing": ("[data]\npacking = true", "not packed"),
    "one fold": ("folds = 1", "at least 2"),
    "fold beyond": ("folds = 3\nfold = 4", "there are 3 folds"),
    "folds and eval": ("folds = 3\n[data]\neval = 'test'", "leave eval out"),
    "no such metric": ("[training]\nmetric = 'bleu'", "gives perplexity, loss"),
    "no eval to stop by": ("[training]\nearly_stopping = 2", "nothing to evaluate on"),
    "saves and evaluations": (
        "[data]\neval = 'test'\n[training]\nload_best = true\nsave_every = 5\neval_every = 2",
        "multiple of eval_every",
    ),
    "saves and epochs": (
        "[data]\neval = 'test'\n[training]\nload_best = true\nsave_every = 5",
        "give eval_every",
    ),
    "no such optimizer": ("[training]\noptimizer = 'adamw_fused'", "did you mean adamw_"),
    "a revision": ("[model]\nrevision = 'v2'", "main branch"),
    "a device": ("[model]\ndevice = 'gpu'", "cuda:0"),
    "processes of a quantized base": (
        "[method]\nname = 'qlora'\n[training]\nprocesses = 2",
        "by one process",
    ),
    "the same, compared": (
        "compare = ['lora', 'qlora']\n[training]\nprocesses = 2",
        "by one process",
    ),
    "DoRA on int8": ("[method]\nname = 'qlora'\nquant = 'int8'\ndora = true", "choose nf4"),
    "a method twice": ("compare = ['lora', 'lora']", "each method once"),
}


def merged(extra: str) -> str:
    """The minimal recipe with lines added, each in its table."""
    top, *tables = extra.split("\n[")
    parts = [top, *(f"[{table}" for table in tables)]
    text = MINIMAL
    for part in parts:
        head = part.partition("\n")[0]
        if part.startswith("[") and f"{head}\n" in text:
            text = text.replace(f"{head}\n", f"{part}\n", 1)
        elif part.startswith("["):
            text += f"{part}\n"
        else:
            key = part.partition(" ")[0]
            kept = [line for line in text.splitlines() if not line.startswith(f"{key} =")]
            text = "\n".join([part, *kept, ""])
    return text


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(name: str) -> None:
    extra, says = WRONG[name]
    text = f"{MINIMAL}{extra}" if name in ("no TOML", "a list of tables") else merged(extra)
    if name == "a list of tables":
        text = text.replace('[model]\nref = "a"\n', "")
    with pytest.raises(HftermError) as caught:
        parse_recipe(text, "r.toml")
    assert caught.value.kind == "recipe"
    assert says in caught.value.message
    assert caught.value.message.startswith("r.toml")


def test_what_is_missing_is_named() -> None:
    with pytest.raises(HftermError) as caught:
        parse_recipe("")
    for key in ("name", "task", "model.ref", "data.ref"):
        assert f"{key} is missing" in caught.value.message


def test_a_file_that_can_t_be_read(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_bytes(b"name = '\xff'")
    for path in (tmp_path / "gone.toml", tmp_path, tmp_path / "bad.toml"):
        with pytest.raises(HftermError) as caught:
            read_recipe(path)
        assert path.name in caught.value.message


@given(st.text(max_size=300) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
@QUICK
def test_any_text_is_a_recipe_or_an_error(text: str) -> None:
    for whole in (text, MINIMAL + text, f"{MINIMAL}[training]\n{text}"):
        try:
            assert isinstance(parse_recipe(whole), Recipe)
        except HftermError as error:
            assert error.kind == "recipe"


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.dates() | st.times() | st.datetimes() | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
KEYS = sorted(fields())


@given(
    st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5),
    st.dictionaries(st.sampled_from([*KEYS, "model", "data", "x"]) | st.text(max_size=9), VALUES,
                    max_size=3),
)  # fmt: skip
@QUICK
def test_any_table_is_a_recipe_or_an_error(
    known: dict[str, object], strange: dict[str, object]
) -> None:
    table: dict[str, Any] = {
        "name": "x", "task": "causal-lm", "model": {"ref": "a"}, "data": {"ref": "b"},
    }  # fmt: skip
    for key, value in known.items():
        part, _, name = key.rpartition(".")
        (table.setdefault(part, {}) if part else table)[name] = value
    for whole in (table, table | strange, strange):
        try:
            assert isinstance(recipe_of(whole), Recipe)
        except HftermError as error:
            assert error.kind == "recipe"
            assert len(error.message) < 2_000


WORD = st.text(string.printable + "äß漢🤗\u0085\u2028", min_size=1, max_size=12)
NUMBER = st.floats(1e-9, 99, allow_nan=False)
COUNT = st.integers(1, 10**6)


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Recipes that are right."""
    task = draw(st.sampled_from(sorted(AUTO_CLASSES)))
    evaluates = draw(st.booleans())
    method = draw(st.sampled_from(["full", "lora", "qlora"]))
    folds = 0 if evaluates else draw(st.sampled_from([0, 2, 5]))
    return Recipe(
        name=draw(WORD), task=task,
        model=ModelPart(
            ref=draw(WORD), dtype=draw(st.sampled_from(["auto", "bfloat16"])),
            device=draw(st.sampled_from(["auto", "cpu", "cuda:3"])), tokenizer=draw(WORD),
        ),
        data=DataPart(
            ref=draw(WORD), train=draw(WORD), eval=draw(WORD) if evaluates else "",
            shuffle=draw(st.booleans()), subset=draw(st.just("") | WORD),
            columns=draw(st.dictionaries(st.sampled_from(COLUMNS[task]), WORD)),
            labels=tuple(draw(st.lists(WORD, max_size=4, unique=True))),
            max_length=draw(COUNT), stride=draw(COUNT), mask=draw(st.floats(0.01, 0.99)),
        ),
        method=MethodPart(
            name=method, r=draw(st.integers(1, 4096)), alpha=draw(NUMBER),
            dropout=draw(st.floats(0, 0.99)), rslora=draw(st.booleans()),
            target_modules=draw(st.just("all-linear") | st.lists(WORD, max_size=3).map(tuple)),
            bias=draw(st.sampled_from(["none", "all", "lora_only"])),
        ),
        training=TrainingPart(
            epochs=draw(NUMBER), max_steps=draw(COUNT), batch_size=draw(COUNT),
            learning_rate=draw(NUMBER), warmup=draw(NUMBER), weight_decay=draw(NUMBER),
            seed=draw(COUNT), metric=draw(st.sampled_from(["", *METRICS[task]])),
            early_stopping=draw(st.integers(0, 5)) if evaluates else 0,
            processes=1 if method == "qlora" else draw(st.integers(1, 8)),
        ),
        prompts=tuple(draw(st.lists(WORD, max_size=3))),
        folds=folds, fold=draw(st.integers(0, folds)),
        compare=() if method == "qlora" else draw(st.sampled_from([(), ("full", "lora")])),
        group=draw(st.just("") | WORD),
    )  # fmt: skip


@given(recipes())
@QUICK
def test_a_recipe_is_written_and_read_again(recipe: Recipe) -> None:
    assert defects(recipe) == []
    assert parse_recipe(write_recipe(recipe)) == recipe
    assert recipe_of(as_table(recipe)) == recipe
    for one in expand(recipe, "together"):
        assert parse_recipe(write_recipe(one)) == one


@given(recipes(), st.integers(1, 99), WORD, NUMBER)
@QUICK
def test_keys_are_set(recipe: Recipe, count: int, word: str, number: float) -> None:
    import tomli_w

    quoted = tomli_w.dumps({"value": word}).partition("= ")[2]
    changed = with_values(recipe, [
        f"training.batch_size={count}", f" name = {quoted}", f"training.learning_rate={number!r}",
        "data.shuffle=true", "model.dtype=float32", 'method.target_modules=["a", "b"]',
    ])  # fmt: skip
    assert changed.training.batch_size == count
    assert changed.name == word
    assert changed.training.learning_rate == number
    assert changed.data.shuffle
    assert changed.model.dtype == "float32"
    assert changed.method.target_modules == ("a", "b")
    assert with_values(recipe, []) == recipe


@given(recipes(), st.lists(st.text(max_size=25), min_size=1, max_size=3))
@QUICK
def test_any_setting_is_a_recipe_or_an_error(recipe: Recipe, texts: list[str]) -> None:
    for settings_ in (texts, [f"training.{text}" for text in texts], [f"name={texts[0]}"]):
        try:
            assert isinstance(with_values(recipe, settings_), Recipe)
        except HftermError as error:
            assert error.kind == "recipe"


def test_settings_that_set_nothing() -> None:
    recipe = parse_recipe(MINIMAL)
    wrong = ("", "training.epochs", "=3", "name.x=1", "model=3", "training..x=1",
             "training.epochs=", "training.epochs=nan", "training.learning_rat=1")  # fmt: skip
    for setting in wrong:
        with pytest.raises(HftermError):
            with_values(recipe, [setting])


def test_every_key_is_described() -> None:
    for key, field in fields().items():
        assert field.expects not in ("", "something else"), key
        if isinstance(field.default, float):
            assert math.isfinite(field.default)


def test_a_comparison_of_folds_is_several_runs() -> None:
    recipe = with_values(parse_recipe(MINIMAL), ["folds=3", 'compare=["full", "lora"]'])
    runs = expand(recipe, "g")
    assert [(run.name, run.method.name, run.fold) for run in runs] == [
        (f"x-{method}-fold{fold}", method, fold)
        for fold in (1, 2, 3)
        for method in ("full", "lora")
    ]
    assert all(run.compare == () and run.group == "g" and run.folds == 3 for run in runs)
    assert expand(runs[0], "again") == [runs[0]]
