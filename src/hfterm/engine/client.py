"""Start an engine process, ask it things, and survive its death. Used by the app and the CLI."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import msgspec

from hfterm import paths
from hfterm.engine import protocol
from hfterm.engine.protocol import LENGTH, MAX_FRAME, Request, StreamingRequest
from hfterm.errors import HftermError
from hfterm.job import Progress

R = TypeVar("R")
C = TypeVar("C")


@dataclass(frozen=True)
class EngineStatus:
    """An engine as a screen shows it.

    `phase` is ``off``, ``starting``, ``started``, ``warming``, ``warm`` or ``dead``;
    `detail` says why it is dead, `killed` whether by a signal that nobody can catch.
    """

    phase: str = "off"
    pid: int | None = None
    detail: str = ""
    restarts: int = 0
    killed: bool = False


@dataclass
class _Pending:
    future: asyncio.Future[msgspec.Raw]
    on_progress: Callable[[Progress], None] | None
    on_chunk: Callable[[msgspec.Raw], None] | None

    def take(self, message: protocol.ProgressEvent | protocol.Chunk) -> None:
        if isinstance(message, protocol.Chunk):
            if self.on_chunk is not None:
                self.on_chunk(message.value)
        elif self.on_progress is not None:
            self.on_progress(message.progress)


class EngineClient:
    """One engine process.

    A dead process is started again by the next request. Cancelling the task that awaits a
    request cancels the request.
    """

    def __init__(
        self,
        name: str = "tokenizers",
        on_status: Callable[[EngineStatus], None] | None = None,
        *,
        warm: bool = True,
    ) -> None:
        self.name = name
        self.status = EngineStatus()
        self._on_status = on_status
        self._warm = warm
        self._ids = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reader_task: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._let_go: subprocess.Popen[bytes] | None = None

    @property
    def log_file(self) -> Path:
        """Where the process's stdout and stderr go."""
        return paths.logs_dir() / f"engine-{self.name}-{os.getpid()}.log"

    async def start(self) -> None:
        """Start the process unless it runs."""
        async with self._starting:
            if self._writer is not None:
                return
            restarts = self.status.restarts + (self.status.phase == "dead")
            self._set(EngineStatus("starting", None, "", restarts))
            ours, theirs = socket.socketpair()
            with theirs:
                self._process = self._spawn(theirs.fileno())
            reader, self._writer = await asyncio.open_connection(sock=ours)
            self._reader_task = asyncio.create_task(self._read(reader, self._process))
            self._set(EngineStatus("starting", self._process.pid, "", restarts))

    def _spawn(self, descriptor: int) -> subprocess.Popen[bytes]:
        environ = {
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "TRANSFORMERS_VERBOSITY": "error",
            "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
            "TOKENIZERS_PARALLELISM": "true",
            # what has no kernel on Apple's GPU is computed by the processor instead of refused
            "PYTORCH_ENABLE_MPS_FALLBACK": "1",
            # Threads that wait for each other by spinning take the processor from each other, and
            # from the interface, when there are more of them than cores. So short a spin is as
            # fast as a long one on a free machine (none at all costs nf4 two fifths of its speed),
            # and a quarter faster than a long one on a busy one.
            "GOMP_SPINCOUNT": "5000",
            **os.environ,
            "HFTERM_ENGINE_WARM": "1" if self._warm else "0",
        }
        try:
            self.log_file.parent.mkdir(parents=True, exist_ok=True)
            log_file = self.log_file
            log_file.touch()
        except OSError:  # a full or read-only disk must not keep the engine from starting
            log_file = Path(os.devnull)
        with log_file.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "hfterm.engine.worker", "--fd", str(descriptor)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(descriptor,),
                env=environ,
                # of its own session, so that ctrl+c in a terminal is the client's to handle
                start_new_session=True,
            )

    async def call(
        self, request: Request[R], on_progress: Callable[[Progress], None] | None = None,
        stop: asyncio.Event | None = None,
    ) -> R:  # fmt: skip
        """Ask, and wait for the answer.

        Setting `stop` asks the engine to stop and to give what it has; the answer is still
        waited for. Work that can't give a part fails as ``cancelled``.

        Raises:
            HftermError: what the engine says; kind ``engine-died`` when it is gone, ``unloaded``
                when it was let go meanwhile, and ``not-unicode`` when a text holds surrogates,
                which no message can carry.
        """
        return await self._ask(request, on_progress, stop, None)

    async def stream(
        self, request: StreamingRequest[R, C], on_chunk: Callable[[C], None],
        on_progress: Callable[[Progress], None] | None = None, stop: asyncio.Event | None = None,
    ) -> R:  # fmt: skip
        """Ask, and be told every piece of the answer as it comes; else as `call`."""
        kind = request.CHUNK

        def decoded(raw: msgspec.Raw) -> None:
            on_chunk(cast("C", msgspec.msgpack.decode(raw, type=kind)))

        return await self._ask(request, on_progress, stop, decoded)

    async def _ask(
        self, request: Request[R], on_progress: Callable[[Progress], None] | None,
        stop: asyncio.Event | None, on_chunk: Callable[[msgspec.Raw], None] | None,
    ) -> R:  # fmt: skip
        try:
            packed = protocol.pack(request)
        except UnicodeEncodeError as error:
            raise HftermError(
                "not-unicode",
                "The text or the path holds bytes that are not UTF-8.",
                "Rename the file, or convert the text with iconv.",
            ) from error
        await self.start()
        id_ = next(self._ids)
        future: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        self._pending[id_] = _Pending(future, on_progress, on_chunk)
        self._send(protocol.Call(id_, type(request).__name__, packed))
        stopping = asyncio.create_task(self._cancel_at(stop, id_)) if stop is not None else None
        try:
            raw = await future
        except asyncio.CancelledError:
            self._send(protocol.Cancel(id_))
            raise
        finally:
            self._pending.pop(id_, None)
            if stopping is not None:
                stopping.cancel()
        return cast("R", msgspec.msgpack.decode(raw, type=request.RESULT))

    async def _cancel_at(self, stop: asyncio.Event, id_: int) -> None:
        await stop.wait()
        self._send(protocol.Cancel(id_))

    def _send(self, message: protocol.ToEngine) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(protocol.frame(message))

    async def _read(self, reader: asyncio.StreamReader, process: subprocess.Popen[bytes]) -> None:
        try:
            while True:
                (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
                if length > MAX_FRAME:
                    raise msgspec.DecodeError(f"a frame of {length} bytes")
                self._receive(protocol.decode_from_engine(await reader.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError):
            await self._bury(process)
        except msgspec.MsgspecError as error:
            # after one frame that is none, no later one can be found in the stream
            process.kill()
            await self._bury(process, f"it sent what is no message: {error}")

    def _receive(self, message: protocol.FromEngine) -> None:
        if isinstance(message, protocol.EngineState):
            self._set(EngineStatus(message.phase, self.status.pid, "", self.status.restarts))
            return
        pending = self._pending.get(message.id)
        if pending is None or pending.future.done():
            return
        if isinstance(message, protocol.ProgressEvent | protocol.Chunk):
            try:
                pending.take(message)
            except Exception as error:  # noqa: BLE001
                # the caller's own fault is the caller's: the others go on being read
                pending.future.set_exception(error)
                self._send(protocol.Cancel(message.id))
        elif isinstance(message, protocol.Done):
            pending.future.set_result(message.result)
        else:
            pending.future.set_exception(HftermError(message.kind, message.message, message.remedy))

    async def _bury(self, process: subprocess.Popen[bytes], why: str = "") -> None:
        code = await asyncio.to_thread(process.wait)
        killed = not why and code == -signal.SIGKILL
        why = why or _how_it_ended(code)
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        ended = f"The engine process ended ({why})."
        self._fail_all(HftermError("engine-died", ended, "F5 starts it again."))
        if process is self._let_go:
            self._set(EngineStatus("off"))
        else:
            self._set(EngineStatus("dead", None, why, self.status.restarts, killed))

    def _fail_all(self, error: HftermError) -> None:
        for pending in self._pending.values():
            if not pending.future.done():
                pending.future.set_exception(error)

    def _set(self, status: EngineStatus) -> None:
        self.status = status
        if self._on_status is None:
            return
        try:
            self._on_status(status)
        except Exception as error:  # noqa: BLE001
            # whoever shows the state may be opening or closing: its fault must not end the reading
            # of answers, for which everybody would then wait for ever
            fault = {"message": "an engine's state can't be shown", "exception": error}
            asyncio.get_running_loop().call_exception_handler(fault)

    async def restart(self) -> None:
        """End the process, if it runs, and start another."""
        self.kill()
        await self._read_out()
        await self.start()

    async def unload(self) -> None:
        """End the process, and all that it holds; the next request starts another.

        What is under way fails as ``unloaded``: its end was asked for, and is no lack of memory.
        """
        async with self._starting:  # a request that comes meanwhile is for the next process
            self._fail_all(HftermError("unloaded", "The model was let go.", "F5 loads it again."))
            self._let_go = self._process
            self.kill()
            await self._read_out()
            self._set(EngineStatus("off"))

    async def _read_out(self) -> None:
        """Wait until the last answer is read. Whoever is cancelled here cancels no reading."""
        if self._reader_task is not None:
            await asyncio.wait([self._reader_task])

    def kill(self) -> None:
        """End the process at once. It holds nothing that needs saving."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()

    async def close(self) -> None:
        """End the process and wait for it."""
        self._on_status = None
        self.kill()
        await self._read_out()
        with suppress(OSError):  # a log that can't be removed keeps nobody from quitting
            if self.log_file.stat().st_size == 0:
                self.log_file.unlink()


def _how_it_ended(code: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        extra = ", perhaps out of memory" if name == "SIGKILL" else ""
        return f"{name}{extra}"
    return f"exit code {code}"
