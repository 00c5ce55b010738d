"""Requests to a language model. An engine holds one."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from hfterm.chat.lab_types import WayResult
from hfterm.chat.types import Answer, LlmInfo, LlmSpec
from hfterm.engine import chat_requests as ask
from hfterm.engine.handlers.registry import Registry
from hfterm.job import Job

if TYPE_CHECKING:
    from hfterm.chat.backend import Backend

HANDLERS = Registry()


class LlmHolder:
    """The language model that is loaded."""

    def __init__(self) -> None:
        self._backend: Backend | None = None

    def get(self, spec: LlmSpec, job: Job) -> Backend:
        """The model that `spec` says, loaded unless it is."""
        from hfterm.chat.opening import open_backend

        if self._backend is None or self._backend.info.spec != spec:
            self._backend = None
            gc.collect()  # what was loaded makes room first
            self._backend = open_backend(spec, job)
        return self._backend


HOLDER = LlmHolder()


@HANDLERS.answers(ask.OpenLlm)
def open_llm(request: ask.OpenLlm, job: Job) -> LlmInfo:
    """Load it."""
    return HOLDER.get(request.spec, job).info


@HANDLERS.answers(ask.ExplainKill)
def explain_kill(request: ask.ExplainKill, job: Job) -> tuple[str, str]:
    """The figures."""
    from hfterm.chat.loading import no_memory

    error = no_memory(request.spec, job, request.what)
    return error.message, error.remedy


@HANDLERS.answers(ask.AnswerPrompt)
def answer_prompt(request: ask.AnswerPrompt, job: Job) -> Answer:
    """Generate."""
    return HOLDER.get(request.spec, job).answer(request.ask, job)


@HANDLERS.answers(ask.WriteLab)
def write_lab(request: ask.WriteLab, job: Job) -> None:
    """Draw."""
    from pathlib import Path

    from hfterm.chat.lab_figure import write_figure

    job.progress("drawing")
    write_figure(request.name, request.results, Path(request.out))


@HANDLERS.answers(ask.MeasureWay)
def measure_way(request: ask.MeasureWay, job: Job) -> WayResult:
    """Measure."""
    from pathlib import Path

    from hfterm.chat.quant_lab import measure_way as run

    return run(
        request.spec, request.text, request.question, request.new_tokens, Path(request.reference),
        job, is_reference=request.is_reference,
    )  # fmt: skip
