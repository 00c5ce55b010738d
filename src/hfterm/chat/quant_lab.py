"""Measure one way of loading a model: size, speed, and how far it is from full precision.

Perplexity and the Kullback-Leibler divergence are of the next-token distributions over one text,
as in https://github.com/ggml-org/llama.cpp/tree/master/tools/perplexity, but on one window.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hfterm.chat.lab_types import WayResult
from hfterm.chat.measured import way_of
from hfterm.chat.types import Ask, LlmSpec, Message, Sampling
from hfterm.errors import HftermError
from hfterm.job import Job

if TYPE_CHECKING:
    import numpy as np


MOST = 256
"""Tokens of the text that are looked at: their distributions are kept in memory and on disk."""


def measure_way(
    spec: LlmSpec, text: str, question: str, new_tokens: int, reference: Path, job: Job, *,
    is_reference: bool,
) -> WayResult:  # fmt: skip
    """Load a model one way and measure it.

    Args:
        spec: how.
        text: what perplexity and divergence are of; its first `MOST` tokens.
        question: what is answered to measure speed, greedily.
        new_tokens: tokens of the answer.
        reference: the file of the first way's distributions, float32[tokens, vocabulary].
        job: told how far it is.
        is_reference: this is the first way: write the file.

    Raises:
        HftermError: it can't be loaded this way, or the text is shorter than two tokens.
    """
    from hfterm.chat.opening import open_backend

    began = time.monotonic()
    llm = open_backend(spec, job)
    loaded = time.monotonic() - began
    job.progress(f"{way_of(spec)}: answering")
    ask = Ask(
        messages=(Message("user", question),),
        sampling=Sampling(temperature=0, max_new_tokens=new_tokens),
    )
    answer = llm.answer(ask, job)
    job.check()
    job.progress(f"{way_of(spec)}: reading the text")
    ids, logs = llm.read(text, MOST, job)
    if len(ids) < 2:
        raise HftermError("short", "The text has fewer than two tokens.", "Choose a longer one.")
    perplexity = _perplexity(ids, logs)
    kl = agreement = None
    if is_reference:
        _save(reference, logs)
    elif reference.exists():
        kl, agreement = _distance(reference, logs)
    return WayResult(
        way=way_of(spec), size=llm.info.footprint, load_s=loaded,
        tokens_per_s=answer.tokens_per_s, ttft_s=answer.ttft, memory=answer.memory,
        perplexity=perplexity, kl=kl, agreement=agreement, sample=answer.text[:200],
    )  # fmt: skip


def _perplexity(ids: list[int], logs: np.ndarray) -> float:
    import numpy as np

    chosen = logs[np.arange(len(ids) - 1), ids[1:]]
    return math.exp(-float(chosen.mean()))


def _save(file: Path, logs: np.ndarray) -> None:
    import numpy as np

    try:
        np.save(file, logs)
    except OSError as error:
        raise HftermError(
            "disk", f"{file.parent} has no room for the distributions: {error.strerror}.",
            "Free some space.",
        ) from error  # fmt: skip


def _distance(file: Path, logs: np.ndarray) -> tuple[float, float]:
    """Mean divergence from the file's distributions in nats, and the share of equal maxima."""
    import numpy as np

    first = np.load(file, mmap_mode="r")
    length = min(len(first), len(logs))
    divergences: list[float] = []
    same = 0
    for row in range(length):  # one at a time: all at once would take three times the memory
        p = first[row].astype(np.float64)
        q = logs[row].astype(np.float64)
        divergences.append(float(np.sum(np.exp(p) * (p - q))))
        same += int(p.argmax() == q.argmax())
    return sum(divergences) / length, same / length
