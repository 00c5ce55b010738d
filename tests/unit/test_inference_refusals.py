"""What inference refuses or ends early: odd weights, missing tokenizers, full contexts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from inference_fixtures import Shelf, models, shelf
from transformers.cache_utils import DynamicLayer

import chat_models
from hfterm.chat.decoding import SlowDecoder, TokenNames, decoder_for
from hfterm.chat.growing_cache import SHORT, GrowingLayer
from hfterm.chat.loading import ends_of
from hfterm.chat.prompting import prompt, render
from hfterm.chat.transformers_backend import TransformersBackend
from hfterm.chat.types import Ask, LlmSpec, Message, Sampling
from hfterm.errors import HftermError
from hfterm.inference.batch import predict_rows
from hfterm.inference.embedding import embed
from hfterm.inference.inputs import check_finite
from hfterm.inference.loading import OpenModel, load_model
from hfterm.inference.options import BatchOptions, TaskOptions
from hfterm.inference.seq2seq import decode_by_hand, start_token
from hfterm.job import Job
from hfterm.models.types import ModelSpec

_ = models, shelf  # fixtures

TEXT = "The quick brown fox"
CAUSAL = "AutoModelForCausalLM"


def fresh(shelf: Shelf, name: str, auto: str, **more: Any) -> OpenModel:
    """A model that a test may change."""
    return load_model(ModelSpec(ref=str(shelf.folders.get(name, name)), auto=auto, **more))


# -- numbers that are none -------------------------------------------------------------------


def test_numbers_that_are_none_are_blamed_on_what_they_came_from(shelf: Shelf) -> None:
    opened = fresh(shelf, "bert-labels", "AutoModelForSequenceClassification")
    bad = torch.tensor([1.0, float("inf")])
    check_finite(opened, torch.ones(2))
    with pytest.raises(HftermError, match="the weights are finite, so float32 overflowed") as none:
        check_finite(opened, bad)
    assert "No dtype here is wider" in none.value.remedy
    names = [name for name, _ in opened.model.named_parameters()][2:4]
    with torch.no_grad():
        for name in names:
            opened.model.get_parameter(name).view(-1)[0] = float("nan")
    with pytest.raises(HftermError, match="2 weights hold NaN or infinite values") as two:
        check_finite(opened, bad)
    assert f"{names[0]} the first" in two.value.message
    assert "damaged" in two.value.remedy


# -- decoders --------------------------------------------------------------------------------


def test_a_decoder_that_nobody_says_how_to_start_is_refused(shelf: Shelf) -> None:
    opened = fresh(shelf, "t5-no-start", "AutoModelForSeq2SeqLM")
    opened.model.config.decoder_start_token_id = None
    opened.model.generation_config.decoder_start_token_id = None
    start, untold = start_token(opened)
    assert (start, untold) == (opened.text.pad_token_id, True)
    opened.text.pad_token = None
    with pytest.raises(HftermError, match="which token the decoder starts with") as caught:
        start_token(opened)
    assert "decoder_start_token_id" in caught.value.remedy


def test_tokens_that_a_config_forces_come_at_their_places(shelf: Shelf) -> None:
    opened = fresh(shelf, "bart", "AutoModelForSeq2SeqLM")
    told = opened.model.generation_config
    told.eos_token_id = None
    told.forced_bos_token_id, told.forced_eos_token_id = 17, 23
    found = decode_by_hand(opened, TEXT, new_tokens=4)
    assert [step.id for step in found.steps][::3] == [17, 23]
    assert found.same_as_generate
    told.forced_bos_token_id = told.forced_eos_token_id = None
    full = decode_by_hand(opened, TEXT, new_tokens=500)
    assert full.ended == "context full"
    assert len(full.steps) == opened.info.limit
    assert full.same_as_generate


# -- texts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("texts", [[], ["", " \n"]])
def test_no_text_has_no_embedding(shelf: Shelf, texts: list[str]) -> None:
    with pytest.raises(HftermError, match="There is no text") as caught:
        embed(shelf.open("bert", "feature-extraction"), texts)
    assert caught.value.kind == "empty"


def test_a_class_without_hidden_states_is_no_class_for_embeddings(shelf: Shelf) -> None:
    opened = shelf.open("bert-labels", "text-classification")
    with pytest.raises(HftermError, match="gives no last_hidden_state") as caught:
        embed(opened, [TEXT])
    assert caught.value.remedy == "Load it as AutoModel."


def test_a_row_without_tokens_is_named(shelf: Shelf, zoo: dict[str, Path], tmp_path: Path) -> None:
    opened = shelf.open("bert-labels", "text-classification", tokenizer=str(zoo["characters"]))
    file = tmp_path / "rows.csv"
    file.write_text('text,n\nfox,1\n"",2\nfox,3\n')
    options = TaskOptions(task="text-classification")
    with pytest.raises(HftermError, match="2") as caught:
        predict_rows(opened, str(file), options, BatchOptions(column="text"), Job())
    assert caught.value.kind == "empty"


# -- loading ---------------------------------------------------------------------------------


def test_an_architecture_alone_has_no_tokenizer() -> None:
    opened = load_model(ModelSpec(ref="decision_transformer", auto="AutoModel", random=True))
    assert opened.tokenizer is None
    assert opened.info.verdict == "random"
    with pytest.raises(HftermError, match="has no tokenizer"):
        _ = opened.text


def test_a_config_file_is_built_with_the_tokenizer_beside_it(shelf: Shelf, tmp_path: Path) -> None:
    for file in (*shelf.folders["bert"].glob("*token*"), shelf.folders["bert"] / "config.json"):
        shutil.copy(file, tmp_path)
    opened = load_model(ModelSpec(ref=str(tmp_path / "config.json"), auto="AutoModel"))
    assert opened.info.verdict == "random"
    whole = shelf.open("bert", "feature-extraction")
    assert opened.text(TEXT)["input_ids"] == whole.text(TEXT)["input_ids"]


def test_an_adapter_alone_takes_its_base_s_tokenizer(shelf: Shelf, tmp_path: Path) -> None:
    alone = tmp_path / "adapter"
    alone.mkdir()
    for file in shelf.folders["lora-labels"].glob("adapter*"):
        shutil.copy(file, alone)
    opened = load_model(ModelSpec(ref=str(alone), auto="AutoModelForSequenceClassification"))
    assert opened.text.name_or_path == str(shelf.folders["bert"])


def test_a_tokenizer_that_is_broken_matters_only_when_it_was_asked_for(
    shelf: Shelf, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(shelf.folders["bert"], broken)
    (broken / "tokenizer_config.json").write_text('{"tokenizer_class": "NoSuchTokenizer"}')
    (broken / "tokenizer.json").write_text("{}")
    (broken / "vocab.txt").unlink(missing_ok=True)
    own = load_model(ModelSpec(ref=str(broken), auto="AutoModel"))
    assert own.tokenizer is None
    with pytest.raises(HftermError, match="can't be opened") as caught:
        load_model(
            ModelSpec(ref=str(shelf.folders["bare"]), auto="AutoModel", tokenizer=str(broken))
        )
    assert caught.value.kind == "no-tokenizer"
    assert str(broken) in caught.value.message


def test_an_encoder_that_is_to_generate_is_said_to_read_both_ways(shelf: Shelf) -> None:
    opened = load_model(ModelSpec(ref=str(shelf.folders["bert-mlm"]), auto=CAUSAL))
    assert "reads in both directions" in opened.info.meaning


# -- chat ------------------------------------------------------------------------------------


def asked(*texts: str, **sampling: Any) -> Ask:
    return Ask(
        messages=tuple(Message("user", text) for text in texts),
        sampling=Sampling(**({"temperature": 0, "max_new_tokens": 4} | sampling)),
    )


def test_nothing_to_answer_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    chat_models.tokenizer(folder, ["<a>", "<b>"], None)
    plain = transformers.AutoTokenizer.from_pretrained(folder)
    with pytest.raises(HftermError, match="nothing to answer"):
        render(plain, (), "tiny")
    with pytest.raises(HftermError, match="has no tokens"):
        prompt(plain, (Message("user", ""),), "tiny")
    assert prompt(plain, (Message("user", ""),), "tiny", prefix="ab").ids


def test_a_template_that_fails_by_itself_points_to_where_it_is_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    chat_models.tokenizer(folder, ["<a>", "<b>"], "{{ 1 // 0 }}")
    broken = transformers.AutoTokenizer.from_pretrained(folder)
    with pytest.raises(HftermError, match="template of tiny can't be applied") as caught:
        render(broken, (Message("user", "Hi"),), "tiny")
    assert "Template on the Tokenize screen" in caught.value.remedy


def test_a_model_that_knows_no_end_writes_until_it_has_all_it_was_asked_for(
    tmp_path: Path,
) -> None:
    backend = TransformersBackend(LlmSpec(ref=str(chat_models.llama3(tmp_path / "m"))), Job())
    opened = backend._opened
    opened.model.generation_config.eos_token_id = None
    opened.text.eos_token = None
    assert ends_of(opened) == frozenset()
    backend._ends = frozenset()
    answer = backend.answer(asked("Hello", max_new_tokens=40), Job())
    assert (answer.tokens, answer.stop_reason) == (40, "length")


def test_a_long_prompt_is_read_in_pieces_between_which_it_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = TransformersBackend(LlmSpec(ref=str(chat_models.llama3(tmp_path / "m"))), Job())
    whole = backend.answer(asked("word " * 40), Job())
    monkeypatch.setattr("hfterm.chat.transformers_backend.PIECE", 50)
    told: list[str] = []
    pieces = backend.answer(asked("word " * 40), Job(lambda progress: told.append(progress.stage)))
    assert pieces.text == whole.text
    assert told.count("reading the prompt") == (whole.prompt_tokens - 1) // 50
    job = Job(cancelled=lambda: True)
    stopped = backend.answer(asked("other " * 40), job)
    assert (stopped.text, stopped.tokens, stopped.stop_reason) == ("", 0, "stopped")
    assert job.partial


def test_a_model_that_keeps_no_usual_cache_answers_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "xlnet"
    size = chat_models.tokenizer(folder, ["<s>", "</s>"], None)
    torch.manual_seed(0)
    transformers.XLNetLMHeadModel(
        transformers.XLNetConfig(vocab_size=size, d_model=16, n_layer=1, n_head=2, d_inner=32)
    ).save_pretrained(folder)
    backend = TransformersBackend(LlmSpec(ref=str(folder)), Job())
    first, second = (backend.answer(asked("Hello"), Job()) for _ in range(2))
    assert first.tokens > 0
    assert first.ids == second.ids
    assert second.reused_tokens == 0


def test_tokens_of_a_tokenizer_in_python_come_one_by_one_too(zoo: dict[str, Path]) -> None:
    slow = transformers.AutoTokenizer.from_pretrained(zoo["byt5"])
    decoder = decoder_for(slow, [])
    assert isinstance(decoder, SlowDecoder)
    ids = slow(TEXT + " é🤗", add_special_tokens=False)["input_ids"]
    assert "".join(map(decoder.step, ids)) + decoder.rest() == TEXT + " é🤗"


def test_tokens_that_are_no_bytes_are_named_as_the_vocabulary_writes_them(
    zoo: dict[str, Path],
) -> None:
    words = transformers.AutoTokenizer.from_pretrained(zoo["wordpiece-uncased"])
    ids = words(TEXT, add_special_tokens=False)["input_ids"]
    assert TokenNames(words).of([*ids, 10**6]) == [*words.tokenize(TEXT), "id 1000000"]


def test_room_ahead_changes_nothing_of_what_is_kept() -> None:
    growing, usual = GrowingLayer(), DynamicLayer()
    for count in (SHORT + 1, 1, 2 * SHORT, 1):  # the first is too long to be copied each time
        new = torch.rand(1, 2, count, 4)
        for kept, told in zip(growing.update(new, -new), usual.update(new, -new), strict=True):
            assert torch.equal(kept, told)
    assert growing.get_seq_length() == usual.get_seq_length()
    growing.reset()
    assert growing._key_room is None
