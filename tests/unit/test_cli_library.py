"""``hfterm library`` against a hub on the loopback interface, as a program runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_server import Hub

pytestmark = pytest.mark.usefixtures("starter_kit")

HFTERM = Path(sys.executable).with_name("hfterm")
REF = "lab/small"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("original")
    (folder / "config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    (folder / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}" + bytes(2_000_000))
    with Hub(folders={REF: folder}, large=1_000_000) as server:
        yield server


def run(hub: Hub, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0",
               "HF_HUB_CACHE": str(home / "hub")}  # fmt: skip
    return subprocess.run(
        [str(HFTERM), "library", *arguments],
        env=environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_a_repository_is_brought_listed_checked_and_deleted(hub: Hub, tmp_path: Path) -> None:
    brought = run(hub, tmp_path, "download", REF, "--json")
    assert brought.returncode == 0, brought.stderr
    told = json.loads(brought.stdout)
    assert (told["ref"], told["files"]) == (REF, 3)
    assert (Path(told["path"]) / "model.safetensors").stat().st_size == 2_000_010
    (item,) = [
        item
        for item in json.loads(run(hub, tmp_path, "--json").stdout)["items"]
        if item["ref"] == REF
    ]
    assert (item["kind"], item["what"], item["licence"]) == ("model", "BertModel", "mit")
    whole = run(hub, tmp_path, "verify", REF)
    assert whole.returncode == 0, whole.stderr
    assert "3 files as they should be" in whole.stdout
    (Path(told["path"]) / "config.json").resolve().write_text("{}")
    wrong = run(hub, tmp_path, "verify", REF)
    assert wrong.returncode == 1
    assert "config.json: its git-sha1 is" in wrong.stdout
    assert "is damaged" in wrong.stderr
    gone = run(hub, tmp_path, "delete", REF, "--yes")
    assert gone.returncode == 0, gone.stderr
    assert not (tmp_path / "hub" / "models--lab--small").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("verify", "nothing"), "Nothing here is called 'nothing'"),
        (("download", "lab/missing"), "(404)"),
        (("download", REF, "--files", "*.gguf"), "no file that is wanted"),
    ],
)
def test_what_is_wrong_is_two_lines(
    hub: Hub, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = run(hub, tmp_path, *arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
