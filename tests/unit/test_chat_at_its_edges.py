"""Chat's plain functions where little is there, or something has gone meanwhile."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from hfterm.chat import conversation_schema
from hfterm.chat.answer_record import AnswerRecord, without_end
from hfterm.chat.code import chat_code
from hfterm.chat.conversation_types import AnswerNote
from hfterm.chat.conversations import ConversationStore
from hfterm.chat.decoding import StopText
from hfterm.chat.distributions import Seen
from hfterm.chat.gguf_files import find_gguf, parts_of, read_header
from hfterm.chat.lab_figure import write_figure
from hfterm.chat.lab_types import WayResult, spec_of
from hfterm.chat.llama_library import _on_cpu
from hfterm.chat.measured import Measured
from hfterm.chat.server_stream import shown
from hfterm.chat.types import LlmInfo, LlmSpec, Message, Sampling, Token
from hfterm.engine.client import EngineClient
from hfterm.errors import HftermError
from hfterm.hub.model_source import ModelSource
from hfterm.job import Job
from hfterm.models.types import LoadedInfo, ModelSpec
from hfterm.screens.chat.session import Session
from hfterm.screens.chat.turns import meter, remedy_of, turns_of

NOTE = AnswerNote(model="tiny", tokens=1, ttft=0.1, seconds=0.2, stop_reason="end")
BASE = LoadedInfo(
    ModelSpec(ref="tiny", auto="AutoModelForCausalLM"), "LlamaForCausalLM", "llama", 1, "float32",
    4, 0.1, "complete", "", (), 512, "PreTrainedTokenizerFast",
    ModelSource("tiny", "path", "/models/tiny", "safetensors"),
)  # fmt: skip
ASKED = (Message("user", "it's “here”"),)


# -- where it runs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "supported", "on_cpu"),
    [("auto", True, False), ("auto", False, True), ("cpu", True, True), ("cuda:0", True, False)],
)
def test_llama_cpp_takes_a_gpu_if_it_was_built_for_one(
    device: str, supported: bool, on_cpu: bool
) -> None:
    found = SimpleNamespace(llama_supports_gpu_offload=lambda: supported)
    assert _on_cpu(LlmSpec(ref="m", device=device), found) is on_cpu  # pyright: ignore


def test_llama_cpp_refuses_a_gpu_that_it_was_not_built_for() -> None:
    found = SimpleNamespace(llama_supports_gpu_offload=lambda: False)
    with pytest.raises(HftermError, match="without support for cuda:0"):
        _on_cpu(LlmSpec(ref="m", device="cuda:0"), found)  # pyright: ignore


# -- the script ------------------------------------------------------------------------------


def script(sampling: Sampling, **more: object) -> str:
    told = {"base": BASE, "ends": (2,), **more}
    spec = LlmSpec(ref="tiny", adapter=str(told.pop("adapter", "")), url="http://h/v1")
    info = LlmInfo(spec=spec, name="tiny", **told)  # pyright: ignore[reportArgumentType]
    written = chat_code(info, ASKED, sampling)
    compile(written, "script", "exec")
    return written


def test_the_script_of_a_server_asks_the_server() -> None:
    written = script(Sampling(temperature=0.5, max_new_tokens=7), base=None)
    assert "OpenAI(base_url='http://h/v1'" in written
    assert "temperature=0.5" in written
    assert "max_tokens=7" in written
    assert "torch" not in written


def test_the_script_says_what_was_chosen_and_nothing_else() -> None:
    plain = script(Sampling(temperature=0))
    assert "do_sample=False" in plain
    assert not any(word in plain for word in ("min_p", "repetition", "stop_strings", "top_k"))
    sampled = script(
        Sampling(temperature=1.5, min_p=0.1, repetition_penalty=1.2, stop=("\n", "x"), seed=3)
    )
    for line in (
        "temperature=1.5,", "min_p=0.1,", "repetition_penalty=1.2,", "torch.manual_seed(3)",
        "stop_strings=['\\n', 'x'],", "tokenizer=tokenizer,",
    ):  # fmt: skip
        assert line in sampled
    assert "min_p" not in script(Sampling(temperature=1))


def test_the_script_puts_an_adapter_on_top_and_continues_without_a_template() -> None:
    written = script(Sampling(), adapter="/runs/lora", has_template=False, ends=())
    assert "PeftModel.from_pretrained(model, '/runs/lora')" in written
    assert "apply_chat_template" not in written
    assert "'\\n'.join(message['content']" in written
    assert "eos_token_id" not in written


# -- the end of an answer --------------------------------------------------------------------


class Letters:
    """A decoder whose tokens are letters; the last may come only at the end."""

    def __init__(self, late: str = "") -> None:
        self._late = late

    def step(self, id_: int) -> str:
        return chr(id_)

    def rest(self) -> str:
        return self._late


def record(stop: tuple[str, ...], late: str = "") -> tuple[AnswerRecord, list[Token]]:
    sent: list[Token] = []
    made = AnswerRecord(
        Letters(late), lambda ids: [chr(id_) for id_ in ids], Sampling(stop=stop), 512,
        frozenset(), Job(send=sent.append), 0.0,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    return made, sent


@pytest.mark.parametrize(
    ("came", "late", "stop", "text", "reason"),
    [
        ("ab", "", ("xy",), "ab", "length"),
        ("abx", "", ("xy",), "abx", "length"),  # held back, and let go
        ("abx", "y", ("xy",), "ab", "stop string"),  # whole only with what the decoder held
        ("abxy", "", ("xyz", "xy"), "ab", "stop string"),  # the longer one never came
        ("ab", "c", (), "abc", "length"),
    ],
)
def test_what_was_held_back_is_let_go_unless_it_is_a_stop_string(
    came: str, late: str, stop: tuple[str, ...], text: str, reason: str
) -> None:
    made, sent = record(stop, late)
    for letter in came:
        made.take(Seen(ord(letter), 1.0, 0.0, ((ord(letter), 1.0),)))
    answer = made.finish("", 1, 0)
    assert answer.text == text == "".join(token.text for token in sent)
    assert answer.stop_reason == reason


def test_a_stop_text_gives_what_it_held_once() -> None:
    stops = StopText(("abcd", "bc"))
    assert stops.take("xabc") == "x"
    assert stops.rest() == "a"
    assert stops.met
    assert stops.rest() == ""


def test_tokens_that_end_an_answer_are_left_out_when_it_goes_on() -> None:
    assert without_end([5, 2, 6, 2, 3], frozenset({2, 3})) == [5, 2, 6]
    assert without_end([2], frozenset({2})) == []


def test_the_key_never_comes_back_from_a_server_however_it_is_cut() -> None:
    key = "sk-" + "x" * 40
    assert key not in shown("no: " + key, key)
    assert "[key]" in shown("no: " + key, key)
    assert "sk-x" not in shown("y" * 190 + key, key)


# -- GGUF files ------------------------------------------------------------------------------


def test_a_starter_in_gguf_is_its_file_once_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HFTERM_STARTER", str(tmp_path))
    with pytest.raises(HftermError, match="is not here") as caught:
        find_gguf("smollm2")
    assert "hfterm starter smollm2" in caught.value.remedy
    file = tmp_path / "smollm2-gguf" / "any.gguf"
    file.parent.mkdir()
    file.write_bytes(b"GGUF")
    assert find_gguf("smollm2") == file
    with pytest.raises(HftermError, match="minilm has no GGUF file"):
        find_gguf("minilm")


def test_a_file_in_parts_is_all_that_are_here(tmp_path: Path) -> None:
    for name in ("m-00001-of-00003.gguf", "m-00003-of-00003.gguf", "n-00002-of-00003.gguf"):
        (tmp_path / name).touch()
    one = tmp_path / "whole.gguf"
    assert list(parts_of(one)) == [one]
    assert [part.name for part in parts_of(tmp_path / "m-00001-of-00003.gguf")] == [
        "m-00001-of-00003.gguf", "m-00003-of-00003.gguf",
    ]  # fmt: skip


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def test_lists_in_lists_of_a_header_are_stepped_over(tmp_path: Path) -> None:
    strings = struct.pack("<IQ", 8, 2) + text("a") + text("bc")
    numbers = struct.pack("<IQ", 4, 3) + b"\0" * 12
    nested = struct.pack("<IIQ", 9, 9, 2) + strings + numbers
    entries = (
        text("some.lists") + nested,
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("llama.context_length") + struct.pack("<II", 4, 99),
    )
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(entries)) + b"".join(entries))
    header = read_header(file)
    assert (header.architecture, header.context) == ("llama", 99)


# -- the lab ---------------------------------------------------------------------------------


def test_nothing_measured_makes_no_figure(tmp_path: Path) -> None:
    target = tmp_path / "lab.svg"
    for results in ([], [WayResult(way="nf4", error="too narrow")]):
        with pytest.raises(HftermError, match="Nothing was measured"):
            write_figure("tiny", results, target)
    assert not target.exists()


@pytest.mark.parametrize("way", ["llama.cpp", "server"])
def test_the_way_it_is_loaded_already_changes_nothing(way: str) -> None:
    spec = LlmSpec(ref="m", engine="server", url="http://h/v1", dtype="bfloat16")
    assert spec_of(spec, way) == spec


# -- a session whose conversation goes -----------------------------------------------------


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with closing(ConversationStore.open(tmp_path / "chats.db")) as store:
        yield Session(
            store, EngineClient("never started", warm=False), LlmSpec(ref="tiny"),
            Measured(tmp_path / "speeds.json"),
        )  # fmt: skip


@pytest.fixture
def other(session: Session, tmp_path: Path) -> Iterator[ConversationStore]:
    """Another hfterm on the same file."""
    with closing(ConversationStore.open(tmp_path / "chats.db")) as store:
        yield store


def talked(session: Session) -> int:
    """A question and its answer; the conversation's number."""
    asked = session.say("Hello")
    assert session.conversation is not None
    session.store.add(session.conversation, asked, "assistant", "Hi", NOTE)
    return session.conversation


