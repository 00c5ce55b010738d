"""Which files of a repository a download brings."""

from __future__ import annotations

from hfterm.hub.download import TOKENIZER_PATTERNS
from hfterm.hub.model_download import NESTED, WHOLE
from hfterm.hub.repo_types import RepoKind

PARTS = ("what loading needs", "tokenizer only", "everything")

CARD = ("README.md", "LICENSE*")
"""What says what may be done with a model."""


def wanted(
    kind: RepoKind, part: str, files: tuple[str, ...] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(patterns of files that are brought, of those that are not); no pattern is every file.

    Args:
        kind: of a data set everything is brought.
        part: of a model, one of `PARTS`.
        files: patterns that the user typed; they go before.
    """
    if files or kind == "dataset" or part == "everything":
        return files, ()
    if part == "tokenizer only":
        return tuple(TOKENIZER_PATTERNS), ()
    return (*WHOLE, *CARD), tuple(NESTED)
