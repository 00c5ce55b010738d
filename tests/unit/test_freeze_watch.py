"""A freeze is written down, and nothing else is."""

from __future__ import annotations

import threading
from pathlib import Path

from hfterm.system.freeze_watch import FreezeWatch
from waiting import wait_until


def test_where_it_hangs_is_written(tmp_path: Path) -> None:
    watch = FreezeWatch(tmp_path / "logs" / "frozen.log", after=0.05)
    watch.beat()
    gate = threading.Event()

    def hangs_here() -> None:
        gate.wait()

    thread = threading.Thread(target=hangs_here)
    thread.start()
    wait_until(lambda: "hangs_here" in watch.file.read_text(), "the stacks")
    gate.set()
    thread.join()
    watch.stop()
    assert "most recent call first" in watch.file.read_text()


def test_a_beating_one_leaves_nothing(tmp_path: Path) -> None:
    watch = FreezeWatch(tmp_path / "frozen.log")
    for _ in range(3):
        watch.beat()
    watch.stop()
    watch.stop()
    assert not watch.file.exists()
    watch.beat()
    assert watch.file.exists()
    watch.stop()


def test_a_disk_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("no folder")
    watch = FreezeWatch(tmp_path / "logs" / "frozen.log")
    watch.beat()
    watch.stop()
