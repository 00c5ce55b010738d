"""The keys and values of a conversation's last turn, for the next one to begin with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import DynamicCache, PreTrainedConfig


class KeptCache:
    """A cache that is used again as far as the tokens are the same."""

    def __init__(self) -> None:
        self._conversation = ""
        self._ids: list[int] = []
        self._cache: DynamicCache | None = None

    def begin(
        self, config: PreTrainedConfig, conversation: str, ids: Sequence[int]
    ) -> tuple[DynamicCache, int]:
        """The cache to generate with, and how many of the tokens `ids` are in it.

        At least the last token is left to be read: its logits are what comes next.

        Args:
            config: the model's.
            conversation: that of another one is not used, so that a first turn is the model's own
                to the last bit; empty for none.
            ids: of the whole prompt.
        """
        from hfterm.chat.growing_cache import growing_cache

        same = self._shared(ids) if conversation and conversation == self._conversation else 0
        cache = self._cache
        surplus = len(self._ids) - same
        # a layer that slides has dropped what stood before its window
        fixed = cache is not None and (not cache.is_croppable or any(cache.is_sliding))
        if cache is None or same == 0 or (surplus and fixed):
            cache, same = growing_cache(config), 0
        elif surplus:
            cache.crop(-surplus)
        self._conversation, self._ids, self._cache = conversation, list(ids[:same]), cache
        return cache, same

    def _shared(self, ids: Sequence[int]) -> int:
        most = min(len(self._ids), len(ids) - 1)
        return next((at for at in range(most) if self._ids[at] != ids[at]), most)

    def holds(self, ids: Sequence[int]) -> None:
        """Say which tokens the cache holds now; it is asked how many."""
        length = self._cache.get_seq_length() if self._cache is not None else 0
        self._ids = list(ids[:length])

    def forget(self) -> None:
        """Let it go, after a failure say: nobody knows what it holds."""
        self._conversation, self._ids, self._cache = "", [], None
