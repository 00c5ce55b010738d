"""The Chat screen: a language model, what is said to it, and what it thinks of its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from hfterm import paths
from hfterm.chat.conversations import ConversationStore
from hfterm.chat.measured import Measured
from hfterm.chat.types import LlmSpec
from hfterm.chat.words import how_words
from hfterm.engine.requests import ListModels
from hfterm.errors import HftermError
from hfterm.hub import starter
from hfterm.screens.chat.keys import KEYS
from hfterm.screens.chat.page import ChatPage, ConversationWanted, GoOnFrom, TokensWanted
from hfterm.screens.chat.session import Session
from hfterm.screens.chat.talk import Changed, TalkPage
from hfterm.screens.chat.turns import meter
from hfterm.screens.engines import CHAT, Engines
from hfterm.screens.messages import LlmLoaded, ScreenCommand, Thing
from hfterm.screens.start import StartOptions
from hfterm.screens.workbench import WorkbenchScreen
from hfterm.session.types import Place
from hfterm.widgets.mode_bar import ModeBar
from hfterm.widgets.notice import Notice
from hfterm.widgets.sampling_form import SamplingForm
from hfterm.widgets.tabbed_pages import TabbedPages, TabEntry

if TYPE_CHECKING:
    from hfterm.chat.types import LlmInfo

TITLES = ("Talk", "Tokens", "Side", "Lab", "History")
TALK, TOKENS, SIDE, LAB, HISTORY = range(len(TITLES))
WIDE = 110
"""Columns from which the sampling stands beside the conversation."""


class ChatScreen(WorkbenchScreen):
    """Tabs over one session."""

    MODE: ClassVar[str] = "chat"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012
    CSS_PATH = "screen.tcss"

    HELP = """\
