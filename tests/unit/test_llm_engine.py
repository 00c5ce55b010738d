"""Loading a language model in a real engine that is killed at it, as by a system without memory."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from hfterm.chat.types import LlmSpec
from hfterm.engine.client import EngineClient
from hfterm.engine.llm import open_llm
from hfterm.errors import HftermError
from hfterm.job import Progress


async def killed_while_loading(spec: LlmSpec) -> HftermError:
    engine = EngineClient("killed", warm=False)
    deaths: list[int] = []

    def kill(_: Progress) -> None:
        pid = engine.status.pid
        assert pid is not None
        if not deaths:
            deaths.append(pid)
            os.kill(pid, signal.SIGKILL)

    try:
        with pytest.raises(HftermError) as raised:
            await open_llm(engine, spec, kill)
    finally:
        await engine.close()
    assert deaths
    return raised.value


async def test_a_kill_while_loading_is_explained_with_figures() -> None:
    error = await killed_while_loading(LlmSpec(ref="smollm2", dtype="float32"))
    assert error.kind == "memory"
    assert "SIGKILL" in error.message
    assert "its weights take 538 MB that way" in error.message
    assert "are free" in error.message
    assert "bfloat16 takes 269 MB" in error.remedy


async def test_the_smallest_way_has_no_smaller_one() -> None:
    error = await killed_while_loading(LlmSpec(ref="smollm2", quantization="nf4"))
    assert error.remedy == "Choose a smaller model, or free memory."


@pytest.mark.parametrize("way", [{}, {"quantization": "nf4"}], ids=["float32", "nf4"])
async def test_the_process_is_said_to_hold_the_weights_it_holds(way: dict[str, Any]) -> None:
    """A checkpoint in its own dtype is mapped: unread it would seem to take no memory."""
    engine = EngineClient("weighed", warm=False)
    try:
        info = await open_llm(engine, LlmSpec(ref="smollm2", **way), lambda _: None)
    finally:
        await engine.close()
    assert info.memory > info.footprint + 150e6  # torch and transformers are more than that
