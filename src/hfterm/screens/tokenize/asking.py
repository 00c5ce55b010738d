"""Ask the engine for the tokens of a subject, be it a typed text or a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hfterm.engine.client import EngineClient
from hfterm.engine.requests import EncodeFile, EncodeText
from hfterm.job import Progress
from hfterm.screens.tokenize.page import Subject


async def tokenized(
    engine: EngineClient,
    wanted: Subject,
    on_progress: Callable[[Progress], None],
    *,
    provisional: bool,
) -> tuple[Subject, int]:
    """`wanted` with its tokens, and how many invalid bytes its file has.

    Args:
        engine: who tokenizes.
        wanted: what to tokenize; its own tokens are not looked at.
        on_progress: told how far it is.
        provisional: tokenizer.json alone will do, if transformers is not loaded yet.

    Raises:
        HftermError: what the engine says.
    """
    if wanted.path is None:
        encoding = await engine.call(
            EncodeText(
                ref=wanted.ref,
                text=wanted.text,
                pair=wanted.pair,
                add_special_tokens=wanted.add_special_tokens,
                provisional=provisional,
            ),
            on_progress,
        )
        return replace(wanted, encoding=encoding), 0
    answer = await engine.call(
        EncodeFile(
            ref=wanted.ref,
            path=wanted.path,
            add_special_tokens=wanted.add_special_tokens,
            provisional=provisional,
        ),
        on_progress,
    )
    document = answer.document
    subject = replace(wanted, text=document.text, encoding=answer.encoding)
    return subject, document.replaced
