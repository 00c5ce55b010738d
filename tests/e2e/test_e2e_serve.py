"""``hfterm serve``: the installed program, a client of its protocol, and a real browser."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import psutil
import pytest
from aiohttp import ClientSession, CookieJar, WSMsgType
from test_e2e_workbench import processes_of_this_home

from browser import ALT, CTRL, MISSING, Browser, chromium
from waiting import LONGEST, gone, until, wait_until

pytestmark = pytest.mark.usefixtures("starter_kit")

HFTERM = str(Path(sys.executable).with_name("hfterm"))
ENDS = ["SIGINT", "SIGTERM", "SIGHUP"]


class Served:
    """``hfterm serve`` while it runs."""

    def __init__(self, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [HFTERM, "serve", *arguments], env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.invitation = self.process.stdout.readline().strip()
        self.address = self.invitation.partition("?")[0]

    def apps(self) -> list[psutil.Process]:
        """The workbenches it started."""
        return psutil.Process(self.process.pid).children()

    def ended(self) -> tuple[int, str, str]:
        """Exit code, the rest of the standard output, and the errors."""
        out, err = self.process.communicate(timeout=LONGEST)
        return self.process.returncode, out, err

    def end(self, how: str = "SIGTERM") -> tuple[int, str, str]:
        """The same, after a signal."""
        self.process.send_signal(signal.Signals[how])
        return self.ended()


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """Start a server; what still runs is ended with the test."""
    started: list[Served] = []

    def begin(*arguments: str, env: dict[str, str] | None = None) -> Served:
        started.append(Served(*arguments, env=env))
        return started[-1]

    yield begin
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()
        for pipe in (one.process.stdout, one.process.stderr):
            assert pipe is not None
            pipe.close()


class Tab:
    """What textual.js does: a WebSocket, keys into it, and the bytes for the terminal."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self.raw = bytearray()
        self.messages: list[list[object]] = []

    async def __aenter__(self) -> Self:
        self.client = ClientSession(cookie_jar=CookieJar(unsafe=True))
        answer = await self.client.get(self._served.invitation)
        assert answer.status == 200, await answer.text()
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()
        await self.reading
        await self.client.close()

    async def connect(self, width: int = 120, height: int = 40) -> None:
        """Open the workbench."""
        self.raw.clear()
        self.socket = await self.client.ws_connect(
            f"{self._served.address}ws?width={width}&height={height}", max_msg_size=0,
            headers={"Origin": self._served.address.rstrip("/")},
        )  # fmt: skip
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self.socket:
            if message.type is WSMsgType.BINARY:
                self.raw += message.data
            elif message.type is WSMsgType.TEXT:
                self.messages.append(json.loads(message.data))

    async def send(self, *message: object) -> None:
        await self.socket.send_json(message)

    async def until(self, pattern: bytes) -> None:
        """Wait for bytes that match."""
        expression = re.compile(pattern)
        await until(lambda: expression.search(self.raw) or self.socket.closed, f"{pattern!r}")
        assert expression.search(self.raw), "it ended before"


# -- beginning and ending ----------------------------------------------------------------------


def test_it_says_one_address_and_how_to_end_it(serve: Callable[..., Served]) -> None:
    served = serve(env={"SSH_CONNECTION": "10.0.0.2 50000 10.0.0.1 22"})
    found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?token=[\w-]{22,}", served.invitation)
    assert found, served.invitation
    code, out, err = served.end("SIGINT")
    assert (code, out) == (0, "")
    assert "Ctrl+C ends" in err
    assert f"ssh -L {found[1]}:127.0.0.1:{found[1]} 10.0.0.1" in err


