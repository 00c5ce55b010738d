"""The Attention panel: fields, the tokens as an axis, the tabs, and the pass they look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from textual import on
from textual.app import ComposeResult
from textual.message import Message

from hfterm.attention.filters import kept
from hfterm.attention.strip import as_encoding
from hfterm.attention.types import AttentionSummary, Looked, Side, Token
from hfterm.engine.attention_requests import CaptureAttention
from hfterm.engine.model_requests import LoadModel
from hfterm.errors import HftermError
from hfterm.models.types import LoadedInfo, ModelSpec
from hfterm.screens.asking_code import REMOTE_CODE, CodeNeeded
from hfterm.screens.attention.options import AttentionFields
from hfterm.screens.attention.pages import TITLES, page_class
from hfterm.screens.attention.sight import (
    AttentionPage,
    HeadPicked,
    LinkPicked,
    PlacePicked,
    Sight,
)
from hfterm.screens.messages import ModelLoaded
from hfterm.widgets.tab_page import TabPage
from hfterm.widgets.tabbed_pages import TabbedPages, TabEntry
from hfterm.widgets.token_source import TokenSource
from hfterm.widgets.token_strip import TokenStrip


class AttentionDesk(TabPage):
    """Runs the pass, and holds where in it one looks; the tabs follow."""

    DEFAULT_CSS = """
    AttentionDesk { height: 1fr; }
    AttentionDesk > TokenStrip { height: auto; max-height: 2; min-height: 1; }
    """

    class Looking(Message):
        """There is another pass, or none any more."""

        def __init__(self, sight: Sight | None) -> None:
            super().__init__()
            self.sight = sight

    class TokenPicked(Message):
        """A token of the text was selected."""

        def __init__(self, token: Token) -> None:
            super().__init__()
            self.token = token

    sight: Sight | None = None
    begin: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Layer, head, query and key that the first pass is looked at."""

    def body(self) -> ComposeResult:
        """Fields, tokens, tabs."""
        yield AttentionFields(id="attention-fields")
        yield TokenStrip(id="attention-strip")
        yield TabbedPages[AttentionPage](
            [TabEntry(title, self._maker(title)) for title in TITLES], id="attention-pages"
        )

    def _maker(self, title: str) -> Callable[[str], AttentionPage]:
        def make(id_: str) -> AttentionPage:
            return page_class(title)(self.engine, id=id_)

        return make

    @property
    def fields(self) -> AttentionFields:
        """The lines of fields."""
        return self.query_one(AttentionFields)

    @property
    def pages(self) -> TabbedPages[AttentionPage]:
        """The tabs."""
        return self.query_one("#attention-pages", TabbedPages)

    @property
    def page(self) -> AttentionPage | None:
        """The page in sight."""
        return self.pages.page

    # -- the pass --------------------------------------------------------------------------------

    def run(self, spec: ModelSpec, text: str) -> None:
        """Load the model, unless it is, and run it on the text."""
        self.notice.clear()
        try:
            looked = Looked(spec=spec, text=text, options=self.fields.options())
        except HftermError as error:
            self.notice.show_error(error)
            return
        self.start(self._capture(looked))

    async def _capture(self, looked: Looked) -> None:
        here = await self.bring(looked.spec.ref)
        info = await self.ask(LoadModel(spec=looked.spec)) if here else None
        if info is not None:
            self.post_message(ModelLoaded(info))
            summary = await self.ask(CaptureAttention(looked=looked))
            if summary is not None:
                self._take(info, looked, summary)
                return
        failure = self.failure
        if failure is None:
            return
        self.leave(failure.message)
        self.notice.show_error(failure)
        if failure.kind == REMOTE_CODE:
            self.post_message(CodeNeeded(failure))
        if failure.kind == "no-attention":
            self.fields.show_sides(("encoder",))  # the model before may have had more
        if failure.kind in ("too-long", "bad-field"):
            self.fields.more(True)  # where what to do about it is

    def _take(self, info: LoadedInfo, looked: Looked, summary: AttentionSummary) -> None:
        """Look at another pass, at the same place as far as there is one."""
        self.fields.show_sides([axis.side for axis in summary.axes])
        self.fields.windows = summary.windows
        old, side = self.sight, self.fields.side
        axis = summary.axis(side)
        at = (old.layer, old.head, old.query, old.key) if old else self.begin
        layer, head = min(at[0], axis.layers - 1), min(at[1], axis.heads - 1)
        self.sight = Sight(
            info=info, looked=looked, summary=summary, which=self.fields.which(layer, head),
            layer=layer, head=head, metric=self.fields.metric,
            query=min(at[2], len(summary.queries(side)) - 1),
            key=min(at[3], len(summary.keys(side)) - 1),
            queries=None, keys=None, hidden="",
        )  # fmt: skip
        self._filter()
        self._show_strip()
        self.post_message(self.Looking(self.sight))
        self._refresh_page()

    def leave(self, why: str) -> None:
        """Look at no pass any more; `why` stands where its maps were."""
        self.sight = None
        self.query_one(TokenStrip).set_source(None)
        for page in self.query(AttentionPage):
            if page.is_mounted:
                page.clear_page(why)
        self.post_message(self.Looking(None))

    # -- where one looks -------------------------------------------------------------------------

    def _change(self, **changes: object) -> None:
        if self.sight is not None:
            self.sight = replace(self.sight, **changes)
            self._refresh_page()

    def _refresh_page(self) -> None:
        if self.sight is not None and self.page is not None:
            self.page.show(self.sight)

    def _filter(self) -> None:
        """Hide what the fields say; what would leave nothing is said and not done."""
        sight, fields = self.sight, self.fields
        if sight is None:
            return
        wanted = fields.filters
        try:
            queries = kept(sight.rows, fields.hide, wanted[0])
            keys = kept(sight.columns, fields.hide, wanted[1])
        except HftermError as error:
            self.notice.show_error(error)
            return
        self._note(sight)
        words = ""
        if keys is not None:
            gone = keys.count(False)
            words = f"{gone:,} of {len(keys):,} keys hidden: each row is renormalised to 1"
        elif queries is not None:
            words = f"{queries.count(False):,} of {len(queries):,} queries hidden"
        self.sight = replace(sight, queries=queries, keys=keys, hidden=words)

    def _note(self, sight: Sight) -> None:
        """What else is to be said of the pass: what was cut off, which window it is."""
        if not sight.summary.note:
            self.notice.clear()
            return
        several = sight.looked.options.long == "window"
        words = "Esc leaves the text; then < and > go to the window before and to the next."
        self.notice.show(sight.summary.note, words if several else "", "note")

    def _show_strip(self) -> None:
        sight = self.sight
        if sight is None:
            return
        source = TokenSource(as_encoding(sight.rows), (sight.looked.text,))
        self.query_one(TokenStrip).set_source(source, sight.query)

    @on(AttentionFields.Changed)
    def _fields_changed(self, event: AttentionFields.Changed) -> None:
        if event.fed:
            return  # the screen runs the model again
        event.stop()
        sight, fields = self.sight, self.fields
        if sight is None:
            return
        side = fields.side
        if side != sight.side:
            self._take_side(side)
        else:
            which = fields.which(sight.layer, sight.head)
            self.sight = replace(sight, which=which, metric=fields.metric)
            self._filter()
        self._refresh_page()

    def _take_side(self, side: Side) -> None:
        sight = self.sight
        assert sight is not None
        axis = sight.summary.axis(side)
        layer, head = min(sight.layer, axis.layers - 1), min(sight.head, axis.heads - 1)
        self.sight = replace(
            sight, which=self.fields.which(layer, head), layer=layer, head=head,
            query=0, key=0, metric=self.fields.metric,
        )  # fmt: skip
        self._filter()
        self._show_strip()

    @on(TabbedPages.Opened)
    def _opened(self) -> None:
        self._refresh_page()

    @on(HeadPicked)
    def _head_picked(self, event: HeadPicked) -> None:
        event.stop()
        if not self._has(layer=event.layer, head=event.head):
            return
        which = self.fields.which(event.layer, event.head)
        if which.layer is None and which.head is None:
            self.fields.choose("map", "head")  # the mean of all has no head to go to
            which = self.fields.which(event.layer, event.head)
        self._change(layer=event.layer, head=event.head, which=which)

    @on(PlacePicked)
    def _place_picked(self, event: PlacePicked) -> None:
        event.stop()
        if self.sight is not None:
            key = self.sight.key if event.key is None else event.key
            if self._has(query=event.query, key=key):
                self._go(event.query, key)

    @on(LinkPicked)
    def _link_picked(self, event: LinkPicked) -> None:
        event.stop()
        sight = self.sight
        if sight is None or not self._has(event.layer, event.head, event.query, event.key):
            return
        self.fields.choose("map", "head")
        which = self.fields.which(event.layer, event.head)
        self.sight = replace(
            sight, which=which, layer=event.layer, head=event.head,
            query=event.query, key=event.key,
        )  # fmt: skip
        self.query_one(TokenStrip).select(event.query)
        self.pages.go_to(0)

    @on(TokenStrip.TokenHighlighted)
    def _token_picked(self, event: TokenStrip.TokenHighlighted) -> None:
        event.stop()
        if self.sight is not None and self._has(query=event.index):
            self._go(event.index, self.sight.key)

    def _has(self, layer: int = 0, head: int = 0, query: int = 0, key: int = 0) -> bool:
        """Whether the pass has such a place: a picture may still be that of the one before."""
        sight = self.sight
        if sight is None:
            return False
        axis = sight.summary.axis(sight.side)
        inside = layer < axis.layers and head < axis.heads
        return inside and query < len(sight.rows) and key < len(sight.columns)

    def _go(self, query: int, key: int) -> None:
        sight = self.sight
        assert sight is not None
        if query != sight.query:
            self.query_one(TokenStrip).select(query)
            self.post_message(self.TokenPicked(sight.rows[query]))
        self._change(query=query, key=key)

    @property
    def token(self) -> Token | None:
        """The token that is selected."""
        return None if self.sight is None else self.sight.rows[self.sight.query]

    # -- what the screen asks --------------------------------------------------------------------

    def stop(self) -> bool:
        """Stop the pass, or what the page does."""
        return super().stop() or (self.page is not None and self.page.stop())

    @property
    def working(self) -> bool:
        """Whether the pass or the page is under way."""
        return self.busy or (self.page is not None and self.page.busy)
