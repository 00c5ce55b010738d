"""A hub on the loopback interface: one real small repository, and repositories with faults.

Serves what `snapshot_download` asks for: the revision, the tree, and each file by HEAD and GET,
whole or in ranges.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"

LOGIN_PAGE = b"<!doctype html><html><title>Sign in to the guest network</title></html>"

FAULTS: dict[str, tuple[int, dict[str, str]]] = {
    "lab/private": (401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Not found"}),
    "lab/expired": (401, {"X-Error-Message": "Invalid credentials in Authorization header"}),
    "lab/gated": (403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"}),
    "lab/gated-anonymous": (401, {"X-Error-Code": "GatedRepo"}),
    "lab/forbidden": (403, {}),
    "lab/missing": (404, {"X-Error-Code": "RepoNotFound"}),
    "lab/busy": (429, {"RateLimit": '"api";r=0;t=1', "Retry-After": "1"}),
    "lab/broken": (500, {}),
    "lab/down": (503, {}),
}  # fmt: skip
"""Repository → status and headers of every answer about it."""


@dataclass
class Hub:
    """The server.

    Attributes:
        folders: repository → the folder that holds its files.
        asked: (method, path) of every request.
        garbage: repositories answered by a login page with status 200.
        cut: repositories whose connection is closed without an answer.
        cut_files: files whose answers break off half way.
        sent: file → bytes of it that were sent.
        breaks: file → at which shares of its next answers the connection breaks.
        large: bytes from which a file is kept as the hub keeps large ones: named by SHA-256.
        refusals: file → (status, headers) of its next answers, one after the other.
        tampered: files whose last byte is another than was listed.
        piece: bytes sent at once; `between` is called after each.
        tokens: authorization headers that came with files.
    """

    folders: dict[str, Path] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    garbage: set[str] = field(default_factory=lambda: {"lab/garbage"})
    cut: set[str] = field(default_factory=lambda: {"lab/cut"})
    cut_files: set[str] = field(default_factory=set)
    sent: dict[str, int] = field(default_factory=dict)
    breaks: dict[str, list[float]] = field(default_factory=dict)
    large: int = 1 << 40
    refusals: dict[str, list[tuple[int, dict[str, str]]]] = field(default_factory=dict)
    tampered: set[str] = field(default_factory=set)
    piece: int = 1 << 40
    between: Callable[[], object] | None = None
    tokens: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        hub = self

        class Handler(_Handler):
            server_hub = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint(self) -> str:
        """For HF_ENDPOINT."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_hub: Hub

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        hub = self.server_hub
        path = unquote(urlsplit(self.path).path)
        hub.asked.append((self.command, path))
        parts = re.sub("^/(api/)?(models|datasets)/", "", path).strip("/").split("/")
        repo = "/".join(parts[:2])
        if repo in hub.cut:
            self.close_connection = True
            return
        if repo in hub.garbage:
            self._send(200, LOGIN_PAGE, {"Content-Type": "text/html"}, body)
            return
        status, headers = FAULTS.get(repo, (404, {"X-Error-Code": "RepoNotFound"}))
        folder = hub.folders.get(repo)
        if folder is None:
            text = json.dumps({"error": headers.get("X-Error-Message", "no")}).encode()
            self._send(status, text, headers, body)
        elif path.startswith("/api/"):
            self._send_json(self._described(repo, folder, parts[2:]), body)
        else:
            name = "/".join(parts[4:])
            self._send_file(folder, name, name in hub.cut_files, body)

    def _described(self, repo: str, folder: Path, rest: list[str]) -> object:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        if rest[:1] == ["tree"]:
            return [self._listed(file, folder) for file in files]
        siblings = [{"rfilename": str(file.relative_to(folder))} for file in files]
        return {"id": repo, "modelId": repo, "sha": COMMIT, "private": False, "gated": False,
                "disabled": False, "tags": [], "downloads": 1, "likes": 0,
                "siblings": siblings}  # fmt: skip

    def _listed(self, file: Path, folder: Path) -> dict[str, object]:
        size = file.stat().st_size
        large = {"lfs": {"oid": self._hash(file), "size": size, "pointerSize": 134}}
        return {
            "type": "file",
            "path": str(file.relative_to(folder)),
            "size": size,
            "oid": _etag(file),
            **(large if size >= self.server_hub.large else {}),
        }

    def _hash(self, file: Path) -> str:
        if file.stat().st_size >= self.server_hub.large:
            return hashlib.sha256(file.read_bytes()).hexdigest()
        return _etag(file)

    def _send_file(self, folder: Path, name: str, cut: bool, body: bool) -> None:
        file = folder / name
        if not file.is_file():
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"}, body)
            return
        hub = self.server_hub
        refusals = hub.refusals.get(name)
        if refusals and body:
            status, headers = refusals.pop(0)
            self._send(status, b"", headers, body)
            return
        if body and "Authorization" in self.headers:
            hub.tokens.append(self.headers["Authorization"])
        content = file.read_bytes()
        if name in hub.tampered:
            content = content[:-1] + bytes([content[-1] ^ 1])
        headers = {
            "ETag": f'"{self._hash(file)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes",
        }  # fmt: skip
        status, size = 200, len(content)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or size), size - 1)
            status, content = 206, content[first : last + 1]
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        limit = None
        if cut and body:
            self.close_connection = True
            limit = len(content) // 2
        if hub.breaks.get(name) and body:
            self.close_connection = True
            limit = int(len(content) * hub.breaks[name].pop(0))
        if body:
            hub.sent[name] = hub.sent.get(name, 0) + len(content[:limit])
        self._send(status, content, headers, body, limit=limit)

    def _send_json(self, value: object, body: bool) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"}, body)

    def _send(
        self,
        status: int,
        content: bytes,
        headers: dict[str, str],
        body: bool,
        *,
        limit: int | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self._write(content[:limit])

    def _write(self, content: bytes) -> None:
        hub = self.server_hub
        try:
            for start in range(0, len(content), hub.piece):
                self.wfile.write(content[start : start + hub.piece])
                self.wfile.flush()
                if hub.between is not None:
                    hub.between()
        except OSError:
            self.close_connection = True  # nobody listens any more


def _etag(file: Path) -> str:
    """Git's hash of a blob, as the hub names small files."""
    content = file.read_bytes()
    blob = b"blob %d\0" % len(content) + content
    return hashlib.sha1(blob, usedforsecurity=False).hexdigest()
