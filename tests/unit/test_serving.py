"""Who gets into the workbench in a browser, and what its page is made of."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientResponse, ClientSession, CookieJar, WSServerHandshakeError, web
from typer.testing import CliRunner

from hfterm.cli import ScreenName, app
from hfterm.cli_serve import Screen
from hfterm.errors import HftermError
from hfterm.serving.gate import Gate
from hfterm.serving.server import PAGE, WorkbenchServer, listen

ROUTES = (
    "/", "/ws", "/download/key", "/static/js/textual.js", "/page/page.js",
    "/font/DejaVuSansMono.ttf", "/nothing",
)  # fmt: skip


@pytest.fixture
async def server() -> AsyncIterator[WorkbenchServer]:
    """One that listens."""
    said: list[str] = []
    sock = listen(0)
    serving = WorkbenchServer(sock, [], said.append)
    runner = web.AppRunner(serving.application(), access_log=None)
    await runner.setup()
    await web.SockSite(runner, sock).start()
    yield serving
    await runner.cleanup()
    assert said == []


@pytest.fixture
async def browser() -> AsyncIterator[ClientSession]:
    """A client that keeps cookies, and was nowhere yet."""
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as client:
        yield client


async def get(client: ClientSession, server: WorkbenchServer, path: str,
              host: str | None = None) -> ClientResponse:  # fmt: skip
    url = f"http://127.0.0.1:{server.gate.port}{path}"
    return await client.get(
        url, allow_redirects=False, headers=None if host is None else {"Host": host}
    )


async def invited(client: ClientSession, server: WorkbenchServer) -> ClientResponse:
    return await client.get(server.gate.invitation, allow_redirects=False)


# -- the token -------------------------------------------------------------------------------


def test_secrets_are_long_and_each_servers_own() -> None:
    one, other = Gate(8000), Gate(8000)
    secrets = {one.token, one.session, other.token, other.session}
    assert len(secrets) == 4
    assert min(map(len, secrets)) >= 22, "128 bits are 22 characters"


async def test_the_address_lets_one_browser_in_one_time(
    server: WorkbenchServer, browser: ClientSession
) -> None:
    answer = await invited(browser, server)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    (cookie,) = answer.cookies.values()
    assert cookie["httponly"] is True
    assert (cookie["samesite"], cookie["path"]) == ("Strict", "/")
    assert not cookie["domain"]
    assert not cookie["max-age"], "it is to end with the browser"
    assert cookie.value != server.gate.token
    assert (await get(browser, server, "/")).status == 200

    async with ClientSession() as another:
        refused = await invited(another, server)
    assert refused.status == 403
    assert not refused.cookies
    said = await refused.text()
    assert "has been used" in said
    assert "start it again" in said
    assert server.gate.token not in said
    assert server.gate.session not in said


async def test_the_browser_that_is_in_may_use_the_address_again(
    server: WorkbenchServer, browser: ClientSession
) -> None:
    await invited(browser, server)
    assert (await invited(browser, server)).status == 303


@pytest.mark.parametrize("token", ["", "x", "ü", "%00", "%ff"])
async def test_a_wrong_token_is_refused_and_uses_nothing_up(
    server: WorkbenchServer, browser: ClientSession, token: str
) -> None:
    assert (await get(browser, server, f"/?token={token}")).status == 403
    assert (await invited(browser, server)).status == 303


async def test_only_opening_the_address_uses_it_up(
    server: WorkbenchServer, browser: ClientSession
) -> None:
    """What looks at addresses before people open them asks for the head alone."""
    for method in ("HEAD", "POST", "OPTIONS"):
        answer = await browser.request(method, server.gate.invitation, allow_redirects=False)
        assert answer.status == 403
        assert not answer.cookies
    assert (await invited(browser, server)).status == 303


# -- everything else ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", ROUTES)
async def test_without_the_cookie_nothing_is_told(
    server: WorkbenchServer, browser: ClientSession, path: str
) -> None:
    for cookies in ({}, {server.gate.cookie: "x"}, {server.gate.cookie: server.gate.token}):
        async with ClientSession(cookies=cookies, cookie_jar=CookieJar(unsafe=True)) as stranger:
            answer = await get(stranger, server, path)
            assert answer.status == 403
            assert "Open the address that hfterm serve printed" in await answer.text()
    await invited(browser, server)
    known = {"/ws": 403, "/download/key": 404, "/nothing": 404}
    assert (await get(browser, server, path)).status == known.get(path, 200)


@pytest.mark.parametrize(
    "host",
    ["evil.example:{}", "127.0.0.1", "127.0.0.1:1", "[::1]:{}", "localhost", "", "0.0.0.0:{}"],
)
async def test_another_name_than_the_servers_is_refused(
    server: WorkbenchServer, browser: ClientSession, host: str
) -> None:
    """A page of elsewhere whose name was moved to this machine comes with its name."""
    await invited(browser, server)
    answer = await get(browser, server, "/", host.format(server.gate.port))
    assert answer.status == 403
    assert f"ssh -L {server.gate.port}:127.0.0.1:{server.gate.port}" in await answer.text()


async def test_localhost_is_a_name_of_it(server: WorkbenchServer, browser: ClientSession) -> None:
    await invited(browser, server)
    host = f"LocalHost:{server.gate.port}"
    assert (await get(browser, server, "/", host)).status == 200


@pytest.mark.parametrize(
    "origin",
    [None, "null", "http://evil.example", "http://127.0.0.1", "https://127.0.0.1:{}",
     "http://127.0.0.1:1", "http://localhost:{}"],
)  # fmt: skip
async def test_a_page_of_elsewhere_can_not_connect(
    server: WorkbenchServer, browser: ClientSession, origin: str | None
) -> None:
    await invited(browser, server)
    headers = {} if origin is None else {"Origin": origin.format(server.gate.port)}
    with pytest.raises(WSServerHandshakeError) as refused:
        await browser.ws_connect(f"{server.gate.address}ws", headers=headers)
    assert refused.value.status == 403


async def test_the_page_asks_nothing_of_other_machines(
    server: WorkbenchServer, browser: ClientSession
) -> None:
    await invited(browser, server)
    page = await get(browser, server, "/")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    port = server.gate.port
    sources = set(re.findall(r"[a-z]+://[^ ;]+", policy))
    assert sources == {f"ws://127.0.0.1:{port}", f"ws://localhost:{port}"}
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"
    named: list[str] = []
    for file in PAGE.iterdir():
        text = file.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"https?:|[\"'(]//", text), file
        named += re.findall(r"""(?:href|src)="([^"]+)"|url\("([^"]+)"\)""", text)
    paths = {one or other for one, other in named}
    assert len(paths) > 10
    for path in sorted(paths):
        assert (await get(browser, server, path)).status == 200, path


@pytest.mark.parametrize(
    "path", ["/font/cmb10.ttf", "/font/..%2f..%2fmatplotlibrc", "/static/../server.py",
             "/static/..%2fserver.py", "/page/..%2fgate.py", "/page/", "/static/"],
)  # fmt: skip
async def test_no_other_files_are_given(
    server: WorkbenchServer, browser: ClientSession, path: str
) -> None:
    await invited(browser, server)
    assert (await get(browser, server, path)).status in (403, 404)


# -- listening -------------------------------------------------------------------------------


def test_it_listens_on_the_loopback_interface_only() -> None:
    with listen(0) as sock:
        host, port = sock.getsockname()
    assert host == "127.0.0.1"
    assert port > 0


def test_a_taken_port_is_said_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(HftermError) as error:
            listen(port)
    assert error.value.kind == "port-taken"
    assert str(port) in error.value.message
    assert "--port" in error.value.remedy


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "gpu-box", "192.168.1.5"])
def test_other_machines_are_sent_to_a_tunnel(host: str) -> None:
    result = CliRunner().invoke(app, ["serve", "--host", host, "--port", "8123"])
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    assert host in said
    assert "ssh -L 8123:127.0.0.1:8123" in said


def test_it_opens_every_screen_that_there_is() -> None:
    assert list(Screen.__args__) == [screen.value for screen in ScreenName]
