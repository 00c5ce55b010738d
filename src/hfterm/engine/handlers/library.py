"""Library requests."""

from __future__ import annotations

from hfterm.engine import library_requests as ask
from hfterm.engine.handlers.registry import Registry
from hfterm.errors import HftermError
from hfterm.hub.repo_download import fetch, plan_download
from hfterm.hub.repo_types import RepoPlan
from hfterm.job import Job
from hfterm.library.data_preview import ColumnFacts, DataPage, column_facts, page_of
from hfterm.library.deleting import delete, freed_by
from hfterm.library.listing import files_of, list_library
from hfterm.library.types import Library, LibraryFile, Verified
from hfterm.library.verifying import verify

HANDLERS = Registry()


@HANDLERS.answers(ask.ListLibrary)
def answer_list(request: ask.ListLibrary, job: Job) -> Library:
    """Look at every place."""
    return list_library(job, request.folders)


@HANDLERS.answers(ask.ListFiles)
def answer_files(request: ask.ListFiles, _: Job) -> list[LibraryFile]:
    """List the files of an item."""
    try:
        return files_of(request.path)
    except OSError as error:
        raise HftermError(
            "unreadable",
            f"{request.path} can't be read: {error.strerror}.",
            "F5 looks again at what is there.",
        ) from error


@HANDLERS.answers(ask.FreedBy)
def answer_freed(request: ask.FreedBy, job: Job) -> int:
    """Count what would be freed."""
    return freed_by(request.item, job)


@HANDLERS.answers(ask.DeleteItem)
def answer_delete(request: ask.DeleteItem, job: Job) -> int:
    """Delete an item."""
    return delete(request.item, job)


@HANDLERS.answers(ask.VerifyItem)
def answer_verify(request: ask.VerifyItem, job: Job) -> Verified:
    """Check an item."""
    return verify(request.item, job)


@HANDLERS.answers(ask.PlanDownload)
def answer_plan(request: ask.PlanDownload, job: Job) -> RepoPlan:
    """Ask the hub what there is."""
    return plan_download(
        request.ref, job, kind=request.kind, revision=request.revision, allow=request.allow,
        ignore=request.ignore,
    )  # fmt: skip


@HANDLERS.answers(ask.Fetch)
def answer_fetch(request: ask.Fetch, job: Job) -> str:
    """Download."""
    return str(fetch(request.plan, job))


@HANDLERS.answers(ask.PageOfRows)
def answer_rows(request: ask.PageOfRows, job: Job) -> DataPage:
    """Read some rows."""
    return page_of(request.source, request.offset, request.limit, job)


@HANDLERS.answers(ask.DescribeColumns)
def answer_columns(request: ask.DescribeColumns, job: Job) -> list[ColumnFacts]:
    """Go through all rows."""
    return column_facts(request.source, job)
