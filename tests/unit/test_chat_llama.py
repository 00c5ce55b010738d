"""A chat over llama.cpp is llama-cpp-python's own completion, watched."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hfterm.chat import llama_library
from hfterm.chat.gguf_files import GgufHeader, find_gguf, parts_of, read_header
from hfterm.chat.llama_backend import LlamaCppBackend
from hfterm.chat.types import Answer, Ask, LlmSpec, Message, Sampling, Token
from hfterm.errors import Cancelled, HftermError
from hfterm.hub.starter import starter_gguf
from hfterm.job import Job, Progress

GREEDY = Sampling(temperature=0, max_new_tokens=24)
FRANCE = "What is the capital of France?"


def entry(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def gguf(*entries: bytes, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, 0, len(entries)) + b"".join(entries)


HEADER = (
    entry("general.architecture", 8, text("llama")),
    entry("general.languages", 9, struct.pack("<IQ", 8, 2) + text("en") + text("de")),
    entry("llama.some", 9, struct.pack("<IQ3f", 6, 3, 1, 2, 3)),
    entry("llama.context_length", 4, struct.pack("<I", 512)),
    entry("general.file_type", 4, struct.pack("<I", 3)),
)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "small.gguf"
    file.write_bytes(gguf(*HEADER))
    return file


def refused(call: Callable[[], object]) -> HftermError:
    with pytest.raises(HftermError) as raised:
        call()
    assert raised.value.remedy
    return raised.value


def test_a_header_is_read_without_any_library(small: Path, tmp_path: Path) -> None:
    assert read_header(small) == GgufHeader("llama", 512, 3)
    vocabulary = entry("tokenizer.ggml.tokens", 9, b"not read any more")
    small.write_bytes(gguf(*HEADER, vocabulary))
    assert read_header(small) == GgufHeader("llama", 512, 3)
    small.write_bytes(gguf(HEADER[0]))
    assert read_header(small) == GgufHeader("llama", 0, -1)


def test_a_header_says_what_a_context_takes(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = {
        "block_count": 32, "attention.head_count": 32, "attention.head_count_kv": 8,
        "embedding_length": 4096, "context_length": 131_072,
    }  # fmt: skip
    numbers = (entry(f"llama.{key}", 4, struct.pack("<I", n)) for key, n in shape.items())
    small.write_bytes(gguf(HEADER[0], *numbers))
    header = read_header(small)
    assert header.per_token == 2 * 32 * 8 * (128 + 128)  # Llama 3's 128 kB
    monkeypatch.setattr(llama_library, "_free_memory", lambda: 8_000_000_000)
    error = refused(lambda: llama_library._context(LlmSpec(ref="it"), header))
    assert error.kind == "memory"
    assert "17.2 GB" in error.message
    assert llama_library._context(LlmSpec(ref="it", context=8192), header) == 8192


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "not-gguf"),
        (b"PK\3\4 a wheel", "not-gguf"),
        (gguf(*HEADER)[:40], "damaged-gguf"),
        (gguf(*HEADER)[:90], "damaged-gguf"),
        (gguf(*HEADER, version=1), "old-gguf"),
        (gguf(entry("k", 77, b"")), "damaged-gguf"),
        (gguf(struct.pack("<Q", 1 << 60)), "damaged-gguf"),
        (gguf(entry("k", 9, struct.pack("<IQ", 4, 1 << 62))), "damaged-gguf"),
    ],
)
def test_a_header_that_is_none_is_said(small: Path, content: bytes, kind: str) -> None:
    small.write_bytes(content)
    assert refused(lambda: read_header(small)).kind == kind


def test_a_reference_is_a_file_or_a_folder_with_one(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_gguf(str(small)) == small
    assert find_gguf(str(tmp_path)) == small
    monkeypatch.chdir(tmp_path)
    assert find_gguf("./small.gguf") == small
    (tmp_path / "mmproj-small.gguf").write_bytes(b"")
    assert find_gguf(str(tmp_path)) == small
    (tmp_path / "other.gguf").write_bytes(b"")
    error = refused(lambda: find_gguf(str(tmp_path)))
    assert error.kind == "several-gguf"
    assert "other.gguf, small.gguf" in error.message


def test_the_parts_of_a_model_are_one(tmp_path: Path) -> None:
    parts = [tmp_path / f"m-{n:05}-of-00002.gguf" for n in (1, 2)]
    for part in parts:
        part.write_bytes(b"GGUF")
    assert find_gguf(str(tmp_path)) == parts[0]
    assert list(parts_of(parts[0])) == parts


def test_a_repository_of_the_cache_is_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert refused(lambda: find_gguf("owner/name")).kind == "not-found"
    folder = tmp_path / "models--owner--name"
    snapshot = folder / "snapshots/abc"
    (snapshot / "Q4").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text("abc")
    assert refused(lambda: find_gguf("owner/name")).kind == "no-gguf"
    (folder / "blob").write_bytes(b"GGUF")
    (snapshot / "Q4/it.gguf").symlink_to(folder / "blob")
    assert find_gguf("owner/name") == snapshot / "Q4/it.gguf"


@pytest.mark.parametrize("ref", ["", "/no/such.gguf", "~nobody-at-all/x", "a b", "x" * 300, "a\0b"])
def test_what_names_nothing_is_refused(ref: str) -> None:
    refused(lambda: find_gguf(ref))


def test_another_kind_of_model_is_sent_to_transformers(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    for ref in (str(tmp_path), str(tmp_path / "config.json"), "minilm"):
        error = refused(lambda ref=ref: find_gguf(ref))
        assert error.kind == "no-gguf"
        assert "transformers" in error.remedy


def test_a_starter_that_is_not_here_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HFTERM_STARTER", str(tmp_path))
    assert refused(lambda: find_gguf("smollm2")).remedy == "Run: hfterm starter smollm2"


def test_a_missing_library_says_how_to_install_it(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    error = refused(lambda: LlamaCppBackend(LlmSpec(ref=str(small), engine="llama.cpp"), Job()))
    assert error.kind == "no-llama"
    assert error.remedy == 'pip install "hfterm[gguf]"'


def spec(**more: object) -> LlmSpec:
    return LlmSpec(**{"ref": "smollm2", "engine": "llama.cpp", "context": 2048, **more})  # pyright: ignore[reportArgumentType]


@cache
def backend(of: LlmSpec) -> LlamaCppBackend:
    return LlamaCppBackend(of, Job())


@pytest.fixture
def llm(starter_kit: Path) -> LlamaCppBackend:
    pytest.importorskip("llama_cpp")
    if starter_gguf("smollm2") is None:
        pytest.skip("the starter kit has no GGUF file")
    return backend(spec())


def user(*texts: str) -> tuple[Message, ...]:
    roles = ("user", "assistant")
    return tuple(Message(roles[at % 2], text) for at, text in enumerate(texts))


def tell(
    llm: LlamaCppBackend, ask: Ask, stop_after: int | None = None
) -> tuple[Answer, list[Token]]:
    tokens: list[Token] = []
    job = Job(
        None, lambda: stop_after is not None and len(tokens) >= stop_after,
        tokens.append,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    answer = llm.answer(ask, job)
    assert "".join(token.text for token in tokens) == answer.text
    assert job.partial == (answer.stop_reason == "stopped")
    return answer, tokens


def own(llm: LlamaCppBackend, ids: list[int], most: int) -> tuple[list[int], str]:
    """The ids and the text that the library's own completion gives, from an empty cache."""
    llama = llm._model._llama
    made: list[int] = []
    generate = llama.generate

    def watched(*told: object, **more: object) -> Iterator[int]:
        for id_ in generate(*told, **more):
            made.append(id_)
            yield id_

    llm._model.keep(0)
    llama.generate = watched
    try:
        said = llama.create_completion(ids, temperature=0, max_tokens=most)
    finally:
        del llama.generate
    llm._model.keep(0)
    return made, said["choices"][0]["text"]


