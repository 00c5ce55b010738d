"""A real engine process: answers, errors, progress, cancel, lanes, death, and silence."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from hfterm import paths
from hfterm.engine import protocol
from hfterm.engine.client import EngineClient, EngineStatus
from hfterm.engine.protocol import LENGTH
from hfterm.engine.requests import (
    EncodeFile,
    EncodeText,
    ListModels,
    PeekTokenizer,
    RenderTemplate,
)
from hfterm.errors import HftermError
from hfterm.job import Progress
from hfterm.tokenization.views import Message
from waiting import gone, until, wait_until

WORDS = "The engine counts 12,345 tokens while nobody waits; 你好 नमस्ते.\n"
LONG = WORDS * (10_000_000 // len(WORDS.encode()))


class Recording(EngineClient):
    """Keeps every message the engine sends."""

    def __init__(self) -> None:
        self.seen: list[protocol.FromEngine] = []
        self.states: list[EngineStatus] = []
        super().__init__("recording", self.states.append, warm=False)

    def _receive(self, message: protocol.FromEngine) -> None:
        self.seen.append(message)
        super()._receive(message)


@pytest.fixture
async def recording() -> AsyncIterator[Recording]:
    client = Recording()
    yield client
    await client.close()


@pytest.fixture
def model(zoo: dict[str, Path]) -> str:
    return str(zoo["wordpiece-uncased"])


def quick(model: str, text: str = "hello", pair: str | None = None) -> EncodeText:
    return EncodeText(ref=model, text=text, pair=pair, provisional=True)


async def begin(
    client: EngineClient, request: EncodeText | EncodeFile
) -> tuple[asyncio.Task[object], list[Progress]]:
    """Start long work and come back when it has reported some progress."""
    events: list[Progress] = []

    async def call() -> object:
        return await client.call(request, events.append)

    task = asyncio.create_task(call())
    await until(
        lambda: task.done() or any(e.stage == "tokenizing" and e.done > 0 for e in events),
        "progress of a long encoding",
    )
    assert not task.done(), "the text is too short to be caught at work"
    return task, events


# -- answers and errors ----------------------------------------------------------------------


async def test_it_answers_as_the_library_does(engine: EngineClient, model: str) -> None:
    from tokenizers import Tokenizer

    expected = Tokenizer.from_file(f"{model}/tokenizer.json").encode("Hello there", "you")
    got = await engine.call(quick(model, "Hello there", "you"))
    assert list(got.column("ids")) == expected.ids
    assert [token.token for token in got.tokens()] == expected.tokens
    assert list(got.type_ids) == expected.type_ids
    assert engine.status.pid is not None


async def test_an_error_keeps_its_kind_and_remedy(engine: EngineClient, tmp_path: Path) -> None:
    with pytest.raises(HftermError) as caught:
        await engine.call(quick(str(tmp_path / "nothing")))
    assert caught.value.kind == "not-found"
    assert "nothing" in caught.value.message
    assert caught.value.remedy
    assert await engine.call(ListModels()) is not None  # and it lives on


async def test_text_that_is_no_unicode_is_said_before_it_is_sent(
    engine: EngineClient, model: str
) -> None:
    with pytest.raises(HftermError) as caught:
        await engine.call(quick(model, "from a command line: \udcff"))
    assert caught.value.kind == "not-unicode"
    assert not engine._pending
    assert (await engine.call(quick(model))).characters == 5


async def test_an_error_in_words_that_are_no_unicode_is_still_an_answer(
    engine: EngineClient, zoo: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(zoo["characters"], tmp_path / "refuses")
    template = "{{ raise_exception('no \\ud800 roles') }}"
    (folder / "chat_template.jinja").write_text(template)
    asked = RenderTemplate(ref=str(folder), messages=[Message("user", "hello")])
    for _ in range(2):  # its lane lives on
        with pytest.raises(HftermError) as caught:
            await engine.call(asked)
        assert caught.value.kind == "template-refused"
        assert "no \ufffd roles" in caught.value.message


async def test_what_is_stopped_while_it_waits_is_answered(engine: EngineClient, model: str) -> None:
    first, _ = await begin(engine, quick(model, LONG))
    stop = asyncio.Event()
    second = asyncio.create_task(engine.call(quick(model), stop=stop))
    stop.set()
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(HftermError) as caught:
        await second
    assert caught.value.kind == "cancelled"


async def test_progress_comes_in_order_and_ends_whole(engine: EngineClient, model: str) -> None:
    events: list[Progress] = []
    text = LONG[:2_000_000]
    encoding = await engine.call(quick(model, text), events.append)
    assert len(encoding) > 100_000
    counts = [event.done for event in events if event.stage == "tokenizing"]
    assert counts == sorted(counts)
    assert counts[-1] == len(text)
    assert {event.total for event in events if event.stage == "tokenizing"} == {len(text)}


async def test_a_fault_in_the_callers_progress_is_the_callers_alone(
    engine: EngineClient, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(_: Progress) -> None:
        raise LookupError("the widget is gone")

    sent: list[object] = []
    send = engine._send
    monkeypatch.setattr(engine, "_send", lambda message: (sent.append(message), send(message)))
    with pytest.raises(LookupError):
        await engine.call(quick(model, LONG[:1_000_000]), faulty)
    assert any(isinstance(message, protocol.Cancel) for message in sent)
    assert (await engine.call(quick(model))).characters == 5


# -- cancel and lanes ------------------------------------------------------------------------


async def test_cancel_is_heard_between_two_chunks(recording: Recording, model: str) -> None:
    task, _ = await begin(recording, quick(model, LONG))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    encoding = await recording.call(quick(model))  # the same lane: free again
    assert encoding.characters == 5
    ended = [m for m in recording.seen if isinstance(m, protocol.Failed)]
    assert [m.kind for m in ended] == ["cancelled"]
    reached = [m.progress.done for m in recording.seen if isinstance(m, protocol.ProgressEvent)]
    assert max(reached) < len(LONG), "it was encoded to the end before the cancel was heard"


async def test_what_waits_in_a_lane_can_be_cancelled_too(recording: Recording, model: str) -> None:
    first, _ = await begin(recording, quick(model, LONG))
    second = asyncio.create_task(recording.call(quick(model, "never")))
    await until(lambda: len(recording._pending) == 2, "the second request sent")
    second.cancel()
    first.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert (await recording.call(quick(model, "after"))).characters == 5
    done = [m.id for m in recording.seen if isinstance(m, protocol.Done)]
    assert done == [3]


async def test_a_quick_request_overtakes_a_long_one(
    engine: EngineClient, model: str, tmp_path: Path
) -> None:
    file = tmp_path / "long.txt"
    file.write_text(LONG, "utf-8")
    await engine.call(quick(model))
    task, _ = await begin(engine, EncodeFile(ref=model, path=str(file), provisional=True))
    assert (await engine.call(quick(model, "now"))).characters == 3
    assert (await engine.call(PeekTokenizer(ref=model))).model == "WordPiece"
    assert not task.done(), "the long request came first"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# -- death -----------------------------------------------------------------------------------


async def test_every_pending_request_hears_of_the_death(
    recording: Recording, model: str, tmp_path: Path
) -> None:
    file = tmp_path / "long.txt"
    file.write_text(LONG, "utf-8")
    task, _ = await begin(recording, quick(model, LONG))
    others = [
        asyncio.create_task(recording.call(quick(model))),
        asyncio.create_task(
            recording.call(EncodeFile(ref=model, path=str(file), provisional=True))
        ),
    ]
    await until(lambda: len(recording._pending) == 3, "all three sent")
    pid = recording.status.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    for outcome in await asyncio.gather(task, *others, return_exceptions=True):
        assert isinstance(outcome, HftermError)
        assert outcome.kind == "engine-died"
        assert "SIGKILL" in outcome.message
        assert outcome.remedy
    await until(lambda: recording.status.phase == "dead", "the status said so")
    assert recording.status.pid is None

    assert (await recording.call(quick(model, "again"))).characters == 5
    assert recording.status.restarts == 1
    assert recording.status.pid != pid
    assert [s.phase for s in recording.states].count("dead") == 1


async def test_what_is_under_way_hears_that_the_end_was_asked_for(
    recording: Recording, model: str
) -> None:
    task, _ = await begin(recording, quick(model, LONG))
    await recording.unload()
    with pytest.raises(HftermError) as caught:
        await task
    assert caught.value.kind == "unloaded"
    assert "SIGKILL" not in str(caught.value)
    assert recording.status.phase == "off"
    assert "dead" not in [state.phase for state in recording.states]
    assert (await recording.call(quick(model))).characters == 5


async def test_a_death_while_idle_is_noticed_without_asking(
    recording: Recording, model: str
) -> None:
    await recording.call(quick(model))
    assert recording.status.pid is not None
    os.kill(recording.status.pid, signal.SIGSEGV)
    await until(lambda: recording.status.phase == "dead", "a status of death")
    assert "SIGSEGV" in recording.status.detail


async def test_restart_gives_another_process(engine: EngineClient, model: str) -> None:
    await engine.call(quick(model))
    before = engine.status.pid
    assert before is not None
    await engine.restart()
    assert gone(before)
    assert (await engine.call(quick(model))).characters == 5
    assert engine.status.pid != before


async def test_close_leaves_neither_process_nor_empty_log(model: str) -> None:
    client = EngineClient("closing", warm=False)
    await client.call(quick(model))
    pid = client.status.pid
    assert pid is not None
    await client.close()
    assert gone(pid)
    assert not client.log_file.exists()


async def test_close_while_it_works_is_as_clean(model: str) -> None:
    client = EngineClient("closing", warm=False)
    task, _ = await begin(client, quick(model, LONG))
    pid = client.status.pid
    assert pid is not None
    await client.close()
    assert gone(pid)
    with pytest.raises(HftermError, match="engine process ended"):
        await task


PARENT = """
import asyncio, sys
from hfterm.engine.client import EngineClient
from hfterm.engine.requests import EncodeText

