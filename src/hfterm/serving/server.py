"""The web server: textual-serve's terminal page and protocol, behind a gate of hfterm's own."""

from __future__ import annotations

import asyncio
import errno
import html
import importlib.util
import json
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import cast
from urllib.parse import quote

from aiohttp import WSMsgType, web
from textual_serve.server import Server, to_int

from hfterm import paths
from hfterm.errors import HftermError
from hfterm.serving.gate import LOOPBACK, NAMES, Gate
from hfterm.serving.process import AppProcess

PAGE = Path(__file__).with_name("page")
LONGEST_MESSAGE = 64 << 20
"""Bytes: what is pasted comes in one piece."""

FONTS = (
    "DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf", "DejaVuSansMono-Oblique.ttf",
    "DejaVuSansMono-BoldOblique.ttf", "DejaVuSans.ttf",
)  # fmt: skip
"""matplotlib's, for the symbols that textual-serve's font lacks."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_DENIED = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>hfterm</title>
<style>body {{ background: #111; color: #dedbd6; font: 16px/1.6 monospace; margin: 4em auto;
max-width: 44em; padding: 0 2em }} h1 {{ color: #e8b931; font-size: 1.2em }}</style>
<h1>{title}</h1><p>{remedy}</p></html>
"""


def listen(port: int) -> socket.socket:
    """Bind the loopback interface; port 0 takes a free one.

    Raises:
        HftermError: the port is taken, or not for everyone.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # what a server before this one left in TIME_WAIT is no reason to wait
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((LOOPBACK, port))
        sock.listen()
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise HftermError(
                "port-taken",
                f"Port {port} is in use by another program.",
                "Choose another with --port, or leave that out: then a free one is taken.",
            ) from None
        if error.errno == errno.EACCES:
            raise HftermError(
                "port-denied",
                f"Port {port} is not for you to use: those below 1024 are the administrator's.",
                "Choose another with --port, or leave that out: then a free one is taken.",
            ) from None
        raise HftermError(
            "port", f"Port {port} can't be used: {error.strerror}.", "Choose another with --port."
        ) from None
    return sock


class WorkbenchServer(Server):
    """Serves the workbench to one browser, a process for each of its tabs."""

    def __init__(
        self, sock: socket.socket, argv: Sequence[str], say: Callable[[str], None]
    ) -> None:
        """Make a server that does not listen yet.

        Args:
            sock: where it will, from `listen`.
            argv: arguments for each ``hfterm`` that it starts.
            say: tells the person at the terminal.
        """
        port = cast("int", sock.getsockname()[1])
        super().__init__("hfterm", LOOPBACK, port)
        self.gate = Gate(port)
        self.log_file = paths.logs_dir() / f"serve-{os.getpid()}.log"
        self._sock = sock
        self._argv = tuple(argv)
        self._say = say
        self._open: set[AppProcess] = set()
        self._ending = False
        # not every browser counts ws: as the page's own
        self._sockets = " ".join(f"ws://{name}:{port}" for name in NAMES)

    # -- running -------------------------------------------------------------------------------

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Serve until SIGINT, SIGTERM or SIGHUP; a second one no longer waits."""
        self._log_to_file()
        stopped, hurry = asyncio.Event(), asyncio.Event()
        self._take_signals(stopped, hurry)
        # the access log would hold the token
        runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.SockSite(runner, self._sock).start()
        on_ready()
        await stopped.wait()
        await self._end_all(hurry)
        await runner.cleanup()

    def _take_signals(self, stopped: asyncio.Event, hurry: asyncio.Event) -> None:
        def stop() -> None:
            (hurry if stopped.is_set() else stopped).set()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup ignores hangups so that what it starts outlives the terminal
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, stop)

    async def _end_all(self, hurry: asyncio.Event) -> None:
        self._ending = True
        ending = asyncio.gather(*(app.stop() for app in self._open))
        hurried = asyncio.create_task(hurry.wait())
        await asyncio.wait([ending, hurried], return_when=asyncio.FIRST_COMPLETED)
        if hurried.done():
            for app in self._open:
                app.kill()
        hurried.cancel()
        await ending

    def _log_to_file(self) -> None:
        """What aiohttp has to say is for the log, not for the terminal."""
        try:
            self.log_file.parent.mkdir(parents=True, exist_ok=True)
            handler: logging.Handler = logging.FileHandler(self.log_file, delay=True)
        except OSError:
            handler = logging.NullHandler()
        for name in ("aiohttp", "asyncio", "textual-serve"):
            logger = logging.getLogger(name)
            logger.addHandler(handler)
            logger.propagate = False

    # -- routes --------------------------------------------------------------------------------

    def application(self) -> web.Application:
        """The routes, each of them behind the gate."""
        app = web.Application(middlewares=[self._at_the_gate])
        app.on_response_prepare.append(self._protect)
        app.add_routes(
            [
                web.get("/", self._index, allow_head=False),
                web.get("/ws", self.handle_websocket, allow_head=False),
                web.get("/download/{key}", self.handle_download, allow_head=False),
                web.get("/font/{name}", self._font),
                web.static("/static", self.statics_path),
                web.static("/page", PAGE),
            ]
        )
        return app

    @web.middleware
    async def _at_the_gate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        gate = self.gate
        # not `request.host`, which asks the resolver where the header is missing
        if not gate.is_here(request.headers.get("Host", "")):
            return _denied(
                "This is not the address of hfterm here.",
                f"Open {gate.address}. Through an SSH tunnel the port has to be the same on "
                f"both ends: ssh -L {gate.port}:{LOOPBACK}:{gate.port} HOST",
            )
        if request.path == "/" and request.method == "GET" and "token" in request.query:
            return self._invited(request)
        if not gate.knows(request.cookies.get(gate.cookie, "")):
            return _denied(
                "This browser was not let in.",
                "Open the address that hfterm serve printed, with its token. It lets one browser "
                f"in, one time: the browser that used it opens {gate.address} from then on. "
                "For another browser end hfterm serve with Ctrl+C and start it again.",
            )
        return await handler(request)

    def _invited(self, request: web.Request) -> web.StreamResponse:
        gate = self.gate
        known = gate.knows(request.cookies.get(gate.cookie, ""))
        if not known and not gate.spend(request.query["token"]):
            return _denied(
                "This address has been used, or it is not the one that was printed.",
                f"In the browser that used it, open {gate.address}. For another browser end "
                "hfterm serve with Ctrl+C, start it again and open the new address.",
            )
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(gate.cookie, gate.session, path="/", httponly=True, samesite="Strict")
        return response

    async def _protect(self, request: web.Request, response: web.StreamResponse) -> None:
        """Nothing from elsewhere is loaded, and nobody else may show or keep the page."""
        own = "default-src 'none'; sandbox"  # what is downloaded is data, whatever it says
        if not request.path.startswith("/download/"):
            # xterm.js writes its colours and sizes as style elements
            own = (
                "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
                f"font-src 'self'; img-src 'self'; connect-src 'self' {self._sockets}; "
                "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            )
        response.headers.update(
            {
                "Content-Security-Policy": own,
                "Cross-Origin-Opener-Policy": "same-origin",
                "Cross-Origin-Resource-Policy": "same-origin",
                "Referrer-Policy": "no-referrer",
                "X-Content-Type-Options": "nosniff",
                "X-Frame-Options": "DENY",
                "Cache-Control": "no-store",
            }
        )

    async def _index(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(PAGE / "index.html")

    async def _font(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        # found without importing matplotlib, which takes a second
        package = importlib.util.find_spec("matplotlib")
        if name not in FONTS or package is None or package.origin is None:
            raise web.HTTPNotFound
        file = Path(package.origin).parent / "mpl-data" / "fonts" / "ttf" / name
        if not file.is_file():
            raise web.HTTPNotFound
        return web.FileResponse(file)

    async def handle_download(self, request: web.Request) -> web.StreamResponse:
        """A file of a workbench: saved and never shown, since an SVG may ask for fonts outside."""
        key = request.match_info["key"]
        try:
            download = await self.download_manager.get_download_metadata(key)
        except KeyError:
            raise web.HTTPNotFound(text="There is no such file, or no longer.") from None
        response = web.StreamResponse()
        response.content_type = "application/octet-stream"
        name = quote(download.file_name, safe="")
        response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{name}"
        await response.prepare(request)
        async for chunk in self.download_manager.download(key):
            await response.write(chunk)
        await response.write_eof()
        return response

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """A tab: a workbench of its own until either ends."""
        if not self.gate.is_own(request.headers.get("Origin", ""), request.host):
            raise web.HTTPForbidden(text="Only hfterm's own page may connect.")
        if self._ending:
            raise web.HTTPServiceUnavailable(text="hfterm serve is ending.")
        websocket = web.WebSocketResponse(heartbeat=15, max_msg_size=LONGEST_MESSAGE)
        await websocket.prepare(request)
        app = AppProcess(
            self._argv,
            self.log_file,
            write_bytes=websocket.send_bytes,
            write_str=websocket.send_str,
            close=websocket.close,
            download_manager=self.download_manager,
        )
        self._open.add(app)
        try:
            await app.start(_cells(request.query.get("width"), 80),
                            _cells(request.query.get("height"), 24))  # fmt: skip
            if not self._ending:
                await self._listen_to(websocket, app)
        finally:
            await app.stop()
            self._open.discard(app)
            await websocket.close()
            if app.exit_code:
                self._say(
                    f"A workbench ended with exit code {app.exit_code}. {self.log_file} says more."
                )
        return websocket

    async def _listen_to(self, websocket: web.WebSocketResponse, app: AppProcess) -> None:
        async for message in websocket:
            if message.type is not WSMsgType.TEXT:
                continue
            match _message(cast("str", message.data)):
                case ["stdin", str(typed)]:
                    await app.send_bytes(typed.encode("utf-8", "replace"))
                case ["resize", {"width": width, "height": height}]:
                    await app.set_terminal_size(_cells(width, 80), _cells(height, 24))
                case ["ping", sent]:
                    await websocket.send_json(["pong", sent])
                case ["focus", *_]:
                    await app.focus()
                case ["blur", *_]:
                    await app.blur()
                case _:
                    pass


def _message(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _cells(given: object, default: int) -> int:
    """A width or height that a terminal can have."""
    return max(1, min(to_int(str(given), default), 1_000))


def _denied(title: str, remedy: str) -> web.Response:
    text = _DENIED.format(title=html.escape(title), remedy=html.escape(remedy))
    return web.Response(status=403, text=text, content_type="text/html")