def test_what_is_loaded_is_described(llm: LlamaCppBackend) -> None:
    info, file = llm.info, starter_gguf("smollm2")
    assert file is not None
    assert (info.dtype, info.footprint, info.context) == ("Q4_1", file.stat().st_size, 2048)
    assert "llama.cpp" in info.name
    assert info.has_template
    assert info.parameters == 134_515_008
    assert 2 in info.ends
    assert info.memory > 0
    assert Path(info.tokenizer).exists()


def test_greedy_is_the_completion_itself(llm: LlamaCppBackend) -> None:
    questions = json.loads((Path(__file__).parents[1] / "data/chat_prompts.json").read_text())
    for question in [FRANCE, "Write “naïve 🦊 日本”.", *questions[:8]]:
        answer, _ = tell(llm, Ask(messages=user(question), sampling=GREEDY))
        ids = llm._prompt(user(question), "", [])[1]
        assert answer.prompt_tokens == len(ids)
        made, said = own(llm, ids, 24)
        assert list(answer.ids) == made, question
        assert answer.text == said
        assert answer.reused_tokens == 0


def test_the_prompt_is_that_of_transformers(llm: LlamaCppBackend, starter_kit: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(starter_kit / "smollm2")
    for messages in (
        user(FRANCE),
        user("a  1 2345 né 🦊 <|im_end|>", "Yes.\n\n", " and\tthen "),
        (Message("system", "Be brief."), *user("Hi", "Hello", "Bye")),
    ):
        plain = [{"role": said.role, "content": said.content} for said in messages]
        made, ids = llm._prompt(messages, "", [])
        assert made == tokenizer.apply_chat_template(
            plain, tokenize=False, add_generation_prompt=True
        )
        assert ids == tokenizer(made, add_special_tokens=False)["input_ids"]


def test_a_token_says_how_sure_the_model_was(llm: LlamaCppBackend) -> None:
    _, tokens = tell(llm, Ask(messages=user(FRANCE), sampling=GREEDY))
    llm._model.keep(0)
    llm._model.read(llm._prompt(user(FRANCE), "", [])[1])
    for token in tokens:
        row = llm._model.logits().astype(np.float64)
        shares = np.exp(row - row.max())
        shares /= shares.sum()
        assert token.probability == pytest.approx(shares[token.id], abs=1e-5)
        assert token.entropy == pytest.approx(-(shares * np.log(shares)).sum(), abs=1e-4)
        best = np.argsort(-shares, kind="stable")[:5]
        assert [other.id for other in token.alternatives] == best.tolist()
        assert [other.probability for other in token.alternatives] == pytest.approx(
            shares[best], abs=1e-5
        )
        llm._model.read([token.id])
    assert "".join(token.name for token in tokens).startswith(tokens[0].text)


def test_log_probs_are_of_every_place(llm: LlamaCppBackend) -> None:
    ids, logs = llm.read("The quick brown fox jumps over the lazy dog. " * 20, 150, Job())
    assert len(ids) == 150
    assert (logs.shape, logs.dtype) == ((150, 49152), np.float32)
    assert np.allclose(np.exp(logs.astype(np.float64)).sum(axis=1), 1, atol=1e-4)
    shorter = llm.log_probs(ids[:20], Job())
    assert np.abs(shorter - logs[:20]).max() < 0.5
    assert logs[np.arange(60, 149), ids[61:]].mean() > -0.5  # it has seen the sentence before
    assert refused(lambda: llm.log_probs(ids * 20, Job())).kind == "context-full"
    with pytest.raises(Cancelled):
        llm.log_probs(ids, Job(None, lambda: True))


def test_it_stops_at_a_token_and_goes_on_from_it(llm: LlamaCppBackend) -> None:
    sampling = Sampling(temperature=0, max_new_tokens=40)
    question = user("Tell me a story about a fox.")
    whole, _ = tell(llm, Ask(messages=question, sampling=sampling))
    part, tokens = tell(llm, Ask(messages=question, sampling=sampling), stop_after=7)
    assert part.stop_reason == "stopped"
    assert part.ids == whole.ids[:7]
    assert len(tokens) == 7
    rest, _ = tell(llm, Ask(messages=question, sampling=sampling, prefix_ids=part.ids))
    assert rest.prompt_tokens == part.prompt_tokens + 7
    assert whole.text.startswith(part.text + rest.text[:20])
    typed, _ = tell(llm, Ask(messages=question, sampling=sampling, prefix=part.text))
    assert typed.text == rest.text
    ended = (*part.ids, llm.info.ends[-1])
    again, _ = tell(llm, Ask(messages=question, sampling=sampling, prefix_ids=ended))
    assert again.ids == rest.ids


def test_a_character_of_several_tokens_is_given_whole(llm: LlamaCppBackend) -> None:
    ids = tuple(llm._model.tokens("🦊🦊", begin=False))
    assert len(ids) > 2
    pieces: list[str] = []
    for at, id_ in enumerate(ids):
        ask = Ask(
            messages=user("Say fox."), sampling=Sampling(temperature=0, max_new_tokens=1),
            prefix_ids=ids[:at], force=id_,
        )  # fmt: skip
        pieces.append(tell(llm, ask)[1][0].text)
    assert "".join(pieces) == "🦊🦊"


def test_another_token_may_be_forced(llm: LlamaCppBackend) -> None:
    question = user(FRANCE)
    _, tokens = tell(llm, Ask(messages=question, sampling=GREEDY))
    other = tokens[3].alternatives[1]
    ids = tuple(token.id for token in tokens[:3])
    answer, forced = tell(
        llm, Ask(messages=question, sampling=GREEDY, prefix_ids=ids, force=other.id)
    )
    assert answer.ids[0] == other.id
    assert forced[0].probability == pytest.approx(other.probability, abs=0.05)
    assert len(answer.ids) > 1


def test_the_second_turn_reads_only_what_is_new(llm: LlamaCppBackend) -> None:
    first, _ = tell(llm, Ask(messages=user(FRANCE), sampling=GREEDY, conversation="a"))
    assert first.reused_tokens == 0
    turns = user(FRANCE, first.text, "And of Spain?")
    second, _ = tell(llm, Ask(messages=turns, sampling=GREEDY, conversation="a"))
    assert second.reused_tokens >= first.prompt_tokens
    fresh, _ = tell(llm, Ask(messages=turns, sampling=GREEDY, conversation="b"))
    assert fresh.reused_tokens == 0
    assert second.ids == fresh.ids
    # the same again: one token is read for its logits
    again, _ = tell(llm, Ask(messages=turns, sampling=GREEDY, conversation="b"))
    assert again.reused_tokens == again.prompt_tokens - 1
    # an earlier message was edited: only what stands before it is used again
    edited, _ = tell(llm, Ask(messages=user("What is 2+2?"), sampling=GREEDY, conversation="b"))
    alone, _ = tell(llm, Ask(messages=user("What is 2+2?"), sampling=GREEDY))
    assert 0 < edited.reused_tokens < edited.prompt_tokens
    assert edited.ids == alone.ids
    llm.log_probs([1, 2, 3], Job())
    after, _ = tell(llm, Ask(messages=user("What is 2+2?"), sampling=GREEDY, conversation="b"))
    assert after.reused_tokens == 0


def test_sampling_is_the_same_with_a_seed_and_bounded_by_what_is_asked(
    llm: LlamaCppBackend,
) -> None:
    hot = Sampling(temperature=1.5, top_k=0, top_p=1.0, max_new_tokens=12, seed=3)
    one, _ = tell(llm, Ask(messages=user(FRANCE), sampling=hot))
    two, _ = tell(llm, Ask(messages=user(FRANCE), sampling=hot))
    assert one.ids == two.ids
    others = {
        tell(llm, Ask(messages=user(FRANCE), sampling=msgspec.structs.replace(hot, seed=seed)))[
            0
        ].ids
        for seed in (4, 5, None, None)
    }
    assert len(others) > 2
    greedy, _ = tell(llm, Ask(messages=user(FRANCE), sampling=GREEDY))
    for narrow in (
        Sampling(temperature=1.5, top_k=1, seed=3, max_new_tokens=24),
        Sampling(temperature=1.5, top_p=1e-6, seed=3, max_new_tokens=24),
        Sampling(temperature=1.5, min_p=1.0, top_k=0, top_p=1.0, seed=3, max_new_tokens=24),
    ):
        assert tell(llm, Ask(messages=user(FRANCE), sampling=narrow))[0].ids == greedy.ids
    penal = Sampling(temperature=0, repetition_penalty=10.0, max_new_tokens=24)
    asked = user("Say ha ha ha.")
    spread, tokens = tell(llm, Ask(messages=asked, sampling=penal))
    assert len(set(spread.ids)) == len(spread.ids)
    assert not set(spread.ids[:-1]) & set(llm._prompt(asked, "", [])[1])  # as transformers' does
    assert any(token.alternatives[0].id != token.id for token in tokens)  # the model's own opinion


def test_a_stop_string_ends_the_answer_and_is_no_part_of_it(llm: LlamaCppBackend) -> None:
    whole, _ = tell(llm, Ask(messages=user(FRANCE), sampling=GREEDY))
    end = whole.text[9:17]  # it begins and ends inside of tokens
    stopped = Sampling(temperature=0, stop=(end, "never said"), max_new_tokens=24)
    answer, _ = tell(llm, Ask(messages=user(FRANCE), sampling=stopped))
    assert answer.stop_reason == "stop string"
    assert answer.text == whole.text[: whole.text.index(end)]


def test_an_end_token_ends_it_and_adds_nothing(llm: LlamaCppBackend) -> None:
    for id_ in llm.info.ends:
        answer, tokens = tell(llm, Ask(messages=user(FRANCE), sampling=GREEDY, force=id_))
        assert (answer.stop_reason, answer.text, answer.ids) == ("end", "", (id_,))
        assert tokens[0].name.startswith("<")


def test_a_context_that_is_full_is_said_and_never_cut(llm: LlamaCppBackend) -> None:
    narrow = backend(spec(context=64))
    error = refused(lambda: tell(narrow, Ask(messages=user("word " * 100), sampling=GREEDY)))
    assert error.kind == "context-full"
    assert "64" in error.message
    long = Sampling(temperature=0, max_new_tokens=500)
    answer, _ = tell(narrow, Ask(messages=user("Tell me a long story."), sampling=long))
    assert answer.stop_reason == "context full"
    assert answer.prompt_tokens + answer.tokens == 64
    error = refused(lambda: LlamaCppBackend(spec(context=1_000_000), Job()))
    assert error.kind == "context-too-long"
    assert "8,192" in error.message


def test_a_long_prompt_is_read_in_pieces_and_can_be_stopped(llm: LlamaCppBackend) -> None:
    seen: list[Progress] = []
    job = Job(seen.append, lambda: len(seen) > 1)
    ask = Ask(messages=user("word " * 1500), sampling=GREEDY, conversation="long")
    answer = llm.answer(ask, job)
    assert (answer.stop_reason, answer.text, job.partial) == ("stopped", "", True)
    assert [report.done for report in seen] == [0, 512]
    rest, _ = tell(llm, Ask(messages=ask.messages, sampling=GREEDY, conversation="long"))
    assert rest.reused_tokens == 1024
    assert rest.tokens > 0


def test_a_file_that_is_broken_says_why(llm: LlamaCppBackend, tmp_path: Path) -> None:
    whole = starter_gguf("smollm2")
    assert whole is not None
    cut = tmp_path / "cut.gguf"
    with whole.open("rb") as opened:
        cut.write_bytes(opened.read(8_000_000))
    error = refused(lambda: LlamaCppBackend(spec(ref=str(cut)), Job()))
    assert error.kind == "llama-failed"
    assert "not within the file bounds" in error.message or "corrupt" in error.message
    other = tmp_path / "other.gguf"
    other.write_bytes(gguf(entry("general.architecture", 8, text("frobnicator"))))
    error = refused(lambda: LlamaCppBackend(spec(ref=str(other), context=0), Job()))
    assert error.kind == "unknown-architecture"
    assert "frobnicator" in error.message


def test_what_it_can_not_do_is_refused(llm: LlamaCppBackend, tmp_path: Path) -> None:
    for more, kind in (
        ({"quantization": "nf4"}, "quantized-already"),
        ({"adapter": str(tmp_path)}, "no-adapter"),
    ):
        assert refused(lambda more=more: LlamaCppBackend(spec(**more), Job())).kind == kind


def test_nothing_is_printed(llm: LlamaCppBackend, capfd: pytest.CaptureFixture[str]) -> None:
    fresh = LlamaCppBackend(spec(context=128), Job())
    tell(fresh, Ask(messages=user("Hi"), sampling=GREEDY))
    del fresh
    assert capfd.readouterr() == ("", "")
