"""The one error type that is meant for a person: what happened, and what to do."""

from __future__ import annotations

CHECK_SPACE = "Free some space, or check that you may write there."
"""The remedy for a file that can't be written, whichever of the two it is."""


class HftermError(Exception):
    """Something the user can understand and act on.

    Attributes:
        kind: a stable word for programs, such as ``not-found`` or ``gated``.
        message: one sentence: what happened, naming the thing it happened to.
        remedy: one sentence: what to do about it. Empty when there is nothing to do.
    """

    def __init__(self, kind: str, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class Cancelled(Exception):  # it is an outcome, not an error
    """Long work was stopped because its caller asked for it."""
