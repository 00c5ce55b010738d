"""The engine process: ``python -m hfterm.engine.worker --fd N``.

The main thread only reads the socket, so that a cancel, or the client's end, is seen
while the lanes work. When the client goes, the process goes.
"""

from __future__ import annotations

import os
import queue
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable

import msgspec

from hfterm.engine import protocol
from hfterm.engine.protocol import LENGTH, Call, Cancel, Lane
from hfterm.errors import Cancelled, HftermError
from hfterm.job import Job, Progress
from hfterm.surrogates import whole_text

LANES: tuple[Lane, ...] = ("quick", "views", "long")
REPORT_EVERY = 0.1
"""Seconds between two progress events of one request."""


class Worker:
    """Reads calls from a socket, runs them in lanes, writes what comes of them."""

    def __init__(self, sock: socket.socket) -> None:
        from hfterm.engine.handlers import HANDLERS

        self._sock = sock
        self._handlers = HANDLERS
        self._write_lock = threading.Lock()
        self._cancelled: dict[int, threading.Event] = {}
        self._queues: dict[Lane, queue.Queue[Call]] = {lane: queue.Queue() for lane in LANES}
        self._warm_up = threading.Event()

    def serve(self) -> None:
        """Run until the client closes the socket."""
        for lane in LANES:
            threading.Thread(target=self._run_lane, args=(lane,), name=lane, daemon=True).start()
        threading.Thread(target=self._warm, name="warm", daemon=True).start()
        self._send(protocol.EngineState("started"))
        while (body := self._read()) is not None:
            message = protocol.decode_to_engine(body)
            if isinstance(message, Cancel):
                event = self._cancelled.get(message.id)
                if event is not None:
                    event.set()
                continue
            handler = self._handlers.get(message.method)
            if handler is None:
                text = f"The engine knows no request {message.method!r}."
                self._send(protocol.Failed(message.id, "internal", text, "Restart hfterm."))
                continue
            self._cancelled[message.id] = threading.Event()
            self._queues[handler.lane].put(message)

    def _read(self) -> bytes | None:
        header = self._read_exactly(LENGTH.size)
        return None if header is None else self._read_exactly(LENGTH.unpack(header)[0])

    def _read_exactly(self, size: int) -> bytes | None:
        data = bytearray(size)
        view, got = memoryview(data), 0
        while got < size:
            count = self._sock.recv_into(view[got:])
            if not count:
                return None
            got += count
        return bytes(data)

    def _send(self, message: protocol.FromEngine) -> None:
        data = protocol.frame(message)
        try:
            with self._write_lock:
                self._sock.sendall(data)
        except OSError:  # the client is gone, and with it everybody who could read this
            os._exit(0)

    def _run_lane(self, lane: Lane) -> None:
        while True:
            call = self._queues[lane].get()
            self._answer(call)
            self._cancelled.pop(call.id, None)
            self._warm_up.set()

    def _answer(self, call: Call) -> None:
        event = self._cancelled[call.id]
        if event.is_set():
            self._fail(call, "cancelled", "Stopped.")
            return
        handler = self._handlers[call.method]
        job = Job(
            self._reporter(call.id),
            event.is_set,
            lambda piece: self._send(protocol.Chunk(call.id, protocol.pack(piece))),
        )
        try:
            request = msgspec.msgpack.decode(call.request, type=handler.request)
            result = handler.run(request, job)
            if not job.partial:
                job.check()
            self._send(protocol.Done(call.id, protocol.pack(result)))
        except Cancelled:
            self._fail(call, "cancelled", "Stopped.")
        except HftermError as error:
            self._fail(call, error.kind, error.message, error.remedy)
        except MemoryError:
            self._fail(call, "memory", "The engine ran out of memory.", "Try a smaller text.")
        except BaseException as error:  # noqa: BLE001
            # Nothing a library raises, Rust panics (BaseException) among them, may end the
            # lane: the client gets a sentence, the log file the traceback.
            traceback.print_exc()
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            self._fail(
                call, "internal", f"{call.method} failed: {type(error).__name__}: {first[:300]}",
                "The Logs panel (F8) has the details.",
            )  # fmt: skip

    def _fail(self, call: Call, kind: str, message: str, remedy: str = "") -> None:
        # a template's own words, or a file's name, may hold what no message can carry
        told = (whole_text(text) for text in (message, remedy))
        self._send(protocol.Failed(call.id, kind, *told))

    def _reporter(self, id_: int) -> Callable[[Progress], None]:
        last = 0.0

        def report(progress: Progress) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= REPORT_EVERY or progress.done == progress.total:
                last = now
                self._send(protocol.ProgressEvent(id_, progress))

        return report

    def _warm(self) -> None:
        """Import transformers once the first answer is out, so that later ones need not wait."""
        self._warm_up.wait()
        if os.environ.get("HFTERM_ENGINE_WARM", "1") == "0":
            return
        self._send(protocol.EngineState("warming"))
        from hfterm.tokenization.loading import import_transformers

        import_transformers()
        from hfterm.models.opening import import_modelling

        import_modelling()
        self._send(protocol.EngineState("warm"))


def main() -> None:
    """Entry point of the process."""
    os.nice(5)  # the interface has the first call on the processor
    descriptor = int(sys.argv[sys.argv.index("--fd") + 1])
    Worker(socket.socket(fileno=descriptor)).serve()
    os._exit(0)  # lanes may be inside Rust or a long import; nothing here needs unwinding


if __name__ == "__main__":
    main()
