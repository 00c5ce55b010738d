"""How long work reports to its caller, and learns that it is no longer wanted."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from hfterm.errors import Cancelled


class Progress(msgspec.Struct, frozen=True):
    """How far one piece of long work has come.

    Attributes:
        stage: what is being done now, in words ("downloading MiniLM").
        done: units done so far.
        total: units there are, or None when nobody can know.
        unit: ``bytes``, ``tokens``, ``lines`` …
    """

    stage: str
    done: int = 0
    total: int | None = None
    unit: str = ""


class Job:
    """A piece of long work, seen from inside.

    Domain functions take one and call it between two steps of their work. The default
    reports to nobody and is never cancelled, which is what a notebook wants.
    """

    def __init__(
        self,
        report: Callable[[Progress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        send: Callable[[object], None] | None = None,
    ) -> None:
        self._report = report
        self._send = send
        self.partial = False
        """Set by work that was stopped and gives what it has: its result is not thrown away."""
        self.cancelled = cancelled

    def progress(self, stage: str, done: int = 0, total: int | None = None, unit: str = "") -> None:
        """Tell the caller how far the work is. Also a cancellation point."""
        self.check()
        if self._report is not None:
            self._report(Progress(stage, done, total, unit))

    def send(self, piece: object) -> None:
        """Give the caller a piece of the result; of the type that the work's docstring names."""
        if self._send is not None:
            self._send(piece)

    def check(self) -> None:
        """Raise `Cancelled` if the caller no longer wants the result."""
        if self.cancelled is not None and self.cancelled():
            raise Cancelled
