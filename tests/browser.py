"""A headless Chromium, worked through its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import aiohttp
from PIL import Image

from waiting import LONGEST, Patience, gone, until

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "it needs Chromium: apt-get install chromium"

ALT, CTRL, SHIFT = 1, 2, 8
KEYS = {"Enter": 13, "Backspace": 8, "Escape": 27} | {f"F{n}": 111 + n for n in range(1, 13)}

# The page keeps its terminal to itself; DevTools finds it among all objects.
_IS_TERMINAL = """function () {
  return this.find((o) => {
    try { return o.cols && o.buffer && o.buffer.active.getLine && o.unicode; }
    catch { return false; }
  });
}"""
_LINES = """function () {
  const buffer = this.buffer.active;
  return Array.from({ length: this.rows }, (_, row) =>
    buffer.getLine(buffer.viewportY + row).translateToString(true)).join("\\n");
}"""


def chromium() -> str | None:
    """Where the browser is."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One tab.

    Attributes:
        loads: how often a document was loaded.
        requests: every address that was asked for.
        complaints: errors, exceptions and violations of the page's policy.
    """

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self._browser = browser
        self._session = session
        self._target = target
        self._terminal = ""
        self.loads = 0
        self.requests: list[str] = []
        self.complaints: list[str] = []

    async def call(self, method: str, **params: object) -> dict[str, Any]:
        return await self._browser.call(method, self._session, **params)

    def heard(self, method: str, params: dict[str, Any]) -> None:
        match method:
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Network.webSocketCreated":
                self.requests.append(params["url"])
            case "Page.loadEventFired":
                self.loads += 1
            case "Runtime.executionContextsCleared":
                self._terminal = ""
            case "Runtime.exceptionThrown":
                self.complaints.append(str(params["exceptionDetails"]))
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.complaints.append(params["entry"]["text"])

    async def evaluate(self, expression: str) -> Any:
        answer = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def open(self, url: str) -> None:
        await self.call("Page.navigate", url=url)

    async def _on_terminal(self, function: str) -> Any:
        if not self._terminal:
            objects = await self.call("Runtime.evaluate", expression="Object.prototype")
            found = await self.call(
                "Runtime.queryObjects", prototypeObjectId=objects["result"]["objectId"]
            )
            terminal = await self.call(
                "Runtime.callFunctionOn",
                objectId=found["objects"]["objectId"],
                functionDeclaration=_IS_TERMINAL,
            )
            await self.call("Runtime.releaseObject", objectId=found["objects"]["objectId"])
            if "objectId" not in terminal["result"]:
                return None
            self._terminal = terminal["result"]["objectId"]
        answer = await self.call(
            "Runtime.callFunctionOn",
            objectId=self._terminal, functionDeclaration=function, returnByValue=True,
        )  # fmt: skip
        return answer["result"].get("value")

    async def text(self) -> str:
        """What stands in the page's terminal."""
        return await self._on_terminal(_LINES) or ""

    async def shows(self, condition: Callable[[str], object], what: str) -> str:
        """Wait until the terminal's text is as `condition` wants it."""
        patience = Patience()
        while not condition(text := await self.text()):
            if patience.over:
                raise AssertionError(f"never: {what}\n{text}\n{self.complaints}")
            await asyncio.sleep(0.02)
        return text

    async def wait(self, expression: str, what: str) -> None:
        """Wait until JavaScript is true."""
        patience = Patience()
        while not await self.evaluate(expression):
            if patience.over:
                raise AssertionError(f"never: {what}\n{self.complaints}")
            await asyncio.sleep(0.02)

    async def type(self, text: str) -> None:
        for letter in text:
            code = ord(letter.upper()) if letter.isascii() and letter.isalnum() else 0
            key = {"key": letter, "windowsVirtualKeyCode": code}
            await self.call("Input.dispatchKeyEvent", type="keyDown", text=letter, **key)
            await self.call("Input.dispatchKeyEvent", type="keyUp", **key)

    async def press(self, name: str, modifiers: int = 0) -> None:
        code = KEYS.get(name) or ord(name.upper())
        key = {"key": name, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        # buttons take Enter for its character
        text = {"type": "keyDown", "text": "\r"} if name == "Enter" else {"type": "rawKeyDown"}
        await self.call("Input.dispatchKeyEvent", **text, **key)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **key)

    async def screenshot(self) -> Image.Image:
        answer = await self.call("Page.captureScreenshot", format="png")
        return Image.open(io.BytesIO(base64.b64decode(answer["data"]))).convert("RGB")

    async def close(self) -> None:
        await self._browser.call("Target.closeTarget", targetId=self._target)


