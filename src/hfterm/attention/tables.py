"""Attention as numbers in a file: npz for programs, csv for spreadsheets.

Imports numpy inside functions, so that whoever only checks a name does not wait for it.
"""

from __future__ import annotations

import csv
import errno
import io
import math
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from hfterm.attention.types import AttentionSummary, Metric, Side, Token
from hfterm.errors import HftermError
from hfterm.sizes import size_text

if TYPE_CHECKING:
    import numpy as np

FORMATS = (".png", ".svg", ".npz", ".csv")
MOST_WEIGHTS = 1_000_000_000
"""Bytes of weights in one file at most."""


def check_target(path: Path, formats: Sequence[str] = FORMATS) -> None:
    """Refuse a name that nothing could be written to, before the work is done.

    Raises:
        HftermError: the name's ending is none of `formats`, the file exists, its folder does
            not, or no file can have that name.
    """
    if path.suffix not in formats:
        raise HftermError(
            "format", f"{path.name} ends in none of {', '.join(formats)}.", "Choose one of them."
        )
    try:
        exists = path.exists()
    except OSError as error:  # a name that is too long, say
        raise HftermError(
            "unwritable", f"{path} can't be written: {error.strerror or error}.",
            "Choose another name.",
        ) from error  # fmt: skip
    if exists:
        raise HftermError("exists", f"{path} exists already.", "Choose another name.")
    if not path.parent.is_dir():
        raise HftermError(
            "unwritable", f"{path.parent} is no folder.", "Make it, or choose another one."
        )


def write_whole(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    """Make a file of what `write` writes: whole or not at all.

    Raises:
        HftermError: the file can't be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("xb") as file:
            write(file)
        temporary.replace(path)
    except OSError as error:
        full = error.errno == errno.ENOSPC
        raise HftermError(
            "disk-full" if full else "unwritable",
            f"{path} can't be written: {error.strerror or error}.",
            "Free some space, or choose another folder." if full else "Choose another folder.",
        ) from error
    finally:
        with suppress(OSError):  # what went wrong with the file is said already
            temporary.unlink(missing_ok=True)


def names_of(tokens: Sequence[Token]) -> list[str]:
    """Tokens as the vocabulary has them."""
    return [token.token for token in tokens]


def map_npz(
    path: Path, weights: np.ndarray, queries: Sequence[Token], keys: Sequence[Token]
) -> None:
    """One map: `weights`, float32[queries, keys], with `tokens` (rows) and `keys` (columns)."""
    import numpy as np

    write_whole(
        path,
        lambda file: np.savez(
            file, tokens=_strings(queries), keys=_strings(keys), weights=weights.astype("float32")
        ),
    )


def whole_npz(
    path: Path, summary: AttentionSummary, side: Side, all_weights: Callable[[int], np.ndarray]
) -> tuple[int, ...]:
    """Every head's weights and metrics; one layer is in memory at a time.

    Args:
        path: where to.
        summary: of the pass.
        side: which attention.
        all_weights: float32[heads, queries, keys] of a layer.

    Returns:
        The shape of `weights`: layers, heads, queries, keys.

    Raises:
        HftermError: the weights are more than `MOST_WEIGHTS`, or the file can't be written.
    """
    import numpy as np

    axis, queries, keys = summary.axis(side), summary.queries(side), summary.keys(side)
    shape = (axis.layers, axis.heads, len(queries), len(keys))
    size = 4 * math.prod(shape)
    if size > MOST_WEIGHTS:
        raise HftermError(
            "too-large",
            f"All weights of {axis.layers} × {axis.heads} heads at {len(queries):,} × "
            f"{len(keys):,} tokens would be {size_text(size)}; "
            f"{size_text(MOST_WEIGHTS)} is the most.",
            "Write one head, or take a shorter text.",
        )

    def write(file: IO[bytes]) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            for name, values in {
                "tokens": _strings(queries), "keys": _strings(keys),
                **{name: array.numpy() for name, array in summary.metrics[side].items()},
            }.items():  # fmt: skip
                with archive.open(f"{name}.npy", "w") as entry:
                    np.lib.format.write_array(entry, values, allow_pickle=False)
            with archive.open("weights.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array_header_1_0(
                    entry, {"descr": "<f4", "fortran_order": False, "shape": shape}
                )
                for layer in range(axis.layers):
                    weights = np.ascontiguousarray(all_weights(layer), "<f4")
                    if weights.shape != shape[1:]:
                        raise ValueError(f"layer {layer} has weights of shape {weights.shape}")
                    entry.write(weights.data)

    write_whole(path, write)
    return shape


def map_csv(
    path: Path, weights: np.ndarray, queries: Sequence[Token], keys: Sequence[Token]
) -> None:
    """One map: the keys' tokens in the first line, then a query's token and its weights."""
    rows = (
        [name, *(f"{value:.9g}" for value in row)]
        for name, row in zip(names_of(queries), weights.tolist(), strict=True)
    )
    _write_rows(path, ["query", *names_of(keys)], rows)


def metrics_csv(path: Path, metrics: Mapping[Metric, np.ndarray]) -> None:
    """A line a head: layer, head, and each metric; empty where it has no meaning.

    Args:
        path: where to.
        metrics: float32[layers, heads] by name.
    """
    layers, heads = next(iter(metrics.values())).shape
    rows = (
        [layer, head]
        + [
            "" if math.isnan(value := float(values[layer, head])) else f"{value:.9g}"
            for values in metrics.values()
        ]
        for layer in range(layers)
        for head in range(heads)
    )
    _write_rows(path, ["layer", "head", *metrics], rows)


def _write_rows(path: Path, header: Sequence[str], rows: object) -> None:
    def write(file: IO[bytes]) -> None:
        text = io.TextIOWrapper(file, "utf-8", errors="surrogatepass", newline="")
        writer = csv.writer(text)
        writer.writerow(header)
        writer.writerows(rows)  # pyright: ignore[reportArgumentType]
        text.detach()

    write_whole(path, write)


def _strings(tokens: Sequence[Token]) -> np.ndarray:
    import numpy as np

    return np.array(names_of(tokens), dtype=np.str_)
