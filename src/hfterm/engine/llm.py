"""Load a language model in an engine, and say why when the process is killed at it."""

from __future__ import annotations

from collections.abc import Callable

from hfterm.chat.types import LlmInfo, LlmSpec
from hfterm.engine.chat_requests import ExplainKill, OpenLlm
from hfterm.engine.client import EngineClient
from hfterm.engine.requests import InstallStarter
from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.job import Progress


async def open_llm(
    engine: EngineClient, spec: LlmSpec, show: Callable[[Progress], None] | None = None
) -> LlmInfo:
    """Load a language model, of the starter kit after it was brought; what was held before goes.

    The system kills a process without a word when memory runs out: the figures of the model then
    tell whether that is it.

    Args:
        engine: that is to hold it.
        spec: the model, and how it is loaded.
        show: told of progress.

    Raises:
        HftermError: it can't be loaded; kind ``memory`` when the process was killed.
    """
    if starter.is_starter(spec.ref) and starter.starter_path(spec.ref) is None:
        await engine.call(InstallStarter(names=[spec.ref]), show)
    try:
        return await engine.call(OpenLlm(spec=spec), show)
    except HftermError as error:
        killed = error.kind == "engine-died" and engine.status.killed
        if not killed or spec.engine != "transformers":
            raise
        raise await _explained(engine, spec, error) from error


async def _explained(engine: EngineClient, spec: LlmSpec, error: HftermError) -> HftermError:
    what = "The engine process was killed (SIGKILL), as the system does when memory runs out,"
    try:
        message, remedy = await engine.call(ExplainKill(spec=spec, what=what))
    except HftermError:
        return error  # killed again, or nothing is known of the model: its own words then
    return HftermError("memory", message, remedy)
