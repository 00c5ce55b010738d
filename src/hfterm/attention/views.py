"""Attention weights as a picture needs them: levels of a ramp, squares of tokens, hidden tokens.

Weights come as float32, or for long texts as uint8 that hold √weight × 255. What is here works on
either without making floats of the whole: a map of 8192 × 8192 stays at its 67 MB.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from hfterm.attention.types import Array

if TYPE_CHECKING:
    import numpy as np

Scale = Literal["sqrt", "linear", "row max"]
"""How a weight becomes a shade: its root, itself, or the root of its share of the row's largest."""

SCALES: tuple[Scale, ...] = ("sqrt", "linear", "row max")

STEPS = 32
SIGNED_STEPS = 31

UNKNOWN = 255
"""The level of what is not a number."""

EXCLUDED = 254
"""The level of what a mask keeps a query from seeing, which is not weight 0."""

Masked = Callable[["np.ndarray", "np.ndarray"], "np.ndarray"]
"""Positions of queries and of keys to bool[query, key]: which pairs a mask excludes."""

SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 96, 128, 192, 256, 384, 512)
"""Sides of the squares that a map is seen in; each is twice another, or made from the map."""

_BLOCK = 256
"""Rows worked on at a time where floats are needed."""


def numbers_of(array: Array | np.ndarray) -> np.ndarray:
    """The numbers as they came, not copied: float32 or uint8 of the same shape."""
    return array.numpy() if isinstance(array, Array) else array


def weights_of(array: Array | np.ndarray) -> np.ndarray:
    """The weights themselves, float32 of the same shape; also of a slice of a map."""
    import numpy as np

    numbers = numbers_of(array)
    if numbers.dtype == np.uint8:
        return _decoded()[numbers]
    return np.asarray(numbers, np.float32)


def weights_at(array: Array | np.ndarray, query: int, key: int) -> float:
    """One weight of a map [query, key]."""
    return float(weights_of(numbers_of(array)[query : query + 1, key])[0])


def row_of(array: Array | np.ndarray, query: int) -> np.ndarray:
    """What one query looks at, float32[key]."""
    return weights_of(numbers_of(array)[query])


def _decoded() -> np.ndarray:
    """The weight of each code, float32[256]."""
    import numpy as np

    return np.square(np.arange(256, dtype=np.float32) / np.float32(255))


# -- levels ----------------------------------------------------------------------------------


def row_peaks(weights: np.ndarray) -> np.ndarray:
    """The largest of each row, [query], in the kind of number that came; NaN is passed over."""
    import numpy as np

    return np.fmax.reduce(weights, axis=-1)


def levels(
    weights: np.ndarray, scale: Scale, steps: int = STEPS, peaks: np.ndarray | None = None
) -> np.ndarray:
    """Steps of a ramp, uint8[query, key] of 0 to `steps` - 1; `UNKNOWN` where NaN is.

    Args:
        weights: float32 or uint8[query, key].
        scale: how.
        steps: of the ramp, at most 255.
        peaks: of the whole rows when `weights` is a part of them, [query], see `row_peaks`.
    """
    import numpy as np

    if scale == "row max":
        peaks = row_peaks(weights) if peaks is None else peaks
        if weights.dtype == np.uint8:  # √(weight / peak) is code / code: no roots to take
            most = np.maximum(peaks, 1).astype(np.uint16)[:, None]
            shares = weights.astype(np.uint16) * np.uint16(steps) // most
            return np.minimum(shares, steps - 1).astype(np.uint8)
        with np.errstate(invalid="ignore"):
            most = np.maximum(peaks, np.finfo(np.float32).tiny)[:, None]
            return _steps(np.sqrt(np.clip(weights / most, 0, 1)), steps)
    if weights.dtype == np.uint8:
        return _levels_of(_decoded(), scale, steps)[weights]
    return _levels_of(weights, scale, steps)


def _levels_of(weights: np.ndarray, scale: Scale, steps: int) -> np.ndarray:
    import numpy as np

    with np.errstate(invalid="ignore"):
        shares = np.clip(weights, 0, 1)
        return _steps(np.sqrt(shares) if scale == "sqrt" else shares, steps)


