"""A browser's tab: what it sends, what is refused, and how the server ends with tabs open."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, CookieJar, WSMsgType
from typer.testing import CliRunner

from hfterm import paths
from hfterm.cli import app
from hfterm.errors import HftermError
from hfterm.serving import server as serving
from hfterm.serving.server import WorkbenchServer, listen
from waiting import gone, until

pytestmark = pytest.mark.usefixtures("starter_kit")

LOGGERS = ("aiohttp", "asyncio", "textual-serve")


@pytest.fixture(autouse=True)
def signals_and_loggers() -> Iterator[None]:
    """A server takes the process's signals and loggers for itself."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in numbers}
    loggers = [logging.getLogger(name) for name in LOGGERS]
    kept = [(list(one.handlers), one.propagate) for one in loggers]
    yield
    for one, (before, propagate) in zip(loggers, kept, strict=True):
        for added in [handler for handler in one.handlers if handler not in before]:
            one.removeHandler(added)
            added.close()
        one.propagate = propagate
    for number, handler in handlers.items():
        signal.signal(number, handler)


class Serving:
    """A server in this process, and a browser that is in."""

    def __init__(self, arguments: list[str]) -> None:
        self.said: list[str] = []
        self.server = WorkbenchServer(listen(0), arguments, self.said.append)
        self.address = f"127.0.0.1:{self.server.gate.port}"
        self.ended: asyncio.Task[None] | None = None

    async def tab(self, browser: ClientSession, query: str = "") -> ClientWebSocketResponse:
        return await browser.ws_connect(
            f"ws://{self.address}/ws{query}", headers={"Origin": f"http://{self.address}"}
        )

    async def stopped(self) -> None:
        assert self.ended is not None
        await asyncio.wait_for(self.ended, 60)


@asynccontextmanager
async def serve(*arguments: str) -> AsyncIterator[tuple[Serving, ClientSession]]:
    """Serve until the test ends, or a signal."""
    one = Serving(list(arguments))
    ready = asyncio.Event()
    one.ended = asyncio.create_task(one.server.run(ready.set))
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as browser:
        await ready.wait()
        async with browser.get(one.server.gate.invitation) as page:
            assert page.status == 200
        try:
            yield one, browser
        finally:
            if not one.ended.done():
                os.kill(os.getpid(), signal.SIGTERM)
            await one.stopped()


async def comes(tab: ClientWebSocketResponse, wanted: Callable[[str, bytes], bool]) -> None:
    """Read what the workbench writes until something of it is `wanted`."""
    drawn = b""
    async with asyncio.timeout(90):
        async for message in tab:
            if message.type is WSMsgType.BINARY:
                drawn += message.data
            if wanted(message.data if message.type is WSMsgType.TEXT else "", drawn):
                return
    raise AssertionError(f"the connection ended with {drawn[-500:]!r}")


async def test_a_tab_types_is_resized_and_says_nonsense() -> None:
    async with serve("--screen=tokenize", "--model=minilm", "--text=") as (one, browser):
        tab = await one.tab(browser, "?width=wide&height=24")
        await comes(tab, lambda _, drawn: b"\x1b]11;#" in drawn and b"Tokenize" in drawn)
        for nonsense in ("{", "[]", '["resize", 3]', '["stdin", 4]', '["focus"]', '["later", 1]'):
            await tab.send_str(nonsense)
        await tab.send_bytes(b"\0\1")
        await tab.send_json(["blur"])
        await tab.send_json(["focus"])
        await tab.send_json(["ping", 17])
        await comes(tab, lambda text, _: text == '["pong", 17]')
        await tab.send_json(["resize", {"width": 100, "height": 100_000}])
        await tab.send_json(["resize", {"width": 100, "height": 30}])
        await tab.send_json(["stdin", "\x1bOP"])  # F1
        await comes(tab, lambda _, drawn: b"Help" in drawn or b"Keys" in drawn)
        (workbench,) = one.server._open
        assert workbench._process is not None
        pid = workbench._process.pid
        await tab.close()
        await until(lambda: gone(pid), "the workbench of a closed tab to end")
        await until(lambda: not one.server._open, "the tab to be forgotten")
        assert one.said == []


