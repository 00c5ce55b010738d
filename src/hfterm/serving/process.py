"""The process behind one tab of a browser: an hfterm that draws into a pipe."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

QUIT_WITHIN = 8.0
"""Seconds that a workbench has to end its engines by itself."""

READY = b"__GANGLION__\n"
"""What Textual's driver says first. Private; the tests of the browser fail when it changes."""

DRIVER = "hfterm.serving.driver:WorkbenchDriver"

OTHER_TERMINALS = ("TMUX", "STY", "LC_TERMINAL", "WT_SESSION", "SSH_TTY")
"""What a shell tells of the terminal that the server was started in."""


def _appending(file: Path) -> BinaryIO:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return file.open("ab")
    except OSError:  # a full or read-only disk must not keep the workbench from starting
        return Path(os.devnull).open("ab")


class AppProcess(AppService):
    """A workbench, its pipes, and its end."""

    def __init__(
        self,
        argv: Sequence[str],
        log_file: Path,
        *,
        write_bytes: Callable[[bytes], Awaitable[None]],
        write_str: Callable[[str], Awaitable[None]],
        close: Callable[[], Awaitable[object]],
        download_manager: DownloadManager,
    ) -> None:
        async def end() -> None:
            await close()

        super().__init__(
            "hfterm",
            write_bytes=write_bytes,
            write_str=write_str,
            close=end,
            download_manager=download_manager,
        )
        self._argv = (sys.executable, "-m", "hfterm", *argv)
        self._log_file = log_file
        self._listened_to = True
        self._starting = asyncio.Lock()
        self._ended: asyncio.Task[None] | None = None

    async def start(self, width: int, height: int) -> None:
        """Start the workbench, unless it has been stopped already."""
        async with self._starting:
            if self._ended is None:
                await super().start(width, height)

    def _build_environment(self, width: int = 80, height: int = 24) -> dict[str, str]:
        environ = super()._build_environment(width, height)
        for name in OTHER_TERMINALS:
            environ.pop(name, None)
        # the page's terminal is xterm.js, wherever the server was started
        environ.update(TEXTUAL_DRIVER=DRIVER, TERM="xterm-256color", COLORTERM="truecolor")
        return environ

    async def _open_app_process(
        self, width: int = 80, height: int = 24
    ) -> asyncio.subprocess.Process:
        with _appending(self._log_file) as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._build_environment(width, height),
                # of its own session, so that ctrl+c in a terminal is the server's to handle
                start_new_session=True,
            )
        self._stdin = self._process.stdin
        return self._process

    async def run(self) -> None:
        """Hand on what the workbench writes until it ends; then close the connection."""
        assert self._process is not None
        assert self._process.stdout is not None
        stdout = self._process.stdout
        try:
            while (line := await stdout.readline()) != READY and line:
                pass
            while True:
                head = await stdout.readexactly(5)
                payload = await stdout.readexactly(int.from_bytes(head[1:], "big"))
                await self._hand_on(head[:1], payload)
        except asyncio.IncompleteReadError:
            pass
        with suppress(ConnectionError):
            await self.remote_close()

    async def _hand_on(self, kind: bytes, payload: bytes) -> None:
        """Whoever left does not keep the workbench from writing its last."""
        if kind == b"P":
            await self.on_packed(payload)
        elif self._listened_to:
            try:
                await (self.on_data(payload) if kind == b"D" else self.on_meta(payload))
            except (ConnectionError, RuntimeError):  # aiohttp: the connection is closed
                self._listened_to = False

    @property
    def exit_code(self) -> int:
        """How the process ended; 0 also while it runs."""
        return (self._process.returncode or 0) if self._process is not None else 0

    async def stop(self) -> None:
        """End the workbench and its engines: it is asked to, and after a while it is killed."""
        if self._ended is None:
            self._ended = asyncio.create_task(self._end())
        await asyncio.shield(self._ended)

    async def _end(self) -> None:
        async with self._starting:
            process = self._process
        if process is None:
            return
        await self._download_manager.cancel_app_downloads(app_service_id=self.app_service_id)
        try:
            async with asyncio.timeout(QUIT_WITHIN):
                if process.returncode is None:
                    await self.send_meta({"type": "quit"})
                    self.stdin.close()
                await process.wait()
        except TimeoutError:
            self.kill()
            await process.wait()
        if self._task is not None:
            await self._task

    def kill(self) -> None:
        """End the workbench at once; its engines end when they notice, and runs go on."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
