"""The quantization lab: one way of loading after the other, each in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from hfterm.chat.lab_types import TEXT, WayResult, spec_of
from hfterm.chat.types import LlmSpec
from hfterm.engine.chat_requests import MeasureWay
from hfterm.engine.client import EngineClient
from hfterm.errors import HftermError
from hfterm.job import Progress

QUESTION = "Explain in a few sentences how the seasons come about."
FATAL = ("cancelled", "short", "disk")
"""Failures that would be the same in every other way."""


async def measure_ways(
    engine: EngineClient, base: LlmSpec, ways: Sequence[str], each: Callable[[WayResult], None], *,
    show: Callable[[Progress], None] | None = None, text: str = TEXT, new_tokens: int = 64,
) -> list[WayResult]:  # fmt: skip
    """Measure a model in several ways.

    Args:
        engine: its process is ended after each way, so that every one begins with a clean box.
        base: the model; how it is loaded is the ways' to say.
        ways: of `lab_types.WAYS`; the others are compared with the first.
        each: told of each result as it comes.
        show: told of progress.
        text: what perplexity and divergence are of.
        new_tokens: tokens generated to measure speed.

    Raises:
        HftermError: the text is too short, or the disk too full.
    """
    results: list[WayResult] = []
    with tempfile.TemporaryDirectory(prefix="hfterm-lab-") as folder:
        reference = str(Path(folder) / "reference.npy")
        for number, way in enumerate(ways):
            request = MeasureWay(
                spec=spec_of(base, way), text=text, question=QUESTION, new_tokens=new_tokens,
                reference=reference, is_reference=number == 0,
            )  # fmt: skip
            try:
                result = await engine.call(request, show)
            except HftermError as error:
                if error.kind in FATAL:
                    raise
                result = WayResult(way=way, error=str(error))
            finally:
                await engine.unload()
            results.append(result)
            each(result)
    return results
