"""What is to be brought of a repository of the hub."""

from __future__ import annotations

from typing import Literal

import msgspec

RepoKind = Literal["model", "dataset"]


class RepoFile(msgspec.Struct, frozen=True):
    """A file of a repository.

    Attributes:
        name: its path in the repository.
        size: bytes.
        etag: the hash the hub names it by: SHA-256 of a large file, git's SHA-1 of a small one.
    """

    name: str
    size: int
    etag: str


class RepoPlan(msgspec.Struct, frozen=True):
    """The files of a download, before anything is brought.

    Attributes:
        ref: the hub id.
        kind: of the repository.
        revision: as it was asked for; empty for the main branch.
        commit: the commit it means now.
        files: what will be in the cache afterwards.
        here: bytes of them that are there already, parts included.
        left_out: how many files of the repository are not asked for.
    """

    ref: str
    kind: RepoKind
    revision: str
    commit: str
    files: list[RepoFile]
    here: int
    left_out: int

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return sum(file.size for file in self.files)
