"""A run that is large is read in a process of its own, which ends with whoever waits for it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import psutil
import pytest

from hfterm.job import Progress
from hfterm.screens.train.reading import read_watched
from hfterm.training import run_files as files
from hfterm.training.watching import LARGE, cache_of, watch_run
from run_fixtures import make_run, write_lines
from waiting import gone, until


def readers() -> list[int]:
    """The processes that read a run for this one."""
    found: list[int] = []
    for child in psutil.Process(os.getpid()).children():
        try:
            if "hfterm.training.curve_index" in child.cmdline():
                found.append(child.pid)
        except psutil.Error:  # it ended just now
            continue
    return found


def large_run(rows: int = 40_000) -> Path:
    folder = make_run("large")
    write_lines(
        folder / files.METRICS,
        [{"step": step, "time": 1.6e9 + step, "loss": 0.123456, "grad_norm": 1.0, "epoch": 0.5}
         for step in range(1, rows + 1)],
    )  # fmt: skip
    assert (folder / files.METRICS).stat().st_size > LARGE
    return folder


async def test_a_large_run_is_read_elsewhere_and_kept() -> None:
    watched = watch_run(large_run())
    said: list[Progress] = []
    await read_watched(watched, said.append)
    assert len(watched.source.curves) == 40_000
    assert [progress.stage for progress in said] == [f"reading the metrics of {watched.name}"]
    assert cache_of(watched).exists()
    again = watch_run(watched.path)
    await read_watched(again, said.append)
    assert len(again.source.curves) == 40_000
    assert len(said) == 1, "what is kept is not read elsewhere again"


async def test_a_small_run_is_read_here() -> None:
    watched = watch_run(make_run("small"))
    said: list[Progress] = []
    await read_watched(watched, said.append)
    assert said == []
    assert watched.source.curves.last("loss") is not None


async def test_who_looks_away_ends_the_process_that_reads() -> None:
    watched = watch_run(large_run())
    reading = asyncio.create_task(read_watched(watched, lambda _: None))
    await until(lambda: readers() or reading.done(), "a process that reads")
    (pid,) = readers()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await until(lambda: gone(pid), "it to end")
    assert len(watched.source.curves) == 0