async def main(model, text):
    client = EngineClient("orphan", warm=False)
    await client.call(EncodeText(ref=model, text="a", provisional=True))
    def report(progress):
        if progress.done:
            print(client.status.pid, flush=True)
    if text:
        await client.call(EncodeText(ref=model, text=text * 200_000, provisional=True), report)
    print(client.status.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "text", ["", "some words for the engine to work on "], ids=["idle", "busy"]
)
def test_a_worker_whose_parent_is_killed_ends(model: str, text: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, model, text], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    assert not gone(worker)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: gone(worker), "the orphaned worker ended")


# -- what libraries print --------------------------------------------------------------------

NOISE = """
import os, sys
if "hfterm.engine.worker" in " ".join(sys.orig_argv):
    print("noise from print")
    print("noise on stderr", file=sys.stderr)
    os.write(1, b"noise from C\\n")
"""
ASK = """
import asyncio, sys
from hfterm.engine.client import EngineClient
from hfterm.engine.requests import EncodeText

async def main(model):
    client = EngineClient("noisy", warm=False)
    encoding = await client.call(EncodeText(ref=model, text="hello", provisional=True))
    await client.close()
    print(encoding.characters, client.log_file)

asyncio.run(main(sys.argv[1]))
"""


def test_prints_go_to_the_log_and_never_to_us(model: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NOISE)
    environ = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        [sys.executable, "-c", ASK, model], env=environ, capture_output=True, text=True, check=True
    )
    characters, log = done.stdout.split(maxsplit=1)
    assert characters == "5"
    assert done.stderr == ""
    said = Path(log.strip()).read_text()
    for noise in ("noise from print", "noise on stderr", "noise from C"):
        assert noise in said


