"""A large import is not searched for garbage, and leaves Python's search as it was."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from hfterm.system.large_import import large_import


def test_nothing_is_searched_meanwhile_and_what_is_there_stays_out_of_it() -> None:
    kept = [[] for _ in range(100)]
    before = gc.get_freeze_count()
    with large_import("not_there_yet"):
        assert not gc.isenabled()
        kept.append([kept])
    assert gc.get_freeze_count() > before
    assert not any(kept is known for known in gc.get_objects())


def test_a_failed_import_leaves_the_search_on() -> None:
    with pytest.raises(ImportError), large_import("not_there_yet"):
        raise ImportError
    assert gc.isenabled()


def test_what_is_imported_already_is_left_alone() -> None:
    before = gc.get_freeze_count()
    with large_import("gc"):
        assert gc.isenabled()
    assert gc.get_freeze_count() == before


def test_inside_another_it_leaves_the_end_to_that() -> None:
    with large_import("not_there_yet"):
        with large_import("nor_this"):
            pass
        assert not gc.isenabled()


def test_an_engine_has_what_it_imports_out_of_the_search() -> None:
    """In a process of its own, as an engine is."""
    look = (
        "import gc\n"
        "from hfterm.models.opening import import_modelling\n"
        "import_modelling()\n"
        "print(gc.get_freeze_count(), gc.isenabled(), len(gc.get_objects()))"
    )
    told = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, check=True
    ).stdout.split()
    frozen, enabled, searched = int(told[0]), told[1], int(told[2])
    assert enabled == "True"
    assert frozen > 100_000 > searched
