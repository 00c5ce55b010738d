"""What every engine of a chat is: transformers, llama.cpp, a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hfterm.chat.types import Answer, Ask, LlmInfo
from hfterm.job import Job

if TYPE_CHECKING:
    import numpy as np


class Backend(Protocol):
    """A language model that is loaded and answers one prompt at a time."""

    @property
    def info(self) -> LlmInfo:
        """What is loaded."""
        ...

    def answer(self, ask: Ask, job: Job) -> Answer:
        """Generate an answer; each `Token` of it is sent to `job` as it comes.

        When the job is cancelled the part until then is returned, with the reason ``stopped``
        and `Job.partial` set.

        Raises:
            HftermError: the prompt can't be made or does not fit, or the model failed. Tokens that
                were sent before stay valid.
        """
        ...

    def read(self, text: str, most: int, job: Job) -> tuple[list[int], np.ndarray]:
        """What the model expects at each place of a text.

        Args:
            text: any.
            most: tokens of it that are read.
            job: cancel.

        Returns:
            The tokens, and the logarithms of the probabilities of what comes after each:
            float32[tokens, vocabulary].

        Raises:
            HftermError: the engine does not tell.
        """
        ...
