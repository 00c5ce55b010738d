"""Bring the metrics of a watched run up to date, without holding up the screen."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hfterm.job import Job, Progress
from hfterm.system.disk import folder_size
from hfterm.training.curve_cache import load_cache, read_all
from hfterm.training.run_files import METRICS
from hfterm.training.watching import LARGE, cache_of

if TYPE_CHECKING:
    from hfterm.training.watching import Watched


async def read_watched(watched: Watched, say: Callable[[Progress], None]) -> None:
    """Read what there is; a large source in another process, which leaves a cache.

    Args:
        watched: nothing of it was read yet.
        say: told when it takes longer.

    Raises:
        HftermError: the source can't be read.
    """
    cache = cache_of(watched)
    loaded = await asyncio.to_thread(load_cache, watched.source, cache)
    if not loaded and await asyncio.to_thread(_size, watched.path) > LARGE:
        say(Progress(f"reading the metrics of {watched.name}"))
        source = watched.path / METRICS if watched.own else watched.path
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "hfterm.training.curve_index",
            str(source), watched.kind, str(cache),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
    await asyncio.to_thread(read_all, watched.source, cache, Job(), loaded=loaded)


def _size(path: Path) -> int:
    """Bytes of the files that metrics may be in."""
    if path.is_file():
        return path.stat().st_size
    own = path / METRICS
    if own.exists():
        return own.stat().st_size
    return folder_size(path, Job()).total
