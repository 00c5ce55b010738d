"""What a chat reads and writes as text: sampling, tokens, stop strings, prompts, figures."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hfterm.chat.agreement import MOST, Agreement, agreement
from hfterm.chat.conversation_types import AnswerNote
from hfterm.chat.decoding import (
    Decoder,
    FastDecoder,
    SlowDecoder,
    StopText,
    TokenNames,
    decoder_for,
)
from hfterm.chat.lab_types import WAYS, WayResult, spec_of
from hfterm.chat.measured import LEAST, Measured, Speed, fastest, way_of
from hfterm.chat.prompt_sets import Reply, read_prompts, to_markdown
from hfterm.chat.sampling_text import LIMITS, read_sampling, sampling_difference, sampling_texts
from hfterm.chat.types import Answer, LlmInfo, LlmSpec, Sampling
from hfterm.chat.words import answer_words, how_words, loaded_words, model_words
from hfterm.errors import HftermError

# -- sampling ----------------------------------------------------------------------------------


def _between(name: str) -> st.SearchStrategy[float]:
    return st.floats(*LIMITS[name][:2])


SAMPLINGS = st.builds(
    Sampling,
    temperature=_between("temperature"),
    top_k=st.integers(0, 1_000_000),
    top_p=_between("top_p"),
    min_p=_between("min_p"),
    repetition_penalty=_between("repetition_penalty"),
    max_new_tokens=st.integers(1, 10_000_000),
    stop=st.lists(
        st.text(st.sampled_from("\\,nt\n\t \ra🌍")) | st.text(), max_size=4
    ).map(lambda stops: tuple(stop for stop in stops if stop)),
    seed=st.none() | st.integers(0, 2**63 - 1),
)  # fmt: skip


@given(SAMPLINGS)
def test_sampling_comes_back_from_its_texts(sampling: Sampling) -> None:
    texts = sampling_texts(sampling)
    assert list(texts) == list(LIMITS) == list(msgspec.structs.asdict(sampling))
    assert all("\n" not in text and "\t" not in text for text in texts.values())
    assert read_sampling(texts) == sampling


def test_sampling_is_written_as_people_write_it() -> None:
    texts = sampling_texts(Sampling(temperature=1.0, stop=("\n\n", "a,b", "\\n"), seed=None))
    assert texts["temperature"] == "1"
    assert texts["top_p"] == "0.95"
    assert texts["stop"] == "\\n\\n,a\\,b,\\\\n"
    assert texts["seed"] == ""


@pytest.mark.parametrize(
    ("text", "stops"),
    [
        ("", ()),
        (",,", ()),
        ("a,,b", ("a", "b")),
        (" a , b", (" a ", " b")),
        ("\\", ("\\",)),
        ("\\x", ("\\x",)),
        ("a\\,b\\n\\t\\\\", ("a,b\n\t\\",)),
    ],
)
def test_stops_are_separated_by_commas(text: str, stops: tuple[str, ...]) -> None:
    assert read_sampling({**sampling_texts(Sampling()), "stop": text}).stop == stops


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("temperature", "-0.1"), ("temperature", "hot"), ("temperature", "nan"),
        ("temperature", ""), ("temperature", "inf"), ("temperature", "101"), ("top_k", "1.5"),
        ("top_k", "-1"), ("top_p", "0"), ("top_p", "1.01"), ("min_p", "2"),
        ("repetition_penalty", "0"), ("max_new_tokens", "0"), ("max_new_tokens", "9" * 5000),
        ("seed", "-1"), ("seed", "x"), ("seed", str(2**63)), ("top_k", "1\0"),
    ],
)  # fmt: skip
def test_a_field_that_can_t_be_is_named(name: str, text: str) -> None:
    with pytest.raises(HftermError) as caught:
        read_sampling({**sampling_texts(Sampling()), name: text})
    assert caught.value.kind == "bad-field"
    assert f"“{name}”" in caught.value.message
    assert LIMITS[name][2] in caught.value.remedy


@given(st.sampled_from(sorted(LIMITS)), st.text(st.characters(exclude_categories=())))
def test_no_field_raises_what_nobody_understands(name: str, text: str) -> None:
    try:
        sampling = read_sampling({**sampling_texts(Sampling()), name: text})
    except HftermError:
        return
    assert read_sampling(sampling_texts(sampling)) == sampling


def test_spaces_around_numbers_do_not_matter() -> None:
    texts = {name: f" {text} " for name, text in sampling_texts(Sampling(seed=7)).items()}
    assert read_sampling({**texts, "stop": ""}) == Sampling(seed=7)


# -- stop strings ------------------------------------------------------------------------------

LETTERS = st.sampled_from("ab\n🌍")
PIECES = st.lists(st.text(LETTERS, max_size=5), max_size=12)


def stopped(pieces: list[str], stops: list[str]) -> str:
    """What is shown of an answer that comes in pieces."""
    stop = StopText(stops)
    shown = ""
    for piece in pieces:
        shown += stop.take(piece)
        if stop.met:
            return shown
    return shown + stop.rest()


def cut(text: str, stops: list[str]) -> str:
    """The text up to the first stop string, whichever it is."""
    return text[: min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))]


@given(PIECES, st.text(LETTERS, min_size=1, max_size=4))
def test_a_stop_string_ends_the_answer_wherever_it_is_cut(pieces: list[str], stop: str) -> None:
    assert stopped(pieces, [stop]) == cut("".join(pieces), [stop])


@given(PIECES, st.lists(st.text(LETTERS, max_size=4), max_size=3))
@example(["a", "b", "\n"], ["ab\n", "b"])  # one within the beginning of another
def test_several_stop_strings_end_it_at_the_first_wherever_it_is_cut(
    pieces: list[str], stops: list[str]
) -> None:
    text = "".join(pieces)
    expected = cut(text, [stop for stop in stops if stop])
    assert stopped(pieces, stops) == expected
    assert stopped([text], stops) == expected
    assert stopped([*text], stops) == expected


@given(PIECES, st.lists(st.text(LETTERS, min_size=1, max_size=4), max_size=3))
def test_nothing_is_shown_that_is_taken_back(pieces: list[str], stops: list[str]) -> None:
    stop = StopText(stops)
    shown = ""
    for piece in pieces:
        shown += stop.take(piece)
        assert "".join(pieces).startswith(shown)
        assert not any(text in shown for text in stops)
        if stop.met:
            break
    assert stop.met == any(text in "".join(pieces) for text in stops)


def test_what_was_held_back_comes_at_the_end() -> None:
    stop = StopText(["###"])
    assert [stop.take(piece) for piece in ("a#", "#b", "##")] == ["a", "##b", ""]
    assert (stop.rest(), stop.rest(), stop.met) == ("##", "", False)


# -- tokens ------------------------------------------------------------------------------------

SAMPLES = (
    "Hello, world .  It 's  n't", "🌍👩‍👩‍👧‍👦🏳️‍🌈",
    "漢字と仮名、中文。", "café naïve e\u0301", " \n\n\t  x",
    "a\ufffdb", "<|im_start|>user\nhi<|im_end|>\n", "हिन्दी ไทย عربى", "x" * 50,
)  # fmt: skip


@cache
def _tokenizer(folder: str):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture
def tokenizer(starter_kit: Path):
    return _tokenizer(str(starter_kit / "smollm2"))


def joined(decoder: Decoder, ids: list[int]) -> str:
    return "".join([*(decoder.step(id_) for id_ in ids), decoder.rest()])


@pytest.mark.parametrize("kind", [FastDecoder, SlowDecoder])
@pytest.mark.parametrize("text", SAMPLES, ids=lambda text: ascii(text)[:20])
def test_tokens_give_what_decoding_gives(
    tokenizer,
    kind: type[FastDecoder | SlowDecoder], text: str,
) -> None:  # fmt: skip
    ids = tokenizer.encode(text)
    of = tokenizer.backend_tokenizer if kind is FastDecoder else tokenizer
    for end in range(len(ids) + 1):  # also cut within a character
        expected = tokenizer.decode(ids[:end], skip_special_tokens=True)
        assert joined(kind(of, ()), ids[:end]) == expected
    decoder = kind(of, ())
    shown = ""
    for id_ in ids:
        shown += decoder.step(id_)
        assert text.replace("<|im_start|>", "").replace("<|im_end|>", "").startswith(shown)


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_any_tokens_give_what_decoding_gives(starter_kit: Path, data: st.DataObject) -> None:
    tokenizer = _tokenizer(str(starter_kit / "smollm2"))
    broken = [tokenizer.encode(text)[at] for text in ("🌍", "漢", "é") for at in (0, -1)]
    some = st.one_of(
        st.lists(st.integers(0, len(tokenizer) - 1), max_size=8),
        st.lists(st.sampled_from([*broken, *tokenizer.all_special_ids]), max_size=6),
        st.sampled_from(SAMPLES).map(tokenizer.encode),
        st.text(max_size=8).map(tokenizer.encode),
    )
    ids = [id_ for part in data.draw(st.lists(some, max_size=5), "ids") for id_ in part]
    expected = tokenizer.decode(ids, skip_special_tokens=True)
    assert joined(SlowDecoder(tokenizer, ()), ids) == expected
    assert joined(FastDecoder(tokenizer.backend_tokenizer, ()), ids) == expected


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_bytes_that_are_no_letters_any_more_are_told(
    zoo: dict[str, Path], data: st.DataObject
) -> None:
    """Llama's vocabulary has a token for each byte; with the next ones it can be another letter."""
    tokenizer = _tokenizer(str(zoo["llama"]))
    bytes_ = tokenizer.convert_tokens_to_ids([f"<0x{byte:02X}>" for byte in range(256)])
    words = tokenizer.encode("they sat, they saw", add_special_tokens=False)
    ids = data.draw(st.lists(st.sampled_from(bytes_ * 2 + words * 20), max_size=12), "ids")
    shown = joined(FastDecoder(tokenizer.backend_tokenizer, ()), ids)
    whole = tokenizer.decode(ids, skip_special_tokens=True)
    assert shown == whole or "\ufffd" in whole


