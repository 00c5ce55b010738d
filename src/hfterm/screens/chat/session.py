"""A conversation that goes on: the store that keeps it, and the engine that answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import msgspec

from hfterm.chat.conversation_types import AnswerNote, ChatMessage
from hfterm.chat.conversations import ConversationStore, title_of
from hfterm.chat.measured import Measured
from hfterm.chat.types import Answer, Ask, LlmInfo, LlmSpec, Message, Sampling, Token
from hfterm.chat.words import model_words
from hfterm.engine.chat_requests import AnswerPrompt
from hfterm.engine.client import EngineClient
from hfterm.engine.llm import open_llm
from hfterm.errors import HftermError
from hfterm.job import Progress


class Session:
    """What is said, by which model, and how it is sampled.

    Attributes:
        spec: the model as it is to be loaded.
        info: of the model that is loaded; None until it is.
        used: tokens of the context that the last prompt and its answer took.
    """

    def __init__(
        self, store: ConversationStore, engine: EngineClient, spec: LlmSpec, measured: Measured
    ) -> None:
        self.store = store
        self.engine = engine
        self.spec = spec
        self.sampling = Sampling()
        self.system = ""
        self.measured = measured
        self.info: LlmInfo | None = None
        self.conversation: int | None = None
        self.used = 0
        self.answering: int | None = None
        self.prompt = ""
        self._left_out = 0
        self._stop: asyncio.Event | None = None

    # -- the model -------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether the model is loaded as it is to be."""
        alive = self.engine.status.phase not in ("dead", "off")
        return alive and self.info is not None and self.info.spec == self.spec

    async def load(self, show: Callable[[Progress], None]) -> LlmInfo:
        """Load the model, unless it is."""
        if not self.ready or self.info is None:
            self.info = None
            self.info = await open_llm(self.engine, self.spec, show)
        return self.info

    async def unload(self) -> None:
        """End the model's process."""
        self.info = None
        await self.engine.unload()

    # -- what was said ---------------------------------------------------------------------------

    def path(self) -> list[ChatMessage]:
        """The branch in sight; none of a conversation that was deleted, here or elsewhere."""
        if self.conversation is None:
            return []
        try:
            return self.store.path(self.conversation)
        except HftermError as error:
            if error.kind != "gone":
                raise
            self.new()
            return []

    def new(self) -> None:
        """Begin another conversation."""
        self.conversation = None
        self._left_out = 0
        self.used = 0

    def open(self, conversation: int) -> None:
        """Go on with a conversation that was kept."""
        kept = self.store.get(conversation)
        self.conversation = conversation
        self._left_out = 0
        self.used = 0
        self.system = kept.system
        self.sampling = kept.sampling
        if kept.spec is not None:
            self.spec = kept.spec

    def say(self, text: str) -> int:
        """Keep what the user says at the end of the branch; its message's number."""
        path = self.path()
        if self.conversation is None:
            self.conversation = self.store.create(
                title_of(text), self.spec, self.sampling, self.system
            )
        return self.store.add(self.conversation, path[-1].id if path else None, "user", text)

    def edit(self, message: ChatMessage, text: str) -> int:
        """Keep another text in the place of a message, beside it; its number."""
        if self.conversation is None:  # it was deleted meanwhile
            return self.say(text)
        return self.store.add(self.conversation, message.parent, message.role, text)

    def turn_to(self, message: ChatMessage, by: int) -> bool:
        """Go to another way the conversation went on; False when there is none."""
        conversation = self.store.conversation_of(message.id)
        siblings = self.store.siblings(message.id)
        at = _place_of(message.id, siblings) + by
        if not 0 <= at < len(siblings):
            return False
        self.store.activate(conversation, siblings[at])
        return True

    # -- answering -------------------------------------------------------------------------------

    async def answer(
        self, parent: int, begun: Sequence[Token], started: Callable[[int], Awaitable[None]],
        each: Callable[[Token], None], show: Callable[[Progress], None], prefix: str = "",
        force: int = -1,
    ) -> AnswerNote:  # fmt: skip
        """Have the model answer a message, and keep every token as it comes.

        Args:
            parent: what is answered.
            begun: tokens of the answer to go on from.
            started: told the answer's number.
            each: told of every token.
            show: told of progress.
            prefix: the text to go on from, when its tokens are not known.
            force: the token that comes next; -1 for the model's choice.

        Raises:
            HftermError: the model can't be loaded or failed; what came until then is kept.
        """
        # that in sight may be another by now, and this one deleted
        conversation = self.store.conversation_of(parent)
        info = await self.load(show)
        seen = self.store.get(conversation).leaf
        self.store.activate(conversation, parent)
        path = self.store.path(conversation)
        path = path[: _place_of(parent, [said.id for said in path]) + 1]
        prefix = "".join(token.text for token in begun) or prefix
        note = AnswerNote(model=model_words(self.spec), sampling=self.sampling)
        number = self.store.begin_answer(conversation, parent, prefix, begun, note)
        self.answering = number
        self._stop = asyncio.Event()
        got = 0

        def keep(token: Token) -> None:
            nonlocal got
            got += 1
            self.store.append(number, [token])
            each(token)

        ids = tuple(token.id for token in begun)
        try:
            await started(number)
            ask = Ask(
                messages=tuple(self._messages(path)),
                sampling=self.sampling,
                conversation=str(conversation),
                prefix_ids=ids if min(ids, default=0) >= 0 else (),
                prefix=prefix,
                force=force,
            )
            answer = await self.engine.stream(
                AnswerPrompt(spec=self.spec, ask=ask), keep, show, self._stop
            )
            note = _noted(note, answer)
            self.used = answer.prompt_tokens + answer.tokens
            self.prompt = answer.prompt
        finally:
            self._stop = None
            self.answering = None
            if got or note.stop_reason not in ("interrupted", "stopped"):
                self.store.finish(number, note)
            else:  # nothing came: what was in sight is again
                self.store.discard(number)
                if seen is not None:
                    with suppress(HftermError):  # deleted meanwhile
                        self.store.activate(conversation, seen)
        self.info = msgspec.structs.replace(info, memory=answer.memory or info.memory)
        self.measured.note(self.spec, note, answer.memory, info.dtype)
        return note

    def _messages(self, path: Sequence[ChatMessage]) -> list[Message]:
        said = [Message(message.role, message.content) for message in path]
        system = [Message("system", self.system)] if self.system else []
        return [*system, *said[self._left_out :]]

    def asked_for(self, answer: ChatMessage) -> list[Message]:
        """The messages that an answer of the branch in sight answers."""
        path = self.path()
        return self._messages(path[: _place_of(answer.id, [said.id for said in path])])

    def leave_out_more(self) -> bool:
        """Leave the oldest turn that is still read out of the prompt; False when one is left."""
        path = self.path()
        asked = [at for at, said in enumerate(path) if said.role == "user"]
        later = [at for at in asked if at > self._left_out]
        if not later:
            return False
        self._left_out = later[0]
        return True

    @property
    def left_out(self) -> int:
        """Messages at the beginning that are no longer read."""
        return self._left_out

    def stop(self) -> bool:
        """Stop the answer and keep the part; False when there is none under way."""
        if self._stop is None or self._stop.is_set():
            return False
        self._stop.set()
        return True


def is_full(error: HftermError) -> bool:
    """Whether a prompt did not fit into the context."""
    return error.kind == "context-full"


def _noted(note: AnswerNote, answer: Answer) -> AnswerNote:
    return msgspec.structs.replace(
        note, tokens=answer.tokens, prompt_tokens=answer.prompt_tokens, ttft=answer.ttft,
        seconds=answer.seconds, stop_reason=answer.stop_reason,
    )  # fmt: skip


def _place_of(message: int, ids: Sequence[int]) -> int:
    """Where a message stands among others, which another hfterm may have changed."""
    if message not in ids:
        raise HftermError(
            "gone",
            "This message is no longer there.",
            "Another hfterm has changed its conversation: open it again from History.",
        )
    return ids.index(message)
