"""A head in ten numbers and a small picture, from its weights as they pass by.

Imports torch inside functions: for an engine process.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hfterm.attention.types import METRICS, Metric, Token

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SMALL = 48
"""Rows and columns of a thumbnail at most."""

CROSS: tuple[Metric, ...] = ("entropy", "top", "first", "separator", "punctuation")
"""The metrics that need no common position of query and key."""


def bin_size(tokens: int) -> int:
    """Tokens a side of a thumbnail's square stands for."""
    return -(-tokens // SMALL)


def is_punctuation(token: Token) -> bool:
    """Whether a token is a mark: some text, and no letter or digit in it."""
    text = token.text.strip()
    return not token.special and bool(text) and not any(letter.isalnum() for letter in text)


class HeadMetrics:
    """Gathers the metrics and the thumbnails of one layer; see `METRICS` for what they mean.

    Args:
        queries: the tokens of the rows.
        keys: the tokens of the columns.
        heads: of the layer.
        cross: queries and keys are two texts.
        device: of the weights.
    """

    def __init__(
        self, queries: Sequence[Token], keys: Sequence[Token], heads: int, *, cross: bool,
        device: torch.device | str = "cpu",
    ) -> None:  # fmt: skip
        import torch

        self._device = device
        self._queries, self._keys, self._cross = len(queries), len(keys), cross
        self.rows_per_bin, self._columns_per_bin = bin_size(len(queries)), bin_size(len(keys))
        self.picture = torch.zeros(
            heads, -(-len(queries) // self.rows_per_bin), -(-len(keys) // self._columns_per_bin),
            device=device,
        )  # fmt: skip
        special = [token.special for token in keys]
        self._vectors = torch.tensor(
            [
                [float(index == 0) for index in range(len(keys))],
                [float(flag and index > 0) for index, flag in enumerate(special)],
                [float(is_punctuation(token)) for token in keys],
            ],
            device=device,
        )
        self._ids = torch.tensor([token.id for token in keys], device=device)
        self._repeats = not cross and len({token.id for token in keys}) < len(keys)
        self._again = 0
        self._received = torch.zeros(heads, len(keys), device=device)
        self._first_row = torch.zeros(heads, len(keys), device=device)
        self._sums = {name: torch.zeros(heads, device=device) for name in METRICS}

    def see(self, start: int, weights: Tensor) -> None:
        """Take in the weights of some queries: float32[heads, queries, keys seen]."""
        import torch

        heads, rows, seen = weights.shape
        received = weights.sum(1)
        self._received[:, :seen] += received
        if start == 0:
            self._first_row[:, :seen] = weights[:, 0]
        self._sums["entropy"] += torch.special.entr(weights).sum((1, 2))
        columns = self._columns_per_bin
        padded = torch.nn.functional.pad(weights, (0, -seen % columns))
        squares = padded.view(heads, rows, -1, columns).amax(3)
        self._sums["top"] += squares.amax(2).sum(1)
        bins = torch.nn.functional.pad(squares, (0, 0, 0, -rows % self.rows_per_bin))
        bins = bins.view(heads, -1, self.rows_per_bin, bins.shape[2]).amax(2)
        at = start // self.rows_per_bin
        seen_before = self.picture[:, at : at + bins.shape[1], : bins.shape[2]]
        seen_before[:] = torch.maximum(seen_before, bins)
        if self._cross:
            return
        for name, offset in (("self", 0), ("previous", -1), ("next", 1)):
            self._sums[name] += weights.diagonal(start + offset, 1, 2).sum(1)
        places = torch.arange(start, start + rows, device=self._device)[:, None]
        all_seen = torch.arange(seen, device=self._device)
        flat = weights.reshape(heads, -1)
        away = (places - all_seen).abs().float()
        self._sums["distance"] += flat @ away.reshape(-1)
        if self._repeats:
            # the key stands behind an earlier occurrence of the query's token
            before = torch.roll(self._ids[:seen], 1)
            match = (self._ids[start : start + rows, None] == before) & (all_seen <= places)
            match[:, 0] = False
            self._again += int(match.any(1).sum())
            self._sums["induction"] += flat @ match.float().reshape(-1)

    def result(self) -> dict[Metric, Tensor]:
        """float32[heads] of each metric, in main memory."""
        import torch

        # the first query has no choice in a causal model; in cross-attention it is as any other
        later = self._received if self._cross else self._received - self._first_row
        first, _, punctuation = (later @ self._vectors.T).T
        sums = self._sums | {
            "first": first, "punctuation": punctuation,
            "separator": self._received @ self._vectors[1],
            "entropy": self._sums["entropy"] / math.log(2),
        }  # fmt: skip
        every, rest = self._queries, self._queries - 1
        counts: dict[Metric, int] = {
            "entropy": every, "top": every, "first": rest, "self": every, "previous": rest,
            "next": rest, "separator": every, "punctuation": rest, "distance": every,
            "induction": self._again,
        }  # fmt: skip
        if self._cross:
            counts |= {"first": every, "punctuation": every}
        nothing = torch.full_like(first, float("nan"))
        return {
            name: (
                sums[name] / counts[name]
                if counts[name] and (not self._cross or name in CROSS)
                else nothing
            ).cpu()
            for name in METRICS
        }

    def thumbnails(self) -> Tensor:
        """uint8[heads, rows, columns]: √weight × 255, in main memory."""
        return eight_bits(self.picture.nan_to_num(0.0)).cpu()


def eight_bits(weights: Tensor) -> Tensor:
    """√weight × 255, which keeps small weights apart: off by 1/255 at most."""
    import torch

    return weights.clamp(0, 1).sqrt_().mul_(255).round_().to(torch.uint8)
