"""Downloads over TLS: whose certificates are trusted, and what is said where none is."""

from __future__ import annotations

import http.server
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from hfterm.errors import HftermError
from hfterm.hub.http_stream import HttpStream
from hfterm.hub.starter_pip import Access
from hfterm.hub.transfer import Download, transfer
from hfterm.job import Job

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="it makes certificates")

BODY = b"some bytes of a file" * 1000


class Server(NamedTuple):
    url: str
    cert: Path


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose certificate nobody but itself has signed."""
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key,
         "-out", cert, "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    yield Server(f"https://127.0.0.1:{httpd.server_port}/file", cert)
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture(autouse=True)
def no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "HTTPS_PROXY",
                 "https_proxy", "ALL_PROXY", "all_proxy"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)


def bring(server: Server, folder: Path, access: Access) -> bytes:
    """The file, brought."""
    file = Download(server.url, folder / "part", len(BODY), "the file", access)
    transfer(file, Job())
    return file.part.read_bytes()


def test_a_certificate_that_nobody_signed_is_refused_once_and_for_all(
    server: Server, tmp_path: Path
) -> None:
    with pytest.raises(HftermError) as caught:
        bring(server, tmp_path, Access())
    assert caught.value.kind == "certificate"
    assert "127.0.0.1 is not trusted (" in caught.value.message
    assert "PIP_CERT" in caught.value.remedy
    assert not (tmp_path / "part").exists()


def test_a_file_of_certificates_that_pip_trusts_is_trusted(server: Server, tmp_path: Path) -> None:
    assert bring(server, tmp_path, Access(cert=str(server.cert))) == BODY


def test_a_folder_of_certificates_is_trusted(server: Server, tmp_path: Path) -> None:
    named = subprocess.run(
        ["openssl", "x509", "-subject_hash", "-noout", "-in", server.cert],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    folder = tmp_path / "certs"
    folder.mkdir()
    shutil.copy(server.cert, folder / f"{named.stdout.strip()}.0")
    assert bring(server, tmp_path, Access(cert=str(folder))) == BODY


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_file_that_the_environment_names_is_trusted(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(server.cert))
    assert bring(server, tmp_path, Access()) == BODY


def test_a_certificate_file_that_is_gone_is_named(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.pem")
    with pytest.raises(HftermError) as caught:
        HttpStream("https://127.0.0.1:1/", 0, Access(cert=gone), Job())
    assert caught.value.kind == "certificate"
    assert gone in caught.value.message


def test_an_address_of_no_kind_that_there_is_comes_out_as_it_is() -> None:
    with (
        pytest.raises(Exception, match="unknown url type"),
        HttpStream("nothing://127.0.0.1/", 0, Access(), Job()),
    ):
        pytest.fail("it was opened")
