"""Compare: another model on the same text, or the same model on another one."""

from __future__ import annotations

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Static

from hfterm.attention.code import attention_code
from hfterm.attention.types import AttentionComparison, Looked, Which
from hfterm.engine.attention_requests import CompareAttention
from hfterm.screens.attention.heads import ROOMY, numbered
from hfterm.screens.attention.sight import AttentionPage, HeadPicked, Sight, mask_of
from hfterm.text import foreign, token_label
from hfterm.widgets.attention_tables import comparison_rows, labels_of
from hfterm.widgets.data_grid import GridSource
from hfterm.widgets.fields import Field
from hfterm.widgets.head_grid import HeadGrid
from hfterm.widgets.heatmap import Heatmap

EMPTY = "Name a model or a text above and press Enter: how each head changes stands here."
MAP_EMPTY = "And here how the map of one head changes."


class ComparePage(AttentionPage):
    """Differences: of the metric in every head, of the weights in one."""

    HELP = """\
## Compare
The second minus the first: another model on the same text (a base and its fine-tune, two
checkpoints of one run), or the same model on another text (`text`), or both. Orange is more, blue
is less, the middle is no change. `Enter` in a field compares.
"""

    _asked: tuple[Looked, Looked, Which] | None = None
    _found: AttentionComparison | None = None

    def body(self) -> ComposeResult:
        """The second model and text, the grid of changes, the map of changes."""
        with Horizontal(classes="options"):
            yield Field("with", "", placeholder="the same model", id="other-model")
            yield Field("text", "", placeholder="the same text", id="other-text")
        with Horizontal(id="change-row"):
            with Vertical(id="change-left"):
                yield HeadGrid(id="change-grid", empty=EMPTY)
            with Vertical(id="change-right"):
                yield Static("", id="change-said", markup=False)
                yield Heatmap(id="change-map", empty=MAP_EMPTY)

    @property
    def _grid(self) -> HeadGrid:
        return self.query_one("#change-grid", HeadGrid)

    @property
    def _map(self) -> Heatmap:
        return self.query_one("#change-map", Heatmap)

    def _other(self, sight: Sight) -> Looked:
        ref = self.query_one("#other-model", Input).value.strip()
        text = self.query_one("#other-text", Input).value
        looked = sight.looked
        return msgspec.structs.replace(
            looked,
            spec=msgspec.structs.replace(looked.spec, ref=ref) if ref else looked.spec,
            text=text or looked.text,
        )

    def refresh_page(self, sight: Sight, before: Sight | None) -> None:
        """Compare anew when something was named to compare with."""
        other = self._other(sight)
        asked = (sight.looked, other, sight.which)
        if other == sight.looked:
            self._empty()
        elif asked != self._asked:
            if self._asked is None or _tokens_of(asked) != _tokens_of(self._asked):
                self._found = None
                self._map.set_map(None)
            self._asked = asked
            self.start(self._load(*asked))
        elif self._found is not None:
            self._draw(sight, self._found)

    async def _load(self, first: Looked, second: Looked, which: Which) -> None:
        found = await self.ask(CompareAttention(first=first, second=second, which=which))
        self._found = found
        if found is None:
            failure = self.failure
            self._empty()
            if failure is not None:
                self.notice.show_error(failure)
        elif self.sight is not None:
            self._draw(self.sight, found)

    def _draw(self, sight: Sight, found: AttentionComparison) -> None:
        self._grid.set_heads(found.difference[sight.metric].numpy(), signed=True)
        heads = found.first.axis(sight.side).heads
        self.query_one("#change-left").styles.width = numbered(heads)
        self._grid.go_to(sight.layer, sight.head)
        if found.map is None:
            self._map.set_map(None)
            self._map.set_empty(found.why)
        else:
            rows, columns = self._labels(sight, found)
            alike = found.first.source == found.second.source
            self._map.set_map(
                found.map, rows, columns, signed=True,
                causal=found.first.axis(sight.side).causal, window=sight.window,
                keep_rows=mask_of(sight.queries) if alike else None,
                keep_columns=mask_of(sight.keys) if alike else None,
            )  # fmt: skip
            self._map.go_to(sight.query, sight.key)
        self._say()

    @staticmethod
    def _labels(sight: Sight, found: AttentionComparison) -> tuple[list[str], list[str]]:
        """Tokens of both where they differ."""
        pairs = (
            (found.first.queries(sight.side), found.second.queries(sight.side)),
            (found.first.keys(sight.side), found.second.keys(sight.side)),
        )
        rows, columns = (
            [
                one if one == two else f"{one}/{two}"
                for one, two in zip(labels_of(first), labels_of(second), strict=True)
            ]
            for first, second in pairs
        )
        return rows, columns

    def _say(self) -> None:
        sight, found = self.sight, self._found
        if sight is None or found is None:
            return
        named = sight.which.name if self._map.size.width >= ROOMY else sight.which.short
        parts = [foreign(f"{sight.metric} · {named}", "bold")]
        if found.map is not None:
            query, key = self._map.position
            names = [token_label(sight.rows[query].name), token_label(sight.columns[key].name)]
            parts.append(foreign(f"  {names[0]} {query} → {names[1]} {key}"))
            parts.append(foreign(f"  {self._map.weight:+.4f}", "bold $accent"))
        self.query_one("#change-said", Static).update(Content.assemble(*parts))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self.sight is not None:
            self._asked = None
            self.refresh_page(self.sight, self.sight)

    @on(HeadGrid.HeadHighlighted)
    def _picked(self, event: HeadGrid.HeadHighlighted) -> None:
        event.stop()
        self.post_message(HeadPicked(event.layer, event.head))

    @on(HeadGrid.HeadChosen)
    def _chosen(self, event: HeadGrid.HeadChosen) -> None:
        event.stop()
        self._map.focus()

    @on(Heatmap.Moved)
    def _moved(self, event: Heatmap.Moved) -> None:
        event.stop()
        self._say()

    def _empty(self) -> None:
        self._asked = self._found = None
        self._grid.set_heads(None)
        self._map.set_map(None)
        self._map.set_empty(MAP_EMPTY)
        self.query_one("#change-said", Static).update("")
        self.notice.clear()

    def clear_page(self, why: str) -> None:
        """Nothing to compare."""
        super().clear_page(why)
        self._empty()

    def exported(self) -> tuple[str, GridSource] | None:
        """One metric of every head, before and after."""
        if self._found is None or self.sight is None:
            return None
        return "attention-change", comparison_rows(self._found, self.sight.metric, self.sight.side)

    def code(self) -> str:
        """The same differences."""
        sight, found, asked = self.sight, self._found, self._asked
        if sight is None or found is None or asked is None:
            return ""
        return attention_code(
            found.models[0], asked[0], "compare", sight.which, sight.side,
            other=(found.models[1], asked[1]),
        )  # fmt: skip


def _tokens_of(asked: tuple[Looked, Looked, Which]) -> tuple[object, ...]:
    """What the tokens along a map's sides depend on."""
    first, second, which = asked
    return first, second, which.side