def _steps(shares: np.ndarray, steps: int) -> np.ndarray:
    """Shares of 0 to 1 as steps; a hair more, so that a root that was rounded down counts."""
    import numpy as np

    unknown = np.isnan(shares)
    whole = np.where(unknown, np.float32(0), shares) * np.float32(steps) + np.float32(1e-4)
    found = np.minimum(whole, steps - 1).astype(np.uint8)
    found[unknown] = UNKNOWN
    return found


def signed_levels(
    difference: np.ndarray,
    steps: int = SIGNED_STEPS,
    peak: float | None = None,
    scale: Scale = "linear",
) -> np.ndarray:
    """Steps of a ramp with 0 in its middle, uint8 of the same shape; `UNKNOWN` where NaN is.

    Args:
        difference: float32, negative and positive.
        steps: odd.
        peak: what the ends stand for; the largest amount by default.
        scale: ``linear`` for the amount itself, else its root.
    """
    import numpy as np

    middle = steps // 2
    unknown = np.isnan(difference)
    known = np.where(unknown, np.float32(0), difference)
    if peak is None:
        peak = float(np.abs(known).max(initial=0))
    shares = np.clip(known / max(peak, 1e-30), -1, 1)
    if scale != "linear":
        shares = np.sign(shares) * np.sqrt(np.abs(shares))
    found = (middle + np.rint(shares * middle)).astype(np.uint8)
    found[unknown] = UNKNOWN
    return found


# -- squares ---------------------------------------------------------------------------------


def pooled(array: np.ndarray, size: int, *, signed: bool = False) -> np.ndarray:
    """The largest of each square of `size` × `size`, which keeps thin diagonals.

    Squares at the edges are smaller. NaN in a square makes it NaN.

    Args:
        array: [query, key], of any type.
        size: of the squares.
        signed: the largest amount, with its sign.

    Returns:
        [⌈query / size⌉, ⌈key / size⌉] of the same type.
    """
    import numpy as np

    if size <= 1 or 0 in array.shape:
        return array
    if signed:
        high, low = pooled(array, size), -pooled(-array, size)
        return np.where(high >= -low, high, low)
    return _merged(_merged(array, size).T, size).T


def _merged(array: np.ndarray, size: int) -> np.ndarray:
    """The largest of each `size` rows; whole slices, as `reduceat` is ten times slower."""
    import numpy as np

    found = array[::size].copy()
    for row in range(1, min(size, len(array))):
        part = array[row::size]
        np.maximum(found[: len(part)], part, out=found[: len(part)])
    return found


