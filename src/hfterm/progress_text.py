"""Progress for a command: one line rewritten on a terminal, one line a stage elsewhere."""

from __future__ import annotations

import time
from typing import TextIO

from hfterm.job import Progress
from hfterm.sizes import size_text

BAR = 16


class ProgressPrinter:
    """Writes progress to a stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._stage = ""
        self._began = 0.0
        self._first = 0
        self._width = 0

    def show(self, progress: Progress) -> None:
        """Say how far the work is."""
        now = time.monotonic()
        if progress.stage != self._stage:
            self._stage, self._began, self._first = progress.stage, now, progress.done
            if not self._live:
                self._stream.write(f"{progress.stage}\n")
        if self._live:
            line = describe(progress, now - self._began, first=self._first)[:100]
            self._stream.write(f"\r{line:<{self._width}}")
            self._width = len(line)
        self._stream.flush()

    def close(self) -> None:
        """Leave a clean line."""
        if self._live and self._width:
            self._stream.write(f"\r{' ' * self._width}\r")
            self._stream.flush()


def describe(progress: Progress, elapsed: float, bar: int = BAR, first: int = 0) -> str:
    """A progress in words, with a bar, a rate and the time left when the total is known.

    Args:
        progress: how far the work is.
        elapsed: seconds since its stage began.
        bar: cells of the bar; 0 for none.
        first: units that were done when the stage began, as of a download that is gone on with.
    """
    rate = (progress.done - first) / elapsed if elapsed > 0.2 else 0.0
    if not progress.total:
        parts = [progress.stage]
        if progress.done:
            parts.append(_amount(progress.done, progress.unit))
        if elapsed > 1:
            parts.append(_clock(elapsed))
        return " · ".join(parts)
    share = min(1.0, progress.done / progress.total)
    full = round(share * bar)
    drawn = "▰" * full + "▱" * (bar - full)
    parts = [progress.stage, f"{drawn} {share:4.0%}" if bar else f"{share:.0%}"]
    if rate > 0:
        if progress.unit != "s":  # of a wait there is no rate
            parts.append(f"{_amount(rate, progress.unit)}/s")
        parts.append(f"{_clock((progress.total - progress.done) / rate)} left")
    return " · ".join(parts)


def _amount(value: float, unit: str) -> str:
    if unit == "bytes":
        return size_text(round(value))
    digits = 1 if value < 10 and value != int(value) else 0
    number = f"{value / 1e6:,.1f} M" if value >= 1e6 else f"{value:,.{digits}f}"
    return f"{number} {unit}".strip()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds + 0.5), 60)
    return f"{minutes}:{rest:02}"