def test_a_taken_port_is_said_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = subprocess.run([HFTERM, "serve", "--port", port], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"Port {port} is in use" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("how", ENDS)
async def test_however_it_ends_no_process_is_left(serve: Callable[..., Served], how: str) -> None:
    served = serve()
    async with Tab(served) as tab:
        await tab.until(rb"\[SEP\]")
        family = psutil.Process(served.process.pid).children(recursive=True)
        assert len(family) >= 2, "a workbench and its engine"
        code, _, err = await asyncio.to_thread(served.end, how)
        await tab.reading
    assert code == 0, err
    assert "Traceback" not in err
    wait_until(lambda: not processes_of_this_home(), "no process left")


async def test_ending_while_a_workbench_starts_leaves_no_process(
    serve: Callable[..., Served],
) -> None:
    served = serve()
    async with Tab(served):
        await until(served.apps, "a process")
        code, _, err = await asyncio.to_thread(served.end, "SIGINT")
    assert code == 0, err
    wait_until(lambda: not processes_of_this_home(), "no process left")


@pytest.mark.parametrize("times", [1, 2])
async def test_a_workbench_that_hangs_is_killed(serve: Callable[..., Served], times: int) -> None:
    """After a while, or at once when Ctrl+C comes again."""
    served = serve()
    async with Tab(served) as tab:
        await tab.until(rb"\[SEP\]")
        served.apps()[0].suspend()
        for _ in range(times):
            served.process.send_signal(signal.SIGINT)
        code, _, err = await asyncio.to_thread(served.ended)
    assert code == 0, err
    wait_until(lambda: not processes_of_this_home(), "no process left")


async def test_a_workbench_ends_with_a_server_that_was_killed(
    serve: Callable[..., Served],
) -> None:
    served = serve()
    async with Tab(served) as tab:
        await tab.until(rb"\[SEP\]")
        served.process.kill()
        await tab.reading
    wait_until(lambda: not processes_of_this_home(), "no process left")


async def test_a_closed_tab_ends_its_workbench_and_the_next_one_is_new(
    serve: Callable[..., Served],
) -> None:
    served = serve("--text", "first tab")
    async with Tab(served) as tab:
        await tab.until(rb"\[SEP\]")
        family = psutil.Process(served.process.pid).children(recursive=True)
        await tab.socket.close()
        await until(lambda: all(gone(process.pid) for process in family), "its processes ended")
        await tab.connect()
        await tab.until(rb"\[SEP\]")
        assert len(served.apps()) == 1
    assert served.end()[0] == 0


async def test_quitting_in_the_page_closes_the_connection(serve: Callable[..., Served]) -> None:
    served = serve()
    async with Tab(served) as tab:
        await tab.until(rb"\[SEP\]")
        await tab.send("stdin", "\x11")
        await tab.reading
        await until(lambda: not served.apps(), "its process ended")
        assert served.process.poll() is None
    _, _, err = served.end()
    assert "exit code" not in err


async def test_a_workbench_that_dies_is_said(serve: Callable[..., Served]) -> None:
    served = serve()
    async with Tab(served) as tab:
        await tab.until(rb"\[SEP\]")
        served.apps()[0].kill()
        await tab.reading
    code, _, err = served.end()
    assert code == 0
    assert re.search(r"A workbench ended with exit code -9\. \S+serve-\d+\.log", err)


async def test_nothing_written_down_holds_a_secret(serve: Callable[..., Served]) -> None:
    served = serve()
    token = served.invitation.partition("=")[2]
    async with Tab(served) as tab:
        await tab.until(rb"\[SEP\]")
        (cookie,) = [cookie.value for cookie in tab.client.cookie_jar]
        environ = served.apps()[0].environ()
        assert token not in str(environ)
        assert cookie not in str(environ)
    assert served.end()[0] == 0
    for file in Path(os.environ["HOME"]).rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert token.encode() not in data, file
            assert cookie.encode() not in data, file


# -- what the terminal of the page is told ---------------------------------------------------------


async def test_the_terminal_is_the_pages_and_not_the_servers(
    serve: Callable[..., Served],
) -> None:
    """Started in tmux on a terminal without colour, the page has its own."""
    env = {"TMUX": "/tmp/tmux,1,0", "TERM": "screen", "COLORTERM": "", "STY": "1.x"}
    served = serve("--text", "copied in the page", env=env)
    async with Tab(served) as tab:
        await tab.until(rb"\[SEP\]")
        assert b"48;2;" in tab.raw
        await tab.send("stdin", "\x1b[20~")  # F9
        payload = base64.b64encode(b"copied in the page")
        await tab.until(re.escape(b"\x1b]52;c;" + payload + b"\x07"))
        assert b"\x1bP" not in tab.raw, "wrapped for tmux"


async def test_it_follows_size_and_screen_and_survives_what_makes_no_sense(
    serve: Callable[..., Served],
) -> None:
    served = serve("--screen", "models", "--model", "minilm")
    async with Tab(served) as tab:
        await tab.until(b"MaskedLM|Classification")
        await tab.socket.send_str("no json {")
        for message in ({}, [], ["stdin"], ["stdin", 3], ["resize", {}], ["unknown", 1],
                        ["resize", {"width": "x", "height": -4}]):  # fmt: skip
            await tab.socket.send_json(message)
        await tab.send("ping", "17")
        await until(lambda: ["pong", "17"] in tab.messages, "a pong")
        await tab.send("resize", {"width": 150, "height": 50})
        await tab.until(rb"\x1b\[50;\d+H")
    assert served.end()[0] == 0


async def test_a_large_paste_arrives_whole(serve: Callable[..., Served]) -> None:
    served = serve("--text", "")
    async with Tab(served) as tab:
        await tab.until(rb"\[SEP\]")
        text = "hugging " * 550_000  # more than aiohttp takes by default
        await tab.send("stdin", f"\x1b[200~{text}\x1b[201~")
        await tab.until(rb"4,400,000 chars")


# -- a browser ---------------------------------------------------------------------------------


def stays(condition: Callable[[str], bool]) -> Callable[[str], bool]:
    """`condition`, met by the same text at ten looks in a row."""
    seen: deque[str] = deque(maxlen=10)

    def met(text: str) -> bool:
        seen.append(text)
        return condition(text) and seen.count(text) == seen.maxlen

    return met


@pytest.mark.skipif(chromium() is None, reason=MISSING)
async def test_in_a_browser_it_is_painted_typed_into_copied_from_and_left(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    served = serve("--text", "")
    async with Browser(tmp_path, scale=2) as browser:
        await browser.allow_clipboard()
        await browser.downloads_to(tmp_path / "downloads")
        page = await browser.page()
        await page.open(served.invitation)
        await page.shows(lambda text: "[SEP]" in text, "the workbench")
        assert await page.evaluate("location.href") == served.address

        await page.type("tokenizers rock, →ü.")
        await page.shows(
            lambda text: "[CLS] tokenizers rock, →ü. [SEP]" in text and "##izer" in text,
            "the tokens of what was typed",
        )

        picture = await page.screenshot()
        assert picture.width == 2 * await page.evaluate("innerWidth")
        counts = picture.getcolors(picture.width * picture.height) or []
        assert max(counts)[1] == (0x11, 0x11, 0x11), "the theme's background"
        assert len(counts) > 100, "letters have soft edges"
        accent = sum(count for count, color in counts if color == (0xE8, 0xB9, 0x31))
        assert accent > 1_000, "the frame of what has the keyboard"
        width, height = picture.size
        assert len(set(picture.crop((0, height // 2, width, height)).getdata())) > 10
        assert len(set(picture.crop((width // 2, 0, width, height)).getdata())) > 10

        await page.press("F9")
        await page.wait("navigator.clipboard.readText().then((t) => t.includes('rock, →ü.'))",
                        "the text in the clipboard")  # fmt: skip

        await page.press("2", ALT)
        await page.shows(lambda text: "Parameters" in text and "LoRA" in text, "Models")
        await page.press("p", CTRL)
        await page.shows(lambda text: "Search for commands" in text, "the palette")
        await page.type("screenshot")
        # Textual's palette takes no choice while it looks for more
        await page.shows(
            stays(lambda text: "Save the screen" in text and "Go to" not in text), "the one"
        )
        await page.press("Enter")
        folder = tmp_path / "downloads"
        await until(lambda: list(folder.glob("*.svg")), "the picture downloaded")

        # there is no graphics card here, which is said
        assert [told for told in page.complaints if "WebGL" not in told] == []

        await page.press("q", CTRL)
        await page.wait("document.body.classList.contains('-closed')", "the end said")
        loads = page.loads
        await page.press("Enter")
        await until(lambda: page.loads > loads, "the page loaded again")
        await page.shows(lambda text: "Tokenize" in text, "a workbench anew")

        mine = (served.address, served.address.replace("http:", "ws:"))
        assert all(url.startswith(mine) for url in page.requests), page.requests
        await page.close()
        await until(lambda: not served.apps(), "the process of the closed tab ended")
    assert served.end()[0] == 0
    wait_until(lambda: not processes_of_this_home(), "no process left")
