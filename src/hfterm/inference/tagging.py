"""Token classification: a label for every token, and entities made of them.

Imports torch inside functions: for an engine process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from hfterm.inference.inputs import check_finite, offsets_of, prepare, special_of, token_names
from hfterm.inference.loading import OpenModel, memory_errors
from hfterm.inference.options import OVERLAP
from hfterm.inference.types import Entity, Long, TaggedToken, Tagging

if TYPE_CHECKING:
    from torch import Tensor

OUTSIDE = "O"


def tag(opened: OpenModel, text: str, long: Long = "ask") -> Tagging:
    """Label every token of a text.

    A token that two windows share is taken from the one that shows more of its surroundings. It
    is known by its number: the bytes of one character are tokens of one span.

    Raises:
        HftermError: the text does not fit, or the logits are no numbers.
    """
    import torch

    prepared = prepare(opened, text, long=long)
    with memory_errors("this text"), torch.no_grad():
        logits: Tensor = opened.model(**prepared.inputs).logits
    check_finite(opened, logits)
    shares = torch.softmax(logits.float(), dim=-1)
    best = shares.max(dim=-1)
    labels = opened.info.labels
    found: dict[int, tuple[int, TaggedToken]] = {}
    step = special_of(prepared, 0).count(False) - (opened.info.limit or 0) // OVERLAP
    for window in range(prepared.windows):
        ids = cast("list[int]", prepared.inputs["input_ids"][window].tolist())
        offsets = offsets_of(prepared, window)
        names = token_names(opened, ids)
        special = special_of(prepared, window)
        positions = [position for position in range(len(ids)) if not special[position]]
        for number, position in enumerate(positions):
            index = window * step + number
            span = offsets[position] if offsets is not None else None
            room = min(number, len(positions) - 1 - number)
            if index in found and found[index][0] >= room:
                continue
            label = int(best.indices[window, position])
            found[index] = (
                room,
                TaggedToken(
                    index, names[position],
                    span[0] if span else None, span[1] if span else None,
                    labels[label], float(best.values[window, position]),
                ),
            )  # fmt: skip
    tokens = [found[index][1] for index in sorted(found)]
    return Tagging(tuple(tokens), tuple(entities_of(tokens, text)), prepared.windows, prepared.cut)


def entities_of(tokens: Sequence[TaggedToken], text: str) -> list[Entity]:
    """Neighbouring tokens of one label as one entity; ``B-`` begins a new one, ``O`` is none."""
    groups: list[tuple[str, list[TaggedToken]]] = []
    before = ""
    for token in tokens:
        begins = token.label.startswith("B-")
        name = token.label[2:] if token.label[:2] in ("B-", "I-") else token.label
        if token.label == OUTSIDE or token.start is None:
            before = ""
            continue
        if name != before or begins:
            groups.append((name, []))
        groups[-1][1].append(token)
        before = name
    entities: list[Entity] = []
    for name, members in groups:
        start, end = members[0].start or 0, members[-1].end or 0
        mean = sum(member.probability for member in members) / len(members)
        entities.append(Entity(name, text[start:end], start, end, mean))
    return entities
