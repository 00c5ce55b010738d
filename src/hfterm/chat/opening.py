"""Open whatever engine a spec names."""

from __future__ import annotations

from hfterm.chat.backend import Backend
from hfterm.chat.types import LlmSpec
from hfterm.job import Job


def open_backend(spec: LlmSpec, job: Job) -> Backend:
    """Load the model, or find the server.

    Raises:
        HftermError: it can't be loaded or reached.
    """
    if spec.engine == "server":
        from hfterm.chat.server import ServerBackend

        return ServerBackend(spec, job)
    if spec.engine == "llama.cpp":
        from hfterm.chat.llama_backend import LlamaCppBackend

        return LlamaCppBackend(spec, job)
    from hfterm.chat.transformers_backend import TransformersBackend

    return TransformersBackend(spec, job)