def test_a_letter_that_was_shown_stays_and_the_rest_is_told_anew(zoo: dict[str, Path]) -> None:
    tokenizer = _tokenizer(str(zoo["llama"]))
    ids = tokenizer.convert_tokens_to_ids(["<0x3E>", "<0x80>"])
    ids += tokenizer.encode("they", add_special_tokens=False)
    assert tokenizer.decode(ids).startswith("\ufffd\ufffd")
    decoder = FastDecoder(tokenizer.backend_tokenizer, ())
    assert [decoder.step(id_) for id_ in ids] == [">", "", "\ufffd they"]


@pytest.mark.parametrize("kind", [FastDecoder, SlowDecoder])
def test_what_stood_before_is_not_given_again(
    tokenizer,
    kind: type[FastDecoder | SlowDecoder],
) -> None:  # fmt: skip
    of = tokenizer.backend_tokenizer if kind is FastDecoder else tokenizer
    ids = tokenizer.encode("The harbour was quiet 🌍 and then it was not, said the captain of it.")
    for at in range(len(ids) + 1):
        before = tokenizer.decode(ids[:at], skip_special_tokens=True)
        whole = tokenizer.decode(ids, skip_special_tokens=True)
        if before.endswith("\ufffd"):
            continue
        assert before + joined(kind(of, ids[:at]), ids[at:]) == whole