async def test_a_workbench_that_can_not_start_is_said_with_its_log() -> None:
    async with serve("--no-such-option=1") as (one, browser):
        tab = await one.tab(browser)
        async for message in tab:
            assert message.type is not WSMsgType.ERROR
        await until(lambda: bool(one.said), "the server to say so")
        log = one.server.log_file
        assert one.said == [f"A workbench ended with exit code 2. {log} says more."]
        assert "no-such-option" in log.read_text()


async def test_a_second_signal_waits_for_no_workbench() -> None:
    async with serve("--screen=tokenize", "--text=") as (one, browser):
        tab = await one.tab(browser)
        await comes(tab, lambda _, drawn: b"Tokenize" in drawn)
        (workbench,) = one.server._open
        assert workbench._process is not None
        pid = workbench._process.pid
        os.kill(pid, signal.SIGSTOP)  # it hangs, and would be waited for
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        await one.stopped()
        assert gone(pid)
        assert workbench.exit_code == -signal.SIGKILL
        assert "exit code -9" in one.said[0]


async def test_hangups_that_nohup_ignores_stay_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    async with serve() as (one, _):
        os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        os.kill(os.getpid(), signal.SIGTERM)
        await one.stopped()
    assert one.said == []


async def test_no_new_tab_opens_while_the_server_ends() -> None:
    async with serve() as (one, browser):
        one.server._ending = True
        headers = {"Origin": f"http://{one.address}"}
        async with browser.get(f"http://{one.address}/ws", headers=headers) as answer:
            assert answer.status == 503
            assert "is ending" in await answer.text()


async def test_a_font_that_matplotlib_no_longer_has_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving, "FONTS", ("Gone.ttf", "DejaVuSans.ttf"))
    async with serve() as (one, browser):
        for name, status in (("Gone.ttf", 404), ("DejaVuSans.ttf", 200), ("Other.ttf", 404)):
            async with browser.get(f"http://{one.address}/font/{name}") as answer:
                assert answer.status == status


async def test_a_log_that_can_not_be_written_keeps_nobody_from_serving() -> None:
    folder = paths.logs_dir()
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("no folder")
    async with serve() as (one, browser):
        async with browser.get(f"http://{one.address}/") as answer:
            assert answer.status == 200
        assert logging.getLogger("aiohttp").propagate is False
    assert folder.read_text() == "no folder"


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.EACCES, "port-denied", "those below 1024 are the administrator's"),
        (errno.ENOBUFS, "port", "can't be used: No buffer space available"),
    ],
)
def test_a_port_that_can_not_be_used_is_said(
    monkeypatch: pytest.MonkeyPatch, number: int, kind: str, words: str
) -> None:
    class Refused(socket.socket):
        def bind(self, address: object) -> None:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(serving.socket, "socket", Refused)
    with pytest.raises(HftermError) as caught:
        listen(80)
    assert caught.value.kind == kind
    assert words in caught.value.message
    assert "80" in caught.value.message


@pytest.mark.parametrize(
    ("connection", "told"),
    [("10.0.0.7 51000 10.0.0.2 22", True), ("", False), ("10.0.0.7", False)],
)
def test_who_came_by_ssh_is_told_the_tunnel(
    monkeypatch: pytest.MonkeyPatch, connection: str, told: bool
) -> None:
    async def at_once(self: WorkbenchServer, on_ready: Callable[[], None]) -> None:
        on_ready()
        self._sock.close()

    monkeypatch.setattr(WorkbenchServer, "run", at_once)
    monkeypatch.setenv("SSH_CONNECTION", connection)
    done = CliRunner().invoke(app, ["serve", "--model", "minilm"])
    assert done.exit_code == 0
    port = done.stdout.split("127.0.0.1:")[1].split("/")[0]
    assert "works once" in done.stderr
    assert ("by SSH" in done.stderr) == told
    if told:
        assert f"ssh -L {port}:127.0.0.1:{port} 10.0.0.2" in done.stderr