class Pyramid:
    """A map in squares of every size, each made once, when it is first looked at."""

    def __init__(self, weights: np.ndarray, *, signed: bool = False) -> None:
        """Of weights [query, key]."""
        self.weights = weights
        self._signed = signed
        self._made: dict[int, np.ndarray] = {1: weights}

    def at(self, size: int) -> np.ndarray:
        """The map in squares of one of the `SIZES`."""
        found = self._made.get(size)
        if found is None:
            halved = size % 2 == 0
            below = self.at(size // 2) if halved else self.weights
            found = pooled(below, 2 if halved else size, signed=self._signed)
            self._made[size] = found
        return found

    def peaks(self, size: int) -> np.ndarray:
        """The largest of each row of squares, [⌈query / size⌉]."""
        return row_peaks(self.at(size))


# -- hidden tokens ---------------------------------------------------------------------------


def hidden(
    weights: np.ndarray,
    keep_keys: np.ndarray,
    keep_queries: np.ndarray | None = None,
    *,
    renormalise: bool = True,
) -> np.ndarray:
    """The map without some tokens.

    Args:
        weights: float32 or uint8[query, key].
        keep_keys: which columns stay, bool[key].
        keep_queries: which rows stay, bool[query]; all by default.
        renormalise: have each row sum to 1 again. A row that saw nothing but hidden keys stays 0.

    Returns:
        [kept queries, kept keys] of the same type.
    """
    import numpy as np

    rows = weights if keep_queries is None else weights[keep_queries]
    found = rows[:, keep_keys]
    if not renormalise:
        return found
    coded = found.dtype == np.uint8
    for start in range(0, len(found), _BLOCK):
        block = found[start : start + _BLOCK]
        exact = weights_of(block)
        sums = exact.sum(axis=1, keepdims=True)
        exact = np.divide(exact, sums, out=np.zeros_like(exact), where=sums != 0)
        block[:] = np.rint(np.sqrt(np.minimum(exact, 1)) * 255) if coded else exact
    return found


class TokenMap:
    """A map without its hidden tokens, in levels, as much of it as is asked for.

    Attributes:
        weights: float32 or uint8[kept query, kept key].
        queries, keys: position of each in the whole, int64.
        unknown: how many weights are not a number.
        peak: the largest amount of a signed map.
        masks: whether any pair may be excluded.
    """

    def __init__(
        self,
        array: Array | np.ndarray,
        *,
        signed: bool = False,
        causal: bool = False,
        window: int = 0,
        masked: Masked | None = None,
        keep_rows: np.ndarray | None = None,
        keep_columns: np.ndarray | None = None,
    ) -> None:
        """Of [query, key]; a signed map is not renormalised."""
        import numpy as np

        weights = numbers_of(array)
        rows, columns = weights.shape
        keep_keys = np.ones(columns, bool) if keep_columns is None else np.asarray(keep_columns)
        keep_queries = np.ones(rows, bool) if keep_rows is None else np.asarray(keep_rows)
        if not (keep_keys.all() and keep_queries.all()):
            renormalise = not signed and not keep_keys.all()
            weights = hidden(weights, keep_keys, keep_queries, renormalise=renormalise)
        self.weights = weights
        self.queries = np.flatnonzero(keep_queries)
        self.keys = np.flatnonzero(keep_keys)
        self._signed, self._causal, self._window = signed, causal, window
        self._masked = masked
        self.masks = causal or window > 0 or masked is not None
        self._pyramid = Pyramid(weights, signed=signed)
        self._peaks: dict[int, np.ndarray] = {}
        exact = weights.dtype != np.uint8
        self.unknown = int(np.isnan(weights).sum()) if exact else 0
        with np.errstate(all="ignore"):
            known = np.nan_to_num(weights) if signed and exact else weights[:0]
        self.peak = float(np.abs(known).max(initial=0))

    def weight(self, row: int, column: int) -> float:
        """One weight, by its place in the map without hidden tokens."""
        return weights_at(self.weights, row, column)

    def brightest(self, size: int, row: int, column: int) -> tuple[int, int]:
        """Where the largest weight of a square is."""
        import numpy as np

        part = self.weights[row * size : (row + 1) * size, column * size : (column + 1) * size]
        amounts = np.nan_to_num(np.abs(part) if self._signed else part, nan=-1)
        inside = divmod(int(amounts.argmax()), part.shape[1])
        return row * size + inside[0], column * size + inside[1]

    def block(
        self, size: int, rows: tuple[int, int], columns: tuple[int, int], scale: Scale
    ) -> np.ndarray:
        """Levels of some squares, uint8[rows, columns]; also `UNKNOWN` and `EXCLUDED`.

        Args:
            size: side of the squares.
            rows: the first row of squares, and the one after the last.
            columns: the first column of squares, and the one after the last.
            scale: how a weight becomes a level.
        """
        squares = self._pyramid.at(size)[slice(*rows), slice(*columns)]
        if self._signed:
            found = signed_levels(squares, peak=self.peak, scale=scale)
        else:
            peaks = None
            if scale == "row max":
                if size not in self._peaks:
                    self._peaks[size] = self._pyramid.peaks(size)
                peaks = self._peaks[size][slice(*rows)]
            found = levels(squares, scale, peaks=peaks)
        if self.masks:
            # what a query sees although it should not is shown, not hidden
            found[(squares == 0) & self._excluded(size, rows, columns)] = EXCLUDED
        return found

    def _excluded(self, size: int, rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
        """Squares of which every pair is excluded, bool[rows, columns]."""
        import numpy as np

        first_query, last_query = self._ends(self.queries, size, rows)
        first_key, last_key = self._ends(self.keys, size, columns)
        found = np.zeros((len(first_query), len(first_key)), bool)
        if self._causal:
            found |= first_key[None, :] > last_query[:, None]
        if self._window:
            found |= first_query[:, None] - last_key[None, :] >= self._window
        if self._masked is not None and size == 1:  # larger squares would ask for every pair
            found |= self._masked(first_query, first_key)
        return found

    @staticmethod
    def _ends(
        positions: np.ndarray, size: int, squares: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        import numpy as np

        starts = np.arange(*squares) * size
        return positions[starts], positions[np.minimum(starts + size, len(positions)) - 1]