def test_a_conversation_deleted_elsewhere_is_an_empty_new_one(
    session: Session, other: ConversationStore
) -> None:
    number = talked(session)
    path = session.path()
    session.used = 30
    assert [turn.branch for turn in turns_of(session, path)] == [(1, 1), (1, 1)]
    other.delete(number)
    assert turns_of(session, path) == []
    assert session.path() == []
    assert session.conversation is None
    assert session.used == 0
    assert not session.leave_out_more()
    with pytest.raises(HftermError) as caught:
        session.turn_to(path[0], 1)
    assert caught.value.kind == "gone"


def test_an_edit_of_what_is_gone_begins_another_conversation(
    session: Session, other: ConversationStore
) -> None:
    number = talked(session)
    message = session.path()[0]
    other.delete(number)
    assert session.path() == []
    session.edit(message, "Hello again")
    assert [said.content for said in session.path()] == ["Hello again"]
    assert session.conversation not in (None, number)


def test_an_answer_that_is_of_another_branch_has_no_prompt(session: Session) -> None:
    talked(session)
    answer = session.path()[1]
    session.edit(session.path()[0], "Something else")
    with pytest.raises(HftermError, match="no longer there") as caught:
        session.asked_for(answer)
    assert caught.value.kind == "gone"


def test_there_is_no_way_beyond_the_first_or_the_last(session: Session) -> None:
    talked(session)
    first = session.path()[0]
    assert not session.turn_to(first, 1)
    assert not session.turn_to(first, -1)
    session.edit(first, "Another")
    assert session.turn_to(session.path()[0], -1)
    assert [said.content for said in session.path()] == ["Hello", "Hi"]


