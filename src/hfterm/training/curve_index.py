"""Build the cache of a run's curves in a process of its own: ``SOURCE KIND CACHE``.

Reading a large file holds the interpreter for seconds; the interface then loads the cache. Exits
with 0, or with 1 and one line ``kind<tab>message<tab>remedy`` on standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from hfterm.errors import HftermError
from hfterm.job import Job
from hfterm.training.curve_cache import load_cache, read_all, save_cache
from hfterm.training.foreign.detect import reader_of


def index(source: str, kind: str, cache: str) -> None:
    """Bring a cache up to date.

    Args:
        source: what `reader_of` takes.
        kind: of the source.
        cache: the file to write.

    Raises:
        HftermError: the source cannot be read, or the cache not be written.
    """
    reader = reader_of(kind, source)
    load_cache(reader, Path(cache))
    read_all(reader, None, Job())
    try:
        save_cache(reader, Path(cache))
    except OSError as error:
        raise HftermError(
            "cache",
            f"{cache} cannot be written: {error.strerror or error}.",
            "Free some space, or set XDG_CACHE_HOME to a folder that can be written to.",
        ) from error


def main(arguments: Sequence[str]) -> int:
    """The process; its exit code."""
    try:
        if len(arguments) != 3:
            raise HftermError("usage", "Three arguments are needed: SOURCE KIND CACHE.")
        index(*arguments)
    except HftermError as error:
        parts = (error.kind, error.message, error.remedy)
        print("\t".join(" ".join(part.split()) for part in parts), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