def test_a_character_that_began_before_is_given_alike_by_both(tokenizer) -> None:
    ids = tokenizer.encode("a 🌍 b")
    whole = tokenizer.decode(ids)
    at = next(at for at in range(len(ids)) if tokenizer.decode(ids[:at]).endswith("\ufffd"))
    fast = joined(FastDecoder(tokenizer.backend_tokenizer, ids[:at]), ids[at:])
    slow = joined(SlowDecoder(tokenizer, ids[:at]), ids[at:])
    assert whole.endswith(fast)
    assert "🌍" in fast
    assert slow.strip() == fast.strip()  # who gives a space before it differs


def test_the_decoder_is_the_tokenizers_kind(tokenizer) -> None:
    assert isinstance(decoder_for(tokenizer), FastDecoder)


def test_names_are_text_where_they_can_be(tokenizer) -> None:
    ids = tokenizer.encode(" harbour")
    names = TokenNames(tokenizer)
    assert "".join(names.of(ids)) == " harbour"
    part, end = tokenizer.encode("🌍")[0], tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert names.of([part, end, len(tokenizer) + 9]) == [
        tokenizer.convert_ids_to_tokens(part), "<|im_end|>", f"id {len(tokenizer) + 9}",
    ]  # fmt: skip


# -- agreement ---------------------------------------------------------------------------------


