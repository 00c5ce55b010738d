"""A program in a real pseudo-terminal: keys in, the screen and the raw bytes out.

Bytes are read at once and interpreted (by pyte) only when somebody asks what is on screen, so
that timing is not that of the interpreter.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import psutil
import pyte
from pyte.screens import wcwidth

from waiting import Patience

LONGEST = 90.0
"""Seconds until something counts as never coming; a machine under load is slow."""

INHERITED = (
    "COLORTERM", "NO_COLOR", "TERM_PROGRAM", "TMUX", "STY", "LC_TERMINAL", "COLUMNS", "LINES",
)  # fmt: skip
"""What a shell tells of its own terminal."""

# Sequences pyte takes for text: private markers it does not know.
_UNKNOWN = re.compile(rb"\x1b\[[<=>][0-9;]*[A-Za-z]|\x1b\[\?[0-9;]*\$p")
_UNFINISHED = re.compile(rb"\x1b(\[[0-9;<=>?$]*)?$")


class PtyTerminal:
    """A terminal with one program in it, which it is the controlling terminal of.

    Attributes:
        raw: every byte the program wrote.
        started: when it was started, on the clock of `time.perf_counter`.
        last_read: when the last bytes came.
    """

    def __init__(
        self,
        argv: Sequence[str | bytes],
        *,
        env: Mapping[str, str] | None = None,
        columns: int = 80,
        rows: int = 24,
    ) -> None:
        self.raw = bytearray()
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._shown = 0
        self._master, self._slave = pty.openpty()
        self._set_size(columns, rows)
        environ = {**os.environ, "TERM": "xterm-256color"}
        for name in INHERITED:
            environ.pop(name, None)
        self.started = self.last_read = time.perf_counter()
        # the first terminal that the leader of a session opens becomes its controlling one
        into = ["/bin/sh", "-c", 'exec "$@" <>"$0" >&0 2>&1', os.ttyname(self._slave)]
        self.process = subprocess.Popen(
            [*into, *argv], env={**environ, **(env or {})}, start_new_session=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    # -- reading -------------------------------------------------------------------------------

    def read(self, timeout: float) -> bool:
        """Read what comes within `timeout` seconds. False when nothing did, or the end came."""
        if self._master < 0:
            return False
        ready, _, _ = select.select([self._master], [], [], timeout)
        if not ready:
            return False
        try:
            data = os.read(self._master, 1 << 16)
        except OSError:  # Linux says EIO when the last program has closed the terminal
            return False
        self.last_read = time.perf_counter()
        self.raw += data
        return bool(data)

    def wait(self, condition: Callable[[], object], what: str, timeout: float = LONGEST) -> None:
        """Read until `condition` holds."""
        patience = Patience(timeout)
        while not condition():
            if patience.over:
                raise AssertionError(f"never: {what}\n{self.text}")
            if not self.read(0.05) and self.process.poll() is not None and not condition():
                raise AssertionError(f"it ended before: {what}\n{self.text}")

    def wait_for(self, pattern: str, timeout: float = LONGEST) -> re.Match[str]:
        """Read until the screen matches a regular expression."""
        found: list[re.Match[str]] = []

        def look() -> bool:
            match = re.search(pattern, self.text, re.MULTILINE)
            found[:] = [match] if match else []
            return bool(found)

        self.wait(look, f"{pattern!r} on screen", timeout)
        return found[0]

    def wait_raw(self, needle: bytes, begin: int = 0) -> float:
        """Read until the bytes from `begin` on hold `needle`; when that was."""
        self.wait(lambda: needle in self.raw[begin:], f"{needle!r} among the bytes")
        return self.last_read

    def quiet(self, seconds: float) -> int:
        """Read for `seconds`; how many bytes came."""
        before, deadline = len(self.raw), time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.read(left)
        return len(self.raw) - before

    def settle(self, seconds: float = 0.5, timeout: float = LONGEST) -> None:
        """Read until nothing has come for `seconds`."""
        deadline = time.monotonic() + timeout
        while self.read(seconds):
            if time.monotonic() > deadline:
                raise AssertionError(f"it never stops writing\n{self.text}")

    @property
    def lines(self) -> list[str]:
        """The screen."""
        new = bytes(self.raw[self._shown :])
        cut = _UNFINISHED.search(new)
        if cut:
            new = new[: cut.start()]
        self._shown += len(new)
        self._stream.feed(_UNKNOWN.sub(b"", new))
        return [self._line(number).rstrip() for number in range(self._screen.lines)]

    def _line(self, number: int) -> str:
        """A line as a terminal shows it; pyte's own fails at half of a wide character.

        What is written over the first half leaves the second, which a terminal blanks.
        """
        row = self._screen.buffer[number]
        cells = [row[column].data for column in range(self._screen.columns)]
        return "".join(
            cell or ("" if before and wcwidth(before[0]) == 2 else " ")
            for before, cell in zip(["", *cells], cells, strict=False)
        )

    @property
    def text(self) -> str:
        """The screen as one string."""
        return "\n".join(self.lines)

    # -- acting --------------------------------------------------------------------------------

    def send(self, keys: str | bytes) -> None:
        """Type. What is longer than the terminal takes at once goes in while it is read."""
        data = keys.encode() if isinstance(keys, str) else keys
        while data:
            count = os.write(self._master, data[:1024])
            data = data[count:]
            if data:
                self.read(0)

    def resize(self, columns: int, rows: int) -> None:
        """Give the window another size; the kernel tells the program."""
        _ = self.lines
        self._screen.resize(rows, columns)
        self._set_size(columns, rows)

    def fills(self, columns: int, rows: int) -> bool:
        """Whether what is drawn reaches the last column and the last row."""
        lines = self.lines
        return len(lines) == rows and bool(lines[-1]) and max(map(len, lines)) == columns

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def family(self) -> list[psutil.Process]:
        """The program's process and its children's, engines among them."""
        process = psutil.Process(self.process.pid)
        return [process, *process.children(recursive=True)]

    def engines(self) -> list[psutil.Process]:
        """The living engine processes among the children."""
        found: list[psutil.Process] = []
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):  # a zombie is one as well
                if "hfterm.engine.worker" in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def close(self) -> None:
        """Close the window: the program is sent SIGHUP."""
        if self._master >= 0:
            os.close(self._slave)
            os.close(self._master)
            self._master = -1

    def ended(self) -> int:
        """Read until the program ends; its exit code."""
        deadline = time.monotonic() + LONGEST
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"it never ends\n{self.text}")
            self.read(0.05)
        while self.read(0):
            pass
        return self.process.returncode

    def kill(self) -> None:
        """End everything that was started."""
        family = self.family() if self.process.poll() is None else []
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.close()
