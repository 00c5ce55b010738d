"""Arrays that grow, and a pyramid over one of them that grows with it.

What is appended to for days and drawn every second must not be made anew when a value comes.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FAN = 16
"""Nodes of one level that make a node of the next."""

LOW, HIGH, SUM = 0, 1, 2
_NOTHING = (np.inf, -np.inf, 0.0)
_JOIN = (np.minimum, np.maximum, np.add)


class Growing(Generic[T]):
    """A one-dimensional array that is appended to."""

    def __init__(self, dtype: type[T], data: NDArray[T] | None = None) -> None:
        self._data: NDArray[T] = np.empty(FAN, dtype) if data is None else data
        self._count = 0 if data is None else len(data)

    def __len__(self) -> int:
        return self._count

    @property
    def view(self) -> NDArray[T]:
        """What is there, not copied: it is good until the next change."""
        return self._data[: self._count]

    def extend(self, values: NDArray[T]) -> None:
        """Put values behind the last."""
        count = self._count + len(values)
        if count > len(self._data):
            grown = np.empty(max(count, 2 * len(self._data)), self._data.dtype)
            grown[: self._count] = self.view
            self._data = grown
        self._data[self._count : count] = values
        self._count = count

    def cut(self, count: int) -> None:
        """Keep the first `count` values."""
        self._count = min(count, self._count)


def floats() -> Growing[np.float64]:
    """An empty column of float64."""
    return Growing(np.float64)


def integers() -> Growing[np.int64]:
    """An empty column of int64."""
    return Growing(np.int64)


class Pyramid:
    """Minimum, maximum and sum of the finite values over blocks of 16, 256, 4096 … points."""

    def __init__(self) -> None:
        self._levels: list[tuple[Growing[np.float64], ...]] = []

    def extend(self, values: Floats) -> None:
        """Take in what came; only whole blocks are kept."""
        sources: tuple[Floats, ...] = (values, values, values)
        depth = 0
        with np.errstate(over="ignore", invalid="ignore"):
            while len(sources[0]) >= FAN:
                if depth == len(self._levels):
                    self._levels.append((floats(), floats(), floats()))
                level = self._levels[depth]
                new = slice(len(level[0]) * FAN, len(sources[0]) // FAN * FAN)
                if new.start < new.stop:
                    finite = None if depth else np.isfinite(values[new])
                    for kind, (source, kept) in enumerate(zip(sources, level, strict=True)):
                        part = source[new]
                        if finite is not None and not finite.all():
                            part = np.where(finite, part, _NOTHING[kind])
                        kept.extend(_JOIN[kind].reduce(part.reshape(-1, FAN), axis=1))
                sources = tuple(kept.view for kept in level)
                depth += 1

    def cut(self, count: int) -> None:
        """Forget what was made of points from `count` on."""
        for level in self._levels:
            count //= FAN
            for kept in level:
                kept.cut(count)

    def ranges(self, values: Floats, start: Ints, stop: Ints, kinds: tuple[int, ...]) -> Floats:
        """Minimum, maximum or sum of the finite values in each of n ranges, which may overlap.

        Args:
            values: all of them, as they were given to `extend`.
            start: int64[n], the first position of each range.
            stop: int64[n], the position after the last; never below `start`.
            kinds: which of `LOW`, `HIGH` and `SUM`.

        Returns:
            float64[kinds, n]; ∞, -∞ and 0 for a range without a finite value.
        """
        out = np.repeat(np.array([_NOTHING[kind] for kind in kinds]), len(start))
        out = out.reshape(len(kinds), len(start))
        sources: tuple[Floats, ...] = (values, values, values)
        for depth in range(len(self._levels) + 1):
            last = depth == len(self._levels) or int((stop - start).max(initial=0)) <= 2 * FAN
            pieces = [(start, stop)]
            if not last:
                up, down = -(-start // FAN), stop // FAN
                head = np.minimum(up * FAN, stop)
                pieces = [(start, head), (np.maximum(down * FAN, head), stop)]
                start, stop = up, np.maximum(up, down)
            for first, after in pieces:
                _join(out, sources, first, after, kinds, clean=not depth)
            if last:
                break
            sources = tuple(kept.view for kept in self._levels[depth])
        return out


def _join(
    out: Floats,
    sources: tuple[Floats, ...],
    start: Ints,
    stop: Ints,
    kinds: tuple[int, ...],
    clean: bool,
) -> None:
    """Join what lies in short ranges into `out`."""
    width = int((stop - start).max(initial=0))
    if width <= 0:
        return
    index = start + np.arange(width)[:, None]  # points down: the reduction runs along memory
    inside = index < stop
    np.minimum(index, len(sources[0]) - 1, out=index)
    values = None
    for row, kind in enumerate(kinds):
        if values is None or not clean:
            values = sources[kind][index]
            if clean:
                inside &= np.isfinite(values)
        with np.errstate(over="ignore", invalid="ignore"):
            joined = _JOIN[kind].reduce(np.where(inside, values, _NOTHING[kind]), axis=0)
            _JOIN[kind](out[row], joined, out=out[row])
