"""Garbage in circles is collected while nobody types, and not in between."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Iterator

import pytest

from hfterm.widgets import quiet_collection
from hfterm.widgets.quiet_collection import NEVER, OFTEN, QuietCollection


class Node:
    """Something that can hold itself."""


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def much() -> weakref.ref[Node]:
    """A circle that only a whole collection finds, and as many smaller ones as make one due."""
    gc.collect()
    node = Node()
    node.me = node  # pyright: ignore[reportAttributeAccessIssue]
    for _ in range(OFTEN + 2):
        gc.collect(1)
    return weakref.ref(node)


def test_python_no_longer_does_it_by_itself() -> None:
    QuietCollection(lambda: 0.0)
    assert gc.get_threshold()[2] == NEVER


def test_it_waits_until_nobody_types(monkeypatch: pytest.MonkeyPatch) -> None:
    # somebody types and types, however long the collections of the test itself take
    last = [time.monotonic() + 1000]
    monkeypatch.setattr(quiet_collection, "LATEST", 1000.0)
    quiet = QuietCollection(lambda: last[0])
    circle = much()
    assert not quiet.look()
    assert circle() is not None
    last[0] = time.monotonic() - quiet_collection.QUIET - 1
    assert quiet.look()
    assert circle() is None
    assert not quiet.look()  # there is nothing yet

    last[0] = time.monotonic() + 1000
    circle = much()
    assert not quiet.look()
    monkeypatch.setattr(quiet_collection, "LATEST", 0.0)
    assert quiet.look()
    assert circle() is None

    monkeypatch.setattr(quiet_collection, "LATEST", 1000.0)
    circle = much()
    assert not quiet.look()
    monkeypatch.setattr(quiet_collection, "MUCH", OFTEN)
    assert quiet.look()
    assert circle() is None


def test_freed_memory_is_returned_when_nobody_types_and_else_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    returned: list[bool] = []
    monkeypatch.setattr(quiet_collection, "trim", lambda: returned.append(True))
    monkeypatch.setattr(quiet_collection, "LATEST", 0.0)
    monkeypatch.setattr(quiet_collection, "KEPT", 1000.0)
    last = [time.monotonic() + 1000]
    quiet = QuietCollection(lambda: last[0])
    much()
    assert quiet.look()
    assert not returned
    last[0] = time.monotonic() - quiet_collection.QUIET - 1
    much()
    assert quiet.look()
    assert len(returned) == 1
    last[0] = time.monotonic() + 1000
    monkeypatch.setattr(quiet_collection, "KEPT", 0.0)
    much()
    assert quiet.look()
    assert len(returned) == 2