async def test_it_starts_where_no_log_can_be_written(
    engine: EngineClient, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "state"
    blocked.write_text("a file where a folder should be")
    monkeypatch.setenv("XDG_STATE_HOME", str(blocked))
    assert paths.logs_dir().is_relative_to(blocked)
    assert (await engine.call(quick(model))).characters == 5


# -- a stranger at the socket ----------------------------------------------------------------


class RawWorker:
    """A worker process, and our end of its socket."""

    def __init__(self, errors: Path) -> None:
        self.errors = errors
        ours, theirs = socket.socketpair()
        with theirs, errors.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hfterm.engine.worker", "--fd", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stderr=log,
                env={**os.environ, "HFTERM_ENGINE_WARM": "0"},
            )
        self.socket = ours
        ours.settimeout(90)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            assert part, "the worker closed the socket"
            data += part
        return data

    def receive(self) -> protocol.FromEngine:
        (length,) = LENGTH.unpack(self._exactly(LENGTH.size))
        return protocol.decode_from_engine(self._exactly(length))


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[RawWorker]:
    raw = RawWorker(tmp_path / "stderr")
    assert raw.receive() == protocol.EngineState("started")
    yield raw
    raw.socket.close()
    raw.process.wait()


def test_an_unknown_request_is_answered(worker: RawWorker) -> None:
    worker.socket.sendall(protocol.frame(protocol.Call(1, "Nonsense", msgspec.Raw(b"\x80"))))
    answer = worker.receive()
    assert isinstance(answer, protocol.Failed)
    assert (answer.id, answer.kind) == (1, "internal")
    assert "Nonsense" in answer.message