# Chat
Write a message and press `Enter`. `Esc` stops an answer and keeps the part, `F5` goes on with it.
`F6` chooses the model, `F7` how it is loaded. `↑` from an empty message goes to the turns, where
`e` edits, `g` answers again, `c` goes on, `t` shows tokens. `F3` `F4` go through the tabs.
"""

    BINDINGS: ClassVar[list[BindingType]] = KEYS

    COMMANDS_HERE: ClassVar[Sequence[ScreenCommand]] = tuple(
        ScreenCommand(f"Chat: {title}", f"The {title} tab", f"go_to_tab({number})")
        for number, title in enumerate(TITLES)
    )

    def __init__(
        self, engines: Engines, modes: Sequence[tuple[str, str]], start: StartOptions
    ) -> None:
        super().__init__(engines, modes)
        self._most = start.max_editor_chars
        self._pool = engines.chats
        self.chat_engine = engines.chats.get(CHAT)
        self.lab_engine = engines.chats.get("lab")
        self._first = LlmSpec(ref=start.model or "smollm2")
        self.session: Session | None = None
        self.pages: TabbedPages[ChatPage] | None = None  # until they are there
        self._settings: bool | None = None

    # -- layout --------------------------------------------------------------------------------

    def body(self) -> ComposeResult:
        """The frame."""
        panel = Vertical(id="chat-panel", classes="frame")
        panel.border_title = "Chat"
        yield panel

    async def fill(self) -> None:
        """The tabs, over the conversations that are kept."""
        panel = self.query_one("#chat-panel")
        try:
            store = ConversationStore.open(paths.data_dir() / "conversations.sqlite")
        except HftermError as error:
            notice = Notice()
            await panel.mount(notice)
            notice.show_error(error)
            notice.show(error.message, f"{error.remedy} Until then nothing is kept.", "warning")
            store = ConversationStore.open(None)
        measured = Measured(paths.state_dir() / "speeds.json")
        self.session = Session(store, self.chat_engine, self._first, measured)
        self.pages = TabbedPages[ChatPage](self._entries(self.session), id="chat-pages")
        await panel.mount(self.pages)
        await super().fill()
        self.show_subject()

    def _entries(self, session: Session) -> list[TabEntry[ChatPage]]:
        def talk(id_: str) -> ChatPage:
            return TalkPage(self.chat_engine, session, self._most, id_)

        def tokens(id_: str) -> ChatPage:
            from hfterm.screens.chat.tokens import TokensPage

            return TokensPage(self.chat_engine, session, id_)

        def side(id_: str) -> ChatPage:
            from hfterm.screens.chat.side import SidePage

            return SidePage(self.engine, self._pool, session, id_)

        def lab(id_: str) -> ChatPage:
            from hfterm.screens.chat.lab import LabPage

            return LabPage(self.engine, self.lab_engine, session, id_)

        def history(id_: str) -> ChatPage:
            from hfterm.screens.chat.history import HistoryPage

            return HistoryPage(self.chat_engine, session, id_)

        makers = (talk, tokens, side, lab, history)
        return [TabEntry(title, make) for title, make in zip(TITLES, makers, strict=True)]

    def tabs(self) -> TabbedPages[ChatPage] | None:
        """The tabs, once they are there."""
        return self.pages

    @property
    def page(self) -> ChatPage | None:
        """The page in sight."""
        return self.pages.page if self.pages is not None else None

    @property
    def talk(self) -> TalkPage | None:
        """The conversation."""
        return next((page for page in self.query(TalkPage) if page.is_mounted), None)

    @property
    def log_file(self) -> Path:
        """The language model's engine prints there."""
        return self.chat_engine.log_file

    def show_subject(self) -> None:
        """The model and how it is loaded, and how full the context is."""
        session = self.session
        if session is None:
            return
        spec = session.spec
        facts = [how_words(spec)] if how_words(spec) else []
        if spec.adapter:
            facts.append(f"+ {Path(spec.adapter).name}")
        chosen = spec.ref or spec.engine == "server"
        absent = starter.is_starter(spec.ref) and starter.starter_path(spec.ref) is None
        does = "a message downloads it" if absent else "a message loads it"
        facts.append("loaded" if session.ready else does if chosen else "F6 chooses")
        info = session.info if session.ready else None
        if info is not self.llm:
            self.post_message(LlmLoaded(info))
        name = spec.ref or spec.url or "no model"
        self.query_one(ModeBar).show_subject(name, " · ".join(facts))
        panel = self.query_one("#chat-panel")
        context = session.info.context if session.info is not None else None
        panel.border_subtitle = meter(session.used, context)  # pyright: ignore[reportAttributeAccessIssue]

    def llm_changed(self, info: LlmInfo | None) -> None:
        """Also when its engine ended by itself."""
        super().llm_changed(info)
        self.show_subject()

    @on(Changed)
    def _changed(self) -> None:
        self.show_subject()

    @on(TabbedPages.Opened)
    def _opened(self) -> None:
        if self.page is not None:
            self.page.come()

    # -- what pages tell -----------------------------------------------------------------------

    async def _talk(self) -> TalkPage:
        assert self.pages is not None
        page = await self.pages.open(TALK)
        assert isinstance(page, TalkPage)
        return page

    @on(TokensWanted)
    async def _tokens_wanted(self, event: TokensWanted) -> None:
        from hfterm.screens.chat.tokens import TokensPage

        assert self.pages is not None
        page = await self.pages.open(TOKENS)
        assert isinstance(page, TokensPage)
        page.show_message(event.message)

    @on(GoOnFrom)
    async def _go_on_from(self, event: GoOnFrom) -> None:
        assert self.session is not None
        talk = await self._talk()
        try:
            said = next((m for m in self.session.path() if m.id == event.message), None)
            before = self.session.store.tokens(event.message)[: event.at]
        except HftermError as error:
            talk.notice.show_error(error)
            return
        if said is None:
            return
        talk.go_on_with(said, before, event.token_id)
        talk.composer.focus()

    @on(ConversationWanted)
    async def _conversation_wanted(self, event: ConversationWanted) -> None:
        assert self.session is not None
        talk = await self._talk()
        if talk.busy:
            talk.say_busy()
            return
        try:
            self.session.open(event.conversation)
        except HftermError as error:
            talk.notice.show_error(error)
            return
        await talk.show()
        talk.composer.focus()

    def leave(self) -> bool:
        """From a field of the sampling to the message."""
        talk = self.talk
        if talk is None or not any(form.has_focus_within for form in talk.query(SamplingForm)):
            return False
        talk.composer.focus()
        return True

    # -- actions -------------------------------------------------------------------------------

    def action_again(self) -> None:
        """Do again what the page does."""
        if self.page is not None:
            self.page.again()

    async def action_new(self) -> None:
        """Begin a new conversation."""
        talk = await self._talk()
        if self.session is None or talk.busy:
            return
        self.session.new()
        talk.notice.clear()
        await talk.show()
        talk.composer.focus()

    def action_settings(self) -> None:
        """Show the sampling, or hide it."""
        shown = self._settings if self._settings is not None else self.size.width >= WIDE
        self._settings = not shown
        self.set_class(self._settings, "-settings")
        self.set_class(not self._settings, "-no-settings")
        if self._settings:
            self.query_one("#sampling-temperature").focus()
        elif self.talk is not None:
            self.talk.composer.focus()

    @work(group="pick", exclusive=True, exit_on_error=False)
    async def action_pick_model(self) -> None:
        """Choose another model."""
        from hfterm.widgets.modals import ModelPicker

        talk = await self._talk()
        try:
            known = await self.engine.call(ListModels())
        except HftermError as error:
            talk.notice.show_error(error)
            return
        assert self.session is not None
        ref = await self.app.push_screen_wait(
            ModelPicker(known, self.session.spec.ref, self.recent_refs)
        )
        if ref:
            self.open_model(ref)

    @work(group="pick", exclusive=True, exit_on_error=False)
    async def action_load_options(self) -> None:
        """Say how the model is loaded."""
        from hfterm.screens.chat.load_modal import ChatLoadModal

        assert self.session is not None
        spec = await self.app.push_screen_wait(
            ChatLoadModal(self.engine, self.lab_engine, self.session)
        )
        if spec is not None:
            await self._take(spec)

    @work(group="pick", exclusive=True, exit_on_error=False)
    async def action_editor(self) -> None:
        """Write the message in $EDITOR."""
        from hfterm.screens.chat.outer_editor import edited

        talk = await self._talk()
        try:
            text = edited(self.app, talk.composer.message)
        except HftermError as error:
            talk.notice.show_error(error)
            return
        talk.composer.clear_message()
        talk.composer.put(text)

    async def action_unload(self) -> None:
        """Let the model go."""
        if self.session is not None:
            await self.session.unload()
            self.show_subject()

    def thing(self) -> Thing | None:
        """The model or its adapter, with the last answer."""
        return Thing(self._ref, self.copy_text()) if self._ref else None

    @property
    def _ref(self) -> str:
        """The model or its adapter; empty for a server's, which is none of this machine."""
        if self.session is None or self.session.spec.engine == "server":
            return ""
        return self.session.spec.adapter or self.session.spec.ref

    def place(self) -> Place:
        """The conversation, what is being written, and the tab."""
        session, talk = self.session, self.talk
        written = talk.composer.message if talk is not None else ""
        return Place(
            ref=self._ref,
            tab=self.tab_title,
            text=written or None,
            conversation=(session.conversation or 0) if session is not None else 0,
        )

    async def restore(self, place: Place) -> None:
        """The conversation; its model is loaded by the next message."""
        if self.session is None:
            return
        talk = await self._talk()
        if place.conversation:
            with suppress(HftermError):  # it was deleted
                self.session.open(place.conversation)
                await talk.show()
        if place.text:
            talk.composer.put(place.text)
        await super().restore(place)

    def open_text(self, ref: str, text: str, offset: int) -> None:
        """Talk about a text of another screen."""
        self.open_model(ref)
        self.run_worker(self._put(text), exit_on_error=False)

    async def _put(self, text: str) -> None:
        """Into the message."""
        talk = await self._talk()
        talk.composer.put(text)

    def open_model(self, ref: str) -> None:
        """Talk with another model, as it is stored."""
        if self.session is not None:
            self.run_worker(self._take(LlmSpec(ref=ref)), exit_on_error=False)
        else:
            self._first = LlmSpec(ref=ref)

    async def _take(self, spec: LlmSpec) -> None:
        """Use another model, or load it otherwise."""
        talk = await self._talk()
        if self.session is None:
            return
        if talk.loads and spec == self.session.spec:
            return  # that is what is being loaded
        if talk.busy and not talk.loads:
            talk.say_busy()
            return
        if spec != self.session.spec:
            self.session.spec = msgspec.structs.replace(spec)
        self.show_subject()
        talk.start(talk.load())
        talk.composer.focus()

    # -- what the application asks -------------------------------------------------------------

    def copy_text(self) -> str:
        """The last answer."""
        return self.talk.copy_text() if self.talk is not None else ""

    def again(self) -> None:
        """As F5."""
        self.action_again()