def test_only_turns_that_have_a_later_one_are_left_out(session: Session) -> None:
    talked(session)
    assert not session.leave_out_more()
    session.say("And now?")
    assert session.leave_out_more()
    assert session.left_out == 2
    assert [turn.facts for turn in turns_of(session, session.path())][:2] == (
        ["left out of the prompt"] * 2
    )
    assert not session.leave_out_more()


def test_a_conversation_without_a_model_is_gone_on_with_by_the_one_that_is_chosen(
    session: Session,
) -> None:
    number = session.store.create("From a file", None, Sampling(temperature=0.1), "Be brief.")
    session.open(number)
    assert session.spec == LlmSpec(ref="tiny")
    assert (session.system, session.sampling.temperature) == ("Be brief.", 0.1)


@pytest.mark.parametrize(
    ("kind", "any_token", "words"),
    [
        ("context-full", True, "alt+d leaves the oldest turns out"),
        ("no-continue", False, "alt+g answers anew. Do this."),
        ("cut", True, "F5 goes on with it"),
        ("unloaded", True, "F5 loads the model again and goes on"),
        ("unloaded", False, "Do this."),
        ("engine-died", True, "F5 loads the model again and goes on"),
        ("engine-died", False, "F7 shows what each way of loading takes"),
        ("bad-url", True, "Do this."),
    ],
)
def test_what_to_press_after_an_answer_failed(kind: str, any_token: bool, words: str) -> None:
    assert words in remedy_of(HftermError(kind, "It failed.", "Do this."), any_token=any_token)


@pytest.mark.parametrize(
    ("used", "context", "words"),
    [
        (0, None, ""), (9, None, ""), (0, 2048, "context 2,048 tokens"),
        (1024, 2048, "1,024/2,048 tokens ▰▰▰▰▰▱▱▱▱▱"), (9999, 10, "9,999/10 tokens ▰▰▰▰▰▰▰▰▰▰"),
    ],
)  # fmt: skip
def test_the_meter_never_overflows(used: int, context: int | None, words: str) -> None:
    assert meter(used, context).plain == words


# -- the file of conversations ---------------------------------------------------------------


def test_a_file_that_another_holds_is_said_and_opened_when_it_lets_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "chats.db"
    monkeypatch.setattr(conversation_schema, "WAIT", 0.0)
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(HftermError, match=r"can't be kept in .*chats\.db") as caught:
            ConversationStore.open(file)
        assert caught.value.kind == "not-kept"
        # it lets go while it is waited for
        monkeypatch.setattr(conversation_schema, "WAIT", 60.0)
        monkeypatch.setattr(conversation_schema.time, "sleep", lambda _: holder.execute("COMMIT"))
        with closing(ConversationStore.open(file)) as store:
            assert store.list() == []
    with closing(ConversationStore.open(file)) as store:
        assert store.list() == []


def test_what_is_deleted_cannot_be_found_however_large_the_index(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation_schema, "SMALL", -1)
    number = talked(session)
    assert [row.id for row in session.store.list("Hello")] == [number]
    session.store.delete(number)
    assert session.store.list("Hello") == []


def test_a_transaction_that_sqlite_ended_raises_what_ended_it(tmp_path: Path) -> None:
    base = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    with closing(base):
        base.execute("CREATE TABLE t (a)")
        with pytest.raises(OSError, match="full"), conversation_schema.transaction(base):
            base.execute("INSERT INTO t VALUES (1)")
            base.execute("ROLLBACK")  # as SQLite does by itself on a full disk
            raise OSError("full")
        assert base.execute("SELECT count(*) FROM t").fetchone() == (0,)
