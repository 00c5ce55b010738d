"""What is asked of an engine, and in which order, where something is missing or fails."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from hfterm.chat.lab_types import WayResult
from hfterm.chat.types import LlmSpec
from hfterm.engine.chat_requests import MeasureWay, OpenLlm
from hfterm.engine.client import EngineClient
from hfterm.engine.handlers import store
from hfterm.engine.lab import measure_ways
from hfterm.engine.llm import open_llm
from hfterm.engine.requests import InstallStarter
from hfterm.errors import HftermError
from hfterm.job import Job
from hfterm.tokenization.loading import LoadedTokenizer


class Answers(EngineClient):
    """An engine that gives the answers it was given, and starts no process."""

    def __init__(self, *answers: object) -> None:
        super().__init__("none")
        self.answers = list(answers)
        self.asked: list[Any] = []

    async def call(self, request: Any, *_: object, **__: object) -> Any:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def unload(self) -> None:
        self.asked.append("unload")


def kinds(engine: Answers) -> list[str]:
    return [one if isinstance(one, str) else type(one).__name__ for one in engine.asked]


async def test_a_starter_model_that_is_not_here_is_brought_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HFTERM_STARTER", str(tmp_path / "none"))
    engine = Answers([], "loaded")
    assert await open_llm(engine, LlmSpec(ref="smollm2")) == "loaded"
    assert kinds(engine) == [InstallStarter.__name__, OpenLlm.__name__]
    assert engine.asked[0].names == ["smollm2"]
    refused = Answers(HftermError("unreachable", "There is no registry.", "Try again."))
    with pytest.raises(HftermError, match="no registry"):
        await open_llm(refused, LlmSpec(ref="smollm2"))
    assert kinds(refused) == [InstallStarter.__name__]


async def test_a_way_that_fails_is_a_result_and_the_next_is_measured() -> None:
    engine = Answers(HftermError("memory", "It does not fit.", ""), WayResult(way="int8"))
    told: list[WayResult] = []
    results = await measure_ways(engine, LlmSpec(ref="smollm2"), ["float32", "int8"], told.append)
    assert results == told
    assert [(one.way, "does not fit" in one.error) for one in results] == [
        ("float32", True),
        ("int8", False),
    ]
    assert kinds(engine) == [MeasureWay.__name__, "unload"] * 2


@pytest.mark.parametrize("kind", ["cancelled", "short", "disk"])
async def test_what_would_fail_in_every_way_ends_it(kind: str) -> None:
    engine = Answers(HftermError(kind, "It is of no use.", ""))
    told: list[WayResult] = []
    with pytest.raises(HftermError, match="of no use"):
        await measure_ways(engine, LlmSpec(ref="smollm2"), ["float32", "int8"], told.append)
    assert told == []
    assert kinds(engine) == [MeasureWay.__name__, "unload"]


def test_two_at_once_load_a_tokenizer_once(
    starter_kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both, loads = threading.Event(), list[str]()
    real, looks = store.load, threading.Semaphore(0)

    def load(ref: str, job: Job) -> LoadedTokenizer:
        loads.append(ref)
        assert both.wait(60)
        return real(ref, job)

    class Watched(store.TokenizerStore):
        def _fresh(self, *given: Any) -> Any:
            found = super()._fresh(*given)
            looks.release()
            return found

    monkeypatch.setattr(store, "load", load)
    tokenizers = Watched()
    found: list[LoadedTokenizer] = []
    threads = [
        threading.Thread(target=lambda: found.append(tokenizers.get("minilm", Job())))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for _ in range(3):  # one loads, and the other has found that nothing is there yet
        assert looks.acquire(timeout=60)
    both.set()
    for thread in threads:
        thread.join(60)
    assert loads == ["minilm"]
    assert len(found) == 2
    assert found[0] is found[1]