def test_answers_are_compared_word_by_word() -> None:
    assert agreement("", "") == agreement(" \n", "") == Agreement(0, 1.0)
    assert agreement("a b c", "a  b\nc") == Agreement(3, 1.0)
    assert agreement("a b c", "a b d") == Agreement(2, pytest.approx(2 / 3))
    assert agreement("a", "") == Agreement(0, 0.0)
    assert agreement("x a b c", "a b c") == Agreement(0, pytest.approx(6 / 7))
    assert agreement("a b", "a b c d") == Agreement(2, pytest.approx(2 / 3))


@given(st.text("ab c\n"), st.text("ab c\n"))
def test_agreement_is_bounded_and_whole_only_for_the_same(one: str, two: str) -> None:
    found = agreement(one, two)
    assert 0 <= found.similarity <= 1
    assert (found.similarity == 1) == (one.split() == two.split())
    assert one.split()[: found.same_start] == two.split()[: found.same_start]
    assert agreement(two, one).same_start == found.same_start


def test_very_long_answers_are_compared_by_their_beginning() -> None:
    words = [f"w{at}" for at in range(MOST)]
    assert agreement(" ".join([*words, "x"]), " ".join([*words, "y"])) == Agreement(MOST, 1.0)


# -- prompts -----------------------------------------------------------------------------------


