"""What a run's own model says to prompts, and what is refused when it is built or probed."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from training_fixtures import CHAT_TEMPLATE, recipe_for, rows_of, write_rows

from hfterm.errors import HftermError
from hfterm.hub.model_refs import resolve_model
from hfterm.job import Job, Progress
from hfterm.training import run_files as files
from hfterm.training import store
from hfterm.training.base_model import device_of, load_base
from hfterm.training.building import Built, build, open_tokenizer
from hfterm.training.cost import recipe_cost
from hfterm.training.encoding import encode_rows
from hfterm.training.preview import preview, tokenizer_of
from hfterm.training.probe import probe
from hfterm.training.recipe import Recipe
from hfterm.training.run_types import RunSample
from hfterm.training.samples import answer_to, asker

CLASSIFY = "text-classification"
Zoo = dict[str, Path]


def refused(call: Callable[[], object]) -> HftermError:
    with pytest.raises(HftermError) as caught:
        call()
    assert "Traceback" not in caught.value.message
    return caught.value


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Recipe]:
    """A recipe on rows of a task."""

    def make(task: str, model: Path, /, **changes: object) -> Recipe:
        rows = write_rows(tmp_path / f"{task}.jsonl", rows_of(task))
        return recipe_for(task, model, rows, **changes)

    return make


@pytest.fixture
def chatting(model_zoo: Zoo, tmp_path: Path) -> Path:
    folder = tmp_path / "chatting"
    shutil.copytree(model_zoo["llama"], folder)
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    return folder


def without(source: Path, folder: Path, pattern: str) -> Path:
    """A copy of a model that lacks some files."""
    shutil.copytree(source, folder)
    for file in folder.glob(pattern):
        file.unlink()
    return folder


# -- prompts -----------------------------------------------------------------------------------


def test_a_classifier_says_its_likeliest_labels(
    made: Callable[..., Recipe], model_zoo: Zoo
) -> None:
    built = build(made(CLASSIFY, model_zoo["bert"]))
    shares = [part.split() for part in answer_to(built, "a word ||| another").split(", ")]
    assert {name for name, _ in shares} <= set(built.labels)
    found = [float(share) for _, share in shares]
    assert found == sorted(found, reverse=True)
    assert answer_to(built, "a word") != ""


def test_tokens_are_named_and_answers_are_of_the_context(
    made: Callable[..., Recipe], model_zoo: Zoo
) -> None:
    tags = build(
        made("token-classification", model_zoo["bert"], data={"labels": ["PER", "LOC", "O"]})
    )
    told = answer_to(tags, "the quick fox").split()
    assert all(one.rpartition("/")[2] in ("PER", "LOC") for one in told)
    span = build(made("question-answering", model_zoo["bert-qa"]))
    with torch.no_grad():
        answer = answer_to(span, "who? ||| the quick fox")
    words = answer.replace("##", "").replace(" ", "")
    assert answer == "no answer" or words in "who?thequickfox"


def test_a_prompt_without_a_mask_is_said(made: Callable[..., Recipe], model_zoo: Zoo) -> None:
    built = build(made("masked-lm", model_zoo["roberta"]))
    assert answer_to(built, "nothing to fill") == "the prompt has no <mask>"
    told = answer_to(built, "the <mask> <mask>")
    assert told.count(" · ") == 1


def test_a_chat_is_answered_and_one_that_stops_is_not_written(
    made: Callable[..., Recipe], chatting: Path, tmp_path: Path
) -> None:
    built = build(made("chat-sft", chatting, prompts=["hello", "again"]))
    whole = answer_to(built, "hello")
    assert "assistant" not in whole
    assert len(answer_to(built, "hello", lambda: True)) <= len(whole)
    asker(tmp_path, built, lambda: True)(3)
    assert not (tmp_path / files.SAMPLES).exists()
    built.model.train()
    asker(tmp_path, built, lambda: False)(3)
    told = store.read_lines(tmp_path / files.SAMPLES, RunSample)
    assert [(one.step, one.prompt) for one in told] == [(3, "hello"), (3, "again")]
    assert built.model.training


def test_a_text_is_gone_on_with_and_a_whole_model_answers_anew(
    made: Callable[..., Recipe], model_zoo: Zoo
) -> None:
    for task, name in (("causal-lm", "gpt2"), ("seq2seq", "t5")):
        built: Built = build(made(task, model_zoo[name]))
        assert not answer_to(built, "the quick fox").startswith("the quick fox")


# -- refusals ----------------------------------------------------------------------------------


def test_an_adapter_is_no_base(made: Callable[..., Recipe], model_zoo: Zoo) -> None:
    recipe = made(CLASSIFY, model_zoo["lora-labels"])
    source = resolve_model(recipe.model.ref, ())
    calls = (
        lambda: recipe_cost(recipe, 3),
        lambda: load_base(recipe, source, ("a", "b"), Job()),
    )
    for call in calls:
        error = refused(call)
        assert error.kind == "adapter"
        assert str(model_zoo["lora-labels"]) in error.message


def test_a_device_that_is_not_here_is_said(made: Callable[..., Recipe], model_zoo: Zoo) -> None:
    recipe = made(CLASSIFY, model_zoo["bert"], model={"device": "cuda:77"})
    error = refused(lambda: device_of(recipe))
    assert error.kind == "no-device"
    assert "cuda:77" in error.message
    assert device_of(made(CLASSIFY, model_zoo["bert"])) == "cpu"


def test_a_model_without_a_tokenizer_or_a_token_to_pad_with(
    made: Callable[..., Recipe], model_zoo: Zoo, zoo: Zoo, tmp_path: Path
) -> None:
    bare = without(model_zoo["bert"], tmp_path / "bare", "*token*")
    recipe = made(CLASSIFY, bare)
    error = refused(lambda: open_tokenizer(recipe, resolve_model(str(bare), ())))
    assert error.kind == "no-tokenizer"
    assert str(bare) in error.message
    unpadded = tmp_path / "unpadded"
    shutil.copytree(zoo["word-level"], unpadded)
    (unpadded / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}'
    )
    recipe = made(CLASSIFY, model_zoo["bert"], model={"tokenizer": str(unpadded)})
    error = refused(lambda: tokenizer_of(recipe))
    assert error.kind == "no-pad"


def test_tokens_that_no_row_has_are_no_reason_to_refuse(
    made: Callable[..., Recipe], model_zoo: Zoo, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    folder = tmp_path / "more"
    shutil.copytree(model_zoo["bert"], folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"zzyzx{number}" for number in range(1100)])
    tokenizer.save_pretrained(folder)
    built = build(made(CLASSIFY, folder))
    assert len(built.tokenizer) > built.model.config.vocab_size
    rows = rows_of(CLASSIFY)
    rows[2]["text"] = "a zzyzx1099 film"
    path = write_rows(tmp_path / "others.jsonl", rows)
    error = refused(lambda: build(recipe_for(CLASSIFY, folder, path)))
    assert error.kind == "other-tokenizer"


def test_a_chat_needs_a_template(
    made: Callable[..., Recipe], model_zoo: Zoo, starter_kit: Path
) -> None:
    from datasets import Dataset

    recipe = made("chat-sft", model_zoo["llama"])
    tokenizer = tokenizer_of(recipe)
    rows = Dataset.from_list(rows_of("chat-sft"))
    assert refused(lambda: encode_rows(recipe, tokenizer, (), rows)).kind == "no-template"


def test_a_preview_without_rows_to_evaluate_on_counts_only_the_others(
    made: Callable[..., Recipe], model_zoo: Zoo
) -> None:
    recipe = made(CLASSIFY, model_zoo["bert"], data={"eval": None}, training={"eval_every": None})
    found = preview(recipe)
    assert found.eval_rows == 0
    assert sum(label.train for label in found.labels) == found.train_rows == 16
    assert {label.held for label in found.labels} == {0}


def test_a_model_of_the_hub_is_looked_for_there(made: Callable[..., Recipe]) -> None:
    recipe = made(CLASSIFY, Path("lab/nothing"))
    error = refused(lambda: tokenizer_of(recipe))
    assert "lab/nothing" in error.message


# -- the probe ---------------------------------------------------------------------------------


def test_a_probe_fails_of_what_the_run_would_fail_of(
    made: Callable[..., Recipe], model_zoo: Zoo
) -> None:
    recipe = made(CLASSIFY, model_zoo["bert"], data={"train": "train[:0]"})
    error = refused(lambda: probe(recipe))
    assert error.kind == "empty-split"
    assert "train[:0]" in error.message


def test_a_probe_that_is_killed_says_how_it_ended(
    made: Callable[..., Recipe], model_zoo: Zoo
) -> None:
    def kill(_: Progress) -> None:
        for child in psutil.Process().children():
            if "hfterm.training.probe" in child.cmdline():
                os.kill(child.pid, signal.SIGKILL)

    error = refused(lambda: probe(made(CLASSIFY, model_zoo["bert"]), Job(kill)))
    assert error.kind == "probe"
    assert "exit code -9" in error.message
    assert "smaller batch" in error.remedy


def test_a_probe_without_rows_to_evaluate_on_measures_no_evaluation(
    made: Callable[..., Recipe], model_zoo: Zoo
) -> None:
    recipe = made(CLASSIFY, model_zoo["bert"], data={"eval": None}, training={"eval_every": None})
    found = probe(recipe)
    assert found.eval_seconds == 0
    assert found.total_seconds == pytest.approx(6 * found.step_seconds)
