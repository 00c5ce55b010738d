"""Requests about what is on this machine, and about bringing more."""

from __future__ import annotations

from typing import ClassVar

from hfterm.engine.protocol import Lane, Request
from hfterm.hub.repo_types import RepoKind, RepoPlan
from hfterm.library.data_preview import ColumnFacts, DataPage
from hfterm.library.types import Library, LibraryFile, LibraryItem, Verified


class ListLibrary(Request[Library], frozen=True, kw_only=True):
    """Everything that is here; `folders` are looked through as well."""

    RESULT: ClassVar[object] = Library
    LANE: ClassVar[Lane] = "views"
    folders: tuple[str, ...] = ()


class ListFiles(Request[list[LibraryFile]], frozen=True, kw_only=True):
    """The files of an item."""

    RESULT: ClassVar[object] = list[LibraryFile]
    path: str


class FreedBy(Request[int], frozen=True, kw_only=True):
    """What deleting an item would free, in bytes."""

    RESULT: ClassVar[object] = int
    LANE: ClassVar[Lane] = "views"
    item: LibraryItem


class DeleteItem(Request[int], frozen=True, kw_only=True):
    """Delete an item; the bytes that were freed."""

    RESULT: ClassVar[object] = int
    LANE: ClassVar[Lane] = "views"
    item: LibraryItem


class VerifyItem(Request[Verified], frozen=True, kw_only=True):
    """Read every byte of an item."""

    RESULT: ClassVar[object] = Verified
    LANE: ClassVar[Lane] = "long"
    item: LibraryItem


class PlanDownload(Request[RepoPlan], frozen=True, kw_only=True):
    """What a download would bring."""

    RESULT: ClassVar[object] = RepoPlan
    LANE: ClassVar[Lane] = "views"
    ref: str
    kind: RepoKind = "model"
    revision: str = ""
    allow: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


class Fetch(Request[str], frozen=True, kw_only=True):
    """Bring what is missing of a plan; the answer is the folder."""

    RESULT: ClassVar[object] = str
    LANE: ClassVar[Lane] = "long"
    plan: RepoPlan


class PageOfRows(Request[DataPage], frozen=True, kw_only=True):
    """Rows of a data set."""

    RESULT: ClassVar[object] = DataPage
    LANE: ClassVar[Lane] = "views"
    source: str
    offset: int = 0
    limit: int = 500


class DescribeColumns(Request[list[ColumnFacts]], frozen=True, kw_only=True):
    """What each column of a data set holds."""

    RESULT: ClassVar[object] = list[ColumnFacts]
    LANE: ClassVar[Lane] = "views"
    source: str