def test_a_line_is_a_prompt(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes("\ufeffone\r\n\n  two words \n漢字 🌍".encode())
    assert read_prompts(str(file)) == ["one", "two words", "漢字 🌍"]


def test_a_line_separator_within_a_prompt_is_no_line_end(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("one\u2028still one\x0cand still\ntwo\n", "utf-8")
    assert read_prompts(str(file)) == ["one\u2028still one\x0cand still", "two"]


@pytest.mark.parametrize("column", ["prompt", "question", "text"])
def test_a_column_holds_the_prompts(tmp_path: Path, column: str) -> None:
    prompts = ["one, and more", 'two "quoted"', "three\nlines"]
    with (tmp_path / "prompts.csv").open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([["id", column], *([at, p] for at, p in enumerate(prompts))])
    assert read_prompts(str(tmp_path / "prompts.csv")) == prompts
    lines = [json.dumps({"id": at, column: prompt}) for at, prompt in enumerate(prompts)]
    (tmp_path / "prompts.jsonl").write_text("\n".join([*lines, ""]))
    assert read_prompts(str(tmp_path / "prompts.jsonl")) == prompts


def test_the_first_column_that_is_there_counts(tmp_path: Path) -> None:
    (tmp_path / "prompts.csv").write_text("text,prompt\nno,yes\n")
    assert read_prompts(str(tmp_path / "prompts.csv")) == ["yes"]


def test_jsonl_with_other_line_ends_and_empty_lines_is_read(tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_bytes(b'{"prompt": "one"}\r\n\r\n  \n{"prompt": "two"}\r\n')
    assert read_prompts(str(tmp_path / "prompts.jsonl")) == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.txt", b"", "empty"),
        ("a.txt", b"\n \n", "empty"),
        ("a.txt", b"\xff\xfeo\0", "bad-file"),
        ("a.csv", b"", "empty"),
        ("a.csv", b"prompt\n", "empty"),
        ("a.csv", b"id,name\n1,x\n", "no-column"),
        ("a.csv", b"id,prompt\n1\n", "no-column"),
        ("a.jsonl", b"{", "bad-file"),
        ("a.jsonl", b"[1]", "no-column"),
        ("a.jsonl", b'{"prompt": 7}', "no-column"),
        ("a.jsonl", b'{"prompt": "x"}\n{"id": 1}', "no-column"),
        ("a.jsonl", b"[" * 100_000, "bad-file"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_bad_prompts_say_what_is_wrong(tmp_path: Path, name: str, data: bytes, kind: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(HftermError) as caught:
        read_prompts(str(tmp_path / name))
    assert caught.value.kind == kind
    assert name in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["", "gone.txt", "nul\0.txt"])
def test_prompts_that_can_t_be_read_say_so(tmp_path: Path, name: str) -> None:
    with pytest.raises(HftermError):
        read_prompts(str(tmp_path / name))


def test_a_bad_line_is_not_called_the_first(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"prompt": "one"}\n{"prompt": "two"}\n{oops}\n')
    with pytest.raises(HftermError) as caught:
        read_prompts(str(tmp_path / "a.jsonl"))
    assert "line 1" not in caught.value.message


def test_replies_stand_under_their_prompts() -> None:
    answer = Answer(
        text="Paris.", ids=(), tokens=11, prompt_tokens=3, ttft=1.0, seconds=2.0, stop_reason="end"
    )
    assert answer.tokens_per_s == 10.0
    replies = [
        Reply(prompt="a\nb", model="m", answer=answer),
        Reply(prompt="a\nb", model="n", error="No room."),
        Reply(prompt="c", model="m", answer=answer),
    ]
    assert to_markdown(replies) == (
        "## a b\n\n### m (11 tokens, 10.0 tokens/s)\n\nParis.\n\n"
        "### n\n\n*No room.*\n\n## c\n\n### m (11 tokens, 10.0 tokens/s)\n\nParis.\n"
    )
    assert to_markdown([]) == ""
    assert to_markdown([Reply(prompt="", model="m", error="x")]).startswith("## \n")


# -- words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"ref": "smollm2"}, "smollm2"),
        ({"ref": "org/name"}, "name"),
        ({"ref": "/models/name/"}, "name"),
        ({"ref": "/runs/1-warm/model"}, "1-warm/model"),
        ({"ref": "/runs/1-warm/merged/"}, "1-warm/merged"),
        ({"ref": "m", "adapter": "/r/1-warm/checkpoint-8"}, "m + 1-warm/checkpoint-8"),
        ({"ref": "m", "dtype": "bfloat16"}, "m · bfloat16"),
        ({"ref": "m", "quantization": "nf4", "dtype": "bfloat16"}, "m · nf4"),
        ({"ref": "m", "quantization": "fp4", "double_quant": False}, "m · fp4 single"),
        ({"ref": "m", "quantization": "int8", "double_quant": False}, "m · int8"),
        ({"ref": "/a/m.gguf", "engine": "llama.cpp"}, "m.gguf · llama.cpp"),
        ({"ref": "m", "engine": "server", "quantization": "nf4"}, "m · server"),
        ({"ref": "m", "quantization": "nf4", "adapter": "/r/lora"}, "m · nf4 + lora"),
    ],
)
def test_a_model_in_words(spec: dict[str, object], words: str) -> None:
    made = msgspec.convert(spec, LlmSpec)
    assert model_words(made) == words
    assert how_words(made) in words


def test_an_answer_in_words() -> None:
    note = AnswerNote(tokens=128, ttft=0.085, seconds=4.155, stop_reason="end")
    assert answer_words(note) == "31.2 tokens/s · first 85 ms · 128 tokens"
    one = AnswerNote(tokens=1, ttft=1.5, seconds=1.5, stop_reason="length")
    assert answer_words(one) == "first 1,500 ms · 1 token · length"
    assert answer_words(AnswerNote()) == "interrupted"
    assert answer_words(AnswerNote(stop_reason="")) == ""


def test_what_is_loaded_in_words() -> None:
    info = LlmInfo(
        spec=LlmSpec(ref="m"), name="LlamaForCausalLM", dtype="nf4",
        footprint=1_234_000_000, memory=50_000_000,
    )  # fmt: skip
    assert loaded_words(info) == "LlamaForCausalLM · nf4 · weights 1.2 GB · process 50.0 MB"
    assert loaded_words(LlmInfo(spec=LlmSpec(ref="m"), name="vLLM")) == "vLLM"


def test_the_labs_ways_are_ways_of_loading() -> None:
    base = LlmSpec(ref="m", quantization="fp4", dtype="float16", adapter="/a", context=7)
    for way in (*WAYS, "gguf"):
        spec = spec_of(base, way)
        assert way_of(spec) == ("llama.cpp" if way == "gguf" else way)
        assert (spec.ref, spec.adapter, spec.context) == ("m", "/a", 7)


# -- measured speeds ---------------------------------------------------------------------------


NOTE = AnswerNote(tokens=LEAST, ttft=1.0, seconds=2.0, stop_reason="length")


def test_speeds_are_kept_by_model_device_and_way(tmp_path: Path) -> None:
    file = tmp_path / "new" / "speeds.json"
    measured = Measured(file)
    assert measured.of("m", "auto") == {}
    spec = LlmSpec(ref="m", quantization="nf4")
    measured.note(spec, NOTE, 7)
    measured.note(LlmSpec(ref="m"), NOTE, 8)
    measured.note(LlmSpec(ref="m", device="cuda:0"), NOTE, 9)
    measured.note(LlmSpec(ref="m", engine="llama.cpp"), NOTE, 10)
    assert Measured(file).of("m", "auto") == {
        "nf4": Speed(LEAST - 1, 1.0, 7),
        "auto": Speed(LEAST - 1, 1.0, 8),
        "llama.cpp": Speed(LEAST - 1, 1.0, 10),
    }
    assert [*measured.of("m", "cuda:0")] == ["auto"]
    measured.note(spec, msgspec.structs.replace(NOTE, seconds=3.0), 11)  # the last one counts
    assert measured.of("m", "auto")["nf4"] == Speed((LEAST - 1) / 2, 1.0, 11)
    assert [path.name for path in file.parent.iterdir()] == ["speeds.json"]


def test_a_speed_is_that_of_the_weights_own_dtype_when_none_was_asked_for(tmp_path: Path) -> None:
    measured = Measured(tmp_path / "speeds.json")
    measured.note(LlmSpec(ref="m"), NOTE, 1, "bfloat16")
    measured.note(LlmSpec(ref="m", quantization="int8"), NOTE, 2, "bfloat16")
    assert [*measured.of("m", "auto")] == ["bfloat16", "int8"]


def test_what_the_lab_measured_is_kept(tmp_path: Path) -> None:
    measured = Measured(tmp_path / "speeds.json")
    spec = LlmSpec(ref="m")
    measured.note_way(spec, WayResult(way="nf4", tokens_per_s=9.0, ttft_s=0.5, memory=3))
    measured.note_way(spec, WayResult(way="fp4", error="no memory"))
    assert measured.of("m", "auto") == {"nf4": Speed(9.0, 0.5, 3)}


def test_a_sampling_is_told_from_another_by_its_fields() -> None:
    usual = Sampling()
    assert sampling_difference(usual, usual) == ""
    other = Sampling(temperature=0, seed=3, stop=(",",))
    assert sampling_difference(other, usual) == "temperature 0, stop \\,, seed 3"
    assert sampling_difference(usual, other) == "temperature 0.7, stop none, seed none"


@pytest.mark.parametrize(
    ("spec", "note"),
    [
        ({"ref": "m"}, {"tokens": LEAST - 1}),
        ({"ref": "m"}, {"seconds": 1.0}),
        ({"ref": "m"}, {"seconds": 0.5}),
        ({"ref": "m", "engine": "server"}, {}),
        ({"ref": "m", "adapter": "/a"}, {}),
    ],
)
def test_what_says_little_is_not_kept(
    tmp_path: Path, spec: dict[str, object], note: dict[str, object]
) -> None:
    measured = Measured(tmp_path / "speeds.json")
    measured.note(msgspec.convert(spec, LlmSpec), msgspec.structs.replace(NOTE, **note), 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"[]", b'{"m on auto": 7}', b'{"m on auto": {"nf4": {"ttft": 1}}}', b"\xff\xfe",
        b'{"m on auto": {"nf4": null}}', b"\0" * 100, b"[" * 100_000,
    ],
    ids=lambda data: ascii(data)[:20],
)  # fmt: skip
def test_a_damaged_file_of_speeds_is_an_empty_one(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "speeds.json"
    file.write_bytes(data)
    measured = Measured(file)
    assert measured.of("m", "auto") == {}
    measured.note(LlmSpec(ref="m"), NOTE, 1)
    assert [*measured.of("m", "auto")] == ["auto"]


def test_a_place_where_no_speeds_can_be_kept_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "file" / "speeds.json", tmp_path / "folder"):
        measured = Measured(place)
        measured.note(LlmSpec(ref="m"), NOTE, 1)
        assert measured.of("m", "auto") == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_the_fastest_is_one_of_several() -> None:
    slow, fast = Speed(1.0, 0.1, 1), Speed(2.0, 0.9, 9)
    assert fastest({}) == fastest({"nf4": slow}) == ""
    assert fastest({"nf4": slow, "bfloat16": fast}) == "bfloat16"
