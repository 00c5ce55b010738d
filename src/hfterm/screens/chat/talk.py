"""The Talk tab: the conversation, and the message to write."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message

from hfterm.chat.code import chat_code
from hfterm.chat.conversation_types import ChatMessage
from hfterm.chat.types import Token
from hfterm.chat.words import loaded_words, message_words, model_words
from hfterm.errors import HftermError
from hfterm.screens.chat.keys import TURN_KEYS
from hfterm.screens.chat.live_answer import WRITE_EVERY, LiveAnswer
from hfterm.screens.chat.page import ChatPage, TokensWanted
from hfterm.screens.chat.session import Session
from hfterm.screens.chat.turns import EMPTY, remedy_of, turns_of
from hfterm.widgets.composer import Composer
from hfterm.widgets.sampling_form import SamplingForm
from hfterm.widgets.transcript import Transcript
from hfterm.widgets.turn_view import Turn

if TYPE_CHECKING:
    from hfterm.engine.client import EngineClient

CUT_SHORT = ("interrupted", "stopped", "length", "context full")
"""Why an answer may want to be gone on with."""


class Changed(Message):
    """Another model is loaded, or the conversation is another."""


class TalkPage(ChatPage):
    """Transcript, message, sampling."""

    BINDINGS: ClassVar[list[BindingType]] = TURN_KEYS

    def __init__(self, engine: EngineClient, session: Session, most: int, id: str) -> None:
        super().__init__(engine, id=id)
        self.session = session
        self._most = most
        self.live = LiveAnswer(self, self._tell)
        self.loads = 0  # under way, for no message: another may take its place
        self._waiting = ""  # the message to send after that, if it is still in the field
        self._editing: ChatMessage | None = None

    def body(self) -> ComposeResult:
        """The conversation beside its settings."""
        with Horizontal(id="talk"):
            with Vertical(id="talk-said"):
                yield Transcript(EMPTY, id="talk-transcript")
                yield Composer(most=self._most, id="talk-composer")
            yield SamplingForm(self.session.sampling, self.session.system, id="talk-settings")

    async def on_mount(self) -> None:
        """The conversation that is open."""
        self.set_interval(WRITE_EVERY, self.live.draw)
        await self.show()
        self.composer.focus()

    @property
    def composer(self) -> Composer:
        """The message to write."""
        return self.query_one(Composer)

    @property
    def transcript(self) -> Transcript:
        """What was said."""
        return self.query_one(Transcript)

    # -- showing ---------------------------------------------------------------------------------

    async def show(self, chosen: int | None = None) -> None:
        """The branch in sight, from its end; with the focus on a turn when one is named."""
        self.live.view = None
        try:
            path = self.session.path()
        except HftermError as error:
            self.notice.show_error(error)
            return
        if self._editing is not None and self._editing.id not in {said.id for said in path}:
            self._edit(None)  # another conversation, or another way that this one went
        await self.transcript.show(turns_of(self.session, path), chosen)
        self.query_one(SamplingForm).show(self.session.sampling, self.session.system)
        self.post_message(Changed())

    @on(Composer.Changed)
    def _typed(self) -> None:
        self.live.typed()

    def _tell(self, facts: str) -> None:
        self.composer.tell(facts)

    def _take(self, token: Token) -> None:
        """A token came."""
        self.live.take(token.text)
        if self.live.count == 1:
            self.job_line.clear()

    # -- asking ----------------------------------------------------------------------------------

    @on(Composer.Sent)
    def _sent(self, event: Composer.Sent) -> None:
        event.stop()
        if self.loads:
            self._waiting = event.text
            self.notice.show("It is sent when the model is loaded.", "Esc stops that.", "note")
            return
        if self.busy:
            self.say_busy()
            return
        if not self.session.spec.ref and self.session.spec.engine != "server":
            self.notice.show("No model is chosen.", "F6 chooses one.")
            return
        self.notice.clear()
        self.start(self._say(event.text))

    def say_busy(self) -> None:
        """Say what is under way, and has to end first."""
        loading = self.session.answering is None
        what = "The model is being loaded." if loading else "An answer is being written."
        self.notify(f"{what} Esc stops it.", severity="warning")

    async def _say(self, text: str) -> None:
        editing, self._editing = self._editing, None
        try:
            number = self.session.edit(editing, text) if editing else self.session.say(text)
        except HftermError as error:
            self.notice.show_error(error)
            self._edit(None)
            return
        self.composer.clear_message()
        self.composer.call_it(message_words(self.session.info))
        conversation = self.session.conversation
        await self.show()
        if self.session.conversation != conversation:  # another was begun: this one can wait
            return
        if editing is None or editing.role == "user":
            await self._answer(number)

    async def _answer(
        self, parent: int, begun: Sequence[Token] = (), prefix: str = "", force: int = -1
    ) -> str:
        """Have the model answer, and show it as it comes; the kind of what failed, or empty."""
        self._asking += 1
        text = "".join(token.text for token in begun) or prefix
        self.live.begin()
        self.notice.clear()
        loaded = self.session.ready
        try:
            note = await self.session.answer(
                parent, begun, lambda number: self._begin(number, text),
                self._take, self.job_line.show, prefix=prefix,
                force=force,
            )  # fmt: skip
        except HftermError as error:
            self._failed(error)
            return error.kind
        else:
            if not loaded:
                self._say_loaded(only_noted=True)
            if note.stop_reason == "context full":
                self.notice.show(
                    "The context is full.",
                    "alt+d leaves the oldest turns out; alt+n begins a new conversation.",
                    "warning",
                )
        finally:
            self._asking -= 1
            self.job_line.clear()
            await self._settle()
        return ""

    async def _begin(self, number: int, text: str) -> None:
        path = self.session.path()
        await self.transcript.show(
            turns_of(self.session, [said for said in path if said.id != number])
        )
        speaker = model_words(self.session.spec)
        turn = Turn(number, "assistant", text, "is being written", speaker=speaker)
        self.live.view = await self.transcript.add(turn)
        self.post_message(Changed())  # the model is loaded by now

    async def _settle(self) -> None:
        """The answer is over: its text once more as one, with its figures."""
        turns = turns_of(self.session, self.session.path())
        # what is still to be drawn of it is in its text: nothing is written into it any more
        view = self.live.end()
        if view is not None and turns and turns[-1].id == view.turn.id:
            await self.transcript.settle(view, turns[-1])
            self.post_message(Changed())
        else:
            await self.show()

    def _failed(self, error: HftermError) -> None:
        remedy = remedy_of(error, any_token=self.live.count > 0)
        self.notice.show_error(HftermError(error.kind, error.message, remedy))

    def stop(self) -> bool:
        """Stop the answer and keep the part; a second time it is not waited for."""
        self._waiting = ""
        if self._editing is not None and not self.busy:
            self._edit(None)
            self.composer.clear_message()
            return True
        return self.session.stop() or super().stop()

    # -- the turns -------------------------------------------------------------------------------

    def _chosen(self, role: str = "") -> ChatMessage | None:
        """The turn that has the focus, else the last one; of a role when it matters."""
        path = self.session.path()
        view = self.transcript.chosen
        if view is not None:
            path = [said for said in path if said.id == view.turn.id]
        wanted = [said for said in path if not role or said.role == role]
        return wanted[-1] if wanted else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Left and right are the message's own while it is written."""
        if action == "turn_to" and self.transcript.chosen is None:
            return False
        return super().check_action(action, parameters)

    def action_regenerate(self) -> None:
        """Another answer to the same message."""
        said = self._chosen()
        if self.busy or said is None:
            return
        parent = said.id if said.role == "user" else said.parent
        if parent is not None:
            self.notice.clear()
            self.start(self._answer(parent))

    def action_go_on(self) -> None:
        """Go on with an answer."""
        said = self._chosen("assistant")
        if self.busy or said is None or said.parent is None:
            return
        self.notice.clear()
        begun = self.session.store.tokens(said.id)
        self.start(self._answer(said.parent, begun, "" if begun else said.content))

    def go_on_with(self, said: ChatMessage, begun: Sequence[Token], token_id: int) -> None:
        """Answer again from the first tokens of an answer, with another token next."""
        if not self.busy and said.parent is not None:
            self.start(self._answer(said.parent, begun, force=token_id))

    def action_edit(self) -> None:
        """Change a turn's text."""
        said = self._chosen()
        if said is None or self.busy:
            return
        self._edit(said)
        self.composer.put(said.content)
        self.composer.focus()

    def _edit(self, said: ChatMessage | None) -> None:
        """What is written takes a turn's place; none's any more with None."""
        self._editing = said
        if said is None:
            self.composer.call_it(message_words(self.session.info))
        else:
            self.composer.call_it(
                f"Another {'message' if said.role == 'user' else 'answer'} instead"
            )

    async def action_turn_to(self, by: int) -> None:
        """Another way the conversation went on."""
        said = self._chosen()
        if said is None or self.busy:
            return
        at = [each.id for each in self.session.path()].index(said.id)
        if self.session.turn_to(said, by):
            await self.show(self.session.path()[at].id)

    def action_tokens(self) -> None:
        """The answer's tokens."""
        said = self._chosen("assistant")
        if said is not None:
            self.post_message(TokensWanted(said.id))

    def action_prompt(self) -> None:
        """The prompt as the template made it."""
        self.show_prompt(self.session.prompt)

    def action_drop_oldest(self) -> None:
        """Leave the oldest turn out of the prompt."""
        if self.busy:
            return
        if not self.session.leave_out_more():
            self.notice.show(
                "There is no older turn to leave out.", "alt+m shortens the message.", "note"
            )
            return
        self.notice.clear()
        self.start(self._answer_shorter())

    async def _answer_shorter(self) -> None:
        """Leave turns out until the prompt fits, or none is left to leave out."""
        await self.show()
        path = self.session.path()  # empty where another conversation was begun
        if path and path[-1].role == "user":
            while await self._answer(path[-1].id) == "context-full":
                if not self.session.leave_out_more():
                    return

    def again(self) -> None:
        """Go on with an answer that was cut short; send what is written; else answer again."""
        path = self.session.path()
        if self.busy or not path:
            return
        last = path[-1]
        if last.role == "user":
            self.start(self._answer(last.id))
        elif last.note is not None and last.note.stop_reason in CUT_SHORT:
            self.action_go_on()
        else:
            self.action_regenerate()

    # -- moving ----------------------------------------------------------------------------------

    @on(Composer.WentUp)
    async def _went_up(self) -> None:
        await self.transcript.action_go(0)

    @on(Transcript.Left)
    def _came_down(self) -> None:
        self.composer.focus()
        self.transcript.follow()

    @on(SamplingForm.Changed)
    def _sampling_changed(self) -> None:
        form = self.query_one(SamplingForm)
        with suppress(HftermError):  # what is typed by now is no number: its field says so
            self.session.sampling = form.sampling()
        self.session.system = form.system

    def come(self) -> None:
        """Write on."""
        self.composer.focus()

    # -- what the screen asks ----------------------------------------------------------------------

    async def load(self) -> None:
        """Load the model."""
        self._asking += 1
        self.loads += 1
        self.notice.clear()
        try:
            await self.show()  # what this cut short may have been in the middle of it
            await self.session.load(self.job_line.show)
        except HftermError as error:
            self._waiting = ""
            self.notice.show_error(error)
            return
        finally:
            self._asking -= 1
            self.loads -= 1
            self.job_line.clear()
            self.post_message(Changed())
        waiting, self._waiting = self._waiting, ""
        send = bool(waiting) and waiting == self.composer.message
        self.notice.clear()
        self._say_loaded(only_noted=send)
        if send:
            await self._say(waiting)

    def _say_loaded(self, *, only_noted: bool = False) -> None:
        """What was loaded, and what is to be known of it."""
        info = self.session.info
        if info is None:
            return
        self.composer.call_it(message_words(info))
        if info.note or not only_noted:
            self.notice.show(f"{loaded_words(info)}.", info.note, "note")

    def code(self) -> str:
        """The script of the last answer, or of the one that has the focus."""
        said, info = self._chosen("assistant"), self.session.info
        if said is None or info is None:
            return ""
        return chat_code(info, self.session.asked_for(said), self.session.sampling)

    def copy_text(self) -> str:
        """The last answer."""
        said = self._chosen()
        return said.content if said is not None else ""