class Browser:
    """A browser process of the test's own, with a profile of its own."""

    def __init__(self, home: Path, *, width: int = 1440, height: int = 900, scale: int = 1) -> None:
        program = chromium()
        assert program is not None, MISSING
        self._profile = home / "profile"
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}
        flags = [
            "--headless=new", "--no-first-run", "--no-default-browser-check",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-extensions", "--disable-dev-shm-usage", "--hide-scrollbars",
            "--remote-debugging-port=0", f"--user-data-dir={self._profile}",
            # not by emulation, which canvases do not hear of
            f"--window-size={width},{height}", f"--force-device-scale-factor={scale}",
        ]  # fmt: skip
        if os.geteuid() == 0:  # its sandbox is not for root
            flags.append("--no-sandbox")
        self._log = (home / "browser.log").open("wb")
        self._process = subprocess.Popen(
            [program, *flags, "about:blank"], stdout=self._log, stderr=self._log,
            start_new_session=True,
        )  # fmt: skip

    async def __aenter__(self) -> Self:
        where = self._profile / "DevToolsActivePort"
        await until(lambda: where.exists() and where.read_text().count("\n"), "DevTools listen")
        port, path = where.read_text().split("\n")[:2]
        self._http = aiohttp.ClientSession()
        self._socket = await self._http.ws_connect(
            f"http://127.0.0.1:{port}{path}", max_msg_size=0, heartbeat=None
        )
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.call("Browser.close")
        await self._socket.close()
        self._reading.cancel()
        await self._http.close()
        await until(lambda: self._process.poll() is not None or gone(self._process.pid), "its end")
        self._log.close()

    async def downloads_to(self, folder: Path) -> None:
        """Where files go that pages bring."""
        await self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    async def allow_clipboard(self) -> None:
        """Answer the question whether pages may read it."""
        await self.call(
            "Browser.grantPermissions",
            permissions=["clipboardReadWrite", "clipboardSanitizedWrite"],
        )

    async def call(self, method: str, session: str = "", **params: object) -> dict[str, Any]:
        number = next(self._ids)
        self._answers[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": params}
        await self._socket.send_json({**message, "sessionId": session} if session else message)
        async with asyncio.timeout(LONGEST):
            return await self._answers[number]

    async def _read(self) -> None:
        async for message in self._socket:
            told = message.json()
            if "id" in told:
                answer = self._answers.pop(told["id"])
                if "error" in told:
                    answer.set_exception(AssertionError(told["error"]))
                else:
                    answer.set_result(told["result"])
            elif (page := self._pages.get(told.get("sessionId", ""))) is not None:
                page.heard(told["method"], told["params"])

    async def page(self) -> Page:
        """A new tab."""
        target = (await self.call("Target.createTarget", url="about:blank"))["targetId"]
        answer = await self.call("Target.attachToTarget", targetId=target, flatten=True)
        page = self._pages[answer["sessionId"]] = Page(self, answer["sessionId"], target)
        for domain in ("Page", "Runtime", "Network", "Log"):
            await page.call(f"{domain}.enable")
        await page.call("Emulation.setFocusEmulationEnabled", enabled=True)
        return page