def test_a_request_with_wrong_fields_is_answered(worker: RawWorker) -> None:
    worker.socket.sendall(
        protocol.frame(protocol.Call(5, "EncodeText", protocol.pack({"ref": 3})))
        + protocol.frame(protocol.Call(6, "ListModels", protocol.pack(ListModels())))
    )
    answers = [worker.receive(), worker.receive()]
    assert isinstance(answers[0], protocol.Failed)
    assert (answers[0].id, answers[0].kind) == (5, "internal")
    assert "EncodeText" in answers[0].message
    assert "Traceback" in worker.errors.read_text(), "the log tells more than the sentence"
    assert isinstance(answers[1], protocol.Done)
    assert answers[1].id == 6


def test_a_frame_may_come_byte_by_byte(worker: RawWorker) -> None:
    for byte in protocol.frame(protocol.Call(9, "ListModels", protocol.pack(ListModels()))):
        worker.socket.sendall(bytes([byte]))
    answer = worker.receive()
    assert isinstance(answer, protocol.Done)
    assert answer.id == 9


def test_a_cancel_of_nothing_is_ignored(worker: RawWorker) -> None:
    worker.socket.sendall(
        protocol.frame(protocol.Cancel(77))
        + protocol.frame(protocol.Call(1, "ListModels", protocol.pack(ListModels())))
    )
    assert isinstance(worker.receive(), protocol.Done)


@pytest.mark.parametrize(
    "garbage",
    [LENGTH.pack(5) + b"hello", b"GET / HTTP/1.1\r\n\r\n", LENGTH.pack(2**62)],
    ids=["no-message", "http", "endless"],
)
def test_garbage_ends_the_worker_instead_of_confusing_it(worker: RawWorker, garbage: bytes) -> None:
    worker.socket.sendall(garbage)
    worker.socket.shutdown(socket.SHUT_WR)
    wait_until(lambda: worker.process.poll() is not None, "the worker ended")


# it never goes by itself (its sleep is not the test's): the client has to end it
IMPOSTOR = """\
    import os, sys
    os.write(int(sys.argv[sys.argv.index("--fd") + 1]), {garbage!r})
    sys.stdin.read(); import time
    while True: time.sleep(1000)
"""


@pytest.mark.parametrize(
    "garbage",
    [LENGTH.pack(5) + b"hello", LENGTH.pack(2**62), b"\x00" * 8],
    ids=["no-message", "endless", "empty"],
)
async def test_garbage_from_an_engine_is_its_death(
    garbage: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """A library that writes to the wrong descriptor must not leave a request waiting for ever."""
    fake = tmp_path / "fake" / "python"
    fake.parent.mkdir()
    script = tmp_path / "impostor.py"
    script.write_text(textwrap.dedent(IMPOSTOR.format(garbage=garbage)))
    fake.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    client = EngineClient("impostor", warm=False)
    with pytest.raises(HftermError) as caught:
        await client.call(quick(model))
    assert caught.value.kind == "engine-died"
    monkeypatch.undo()
    await client.close()


async def test_a_state_that_cannot_be_shown_loses_no_answer(zoo: dict[str, Path]) -> None:
    """A screen that is opening or closing may raise; its answers still come."""
    seen: list[str] = []

    def show(status: EngineStatus) -> None:
        seen.append(status.phase)
        raise LookupError("no such widget yet")

    client = EngineClient("test", show, warm=False)
    asyncio.get_running_loop().set_exception_handler(lambda _, __: None)
    try:
        encoding = await client.call(EncodeText(ref=str(zoo["characters"]), text="fox"))
    finally:
        await client.close()
    assert len(encoding) == 3
    assert "started" in seen


async def test_whoever_is_cancelled_while_a_process_ends_stops_no_reading(
    engine: EngineClient,
) -> None:
    await engine.start()
    ending = asyncio.create_task(engine.unload())
    await asyncio.sleep(0)
    ending.cancel()
    with suppress(asyncio.CancelledError):
        await ending
    await engine.close()
    assert engine.status.phase in ("dead", "off")
