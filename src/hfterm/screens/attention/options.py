"""What of a pass is shown, and what is fed to the model: two lines of fields."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input

from hfterm.attention.filters import HIDES, Hide
from hfterm.attention.types import METRICS, CaptureOptions, Metric, Side, Which
from hfterm.errors import HftermError
from hfterm.widgets.fields import Choice, Field
from hfterm.widgets.numbers import quoted, typed_whole

MAPS = ("head", "mean of heads", "mean of layers", "mean of all", "rollout")
"""What the map is of."""

FED = ("attention-target", "attention-window")
"""Fields that need another pass when they change."""


class AttentionFields(Vertical):
    """Metric, map, side and what is hidden; then filters and what is fed."""

    DEFAULT_CSS = """
    AttentionFields { height: auto; }
    AttentionFields > Horizontal { height: 1; }
    AttentionFields > #attention-more { display: none; }
    AttentionFields.-more > #attention-more { display: block; }
    """

    windows = 1
    """That the text has."""

    class Changed(Message):
        """A field changed; `fed` when the model must run again for it."""

        def __init__(self, fed: bool) -> None:
            super().__init__()
            self.fed = fed

    def compose(self) -> ComposeResult:
        """Two lines."""
        with Horizontal():
            yield Choice("metric", tuple(METRICS), id="attention-metric")
            yield Choice("map", MAPS, id="attention-map")
            yield Choice("hide", HIDES, id="attention-hide")
            yield Choice("side", ("self",), id="attention-side")
        with Horizontal(id="attention-more"):
            yield Field("queries", "", placeholder="all", id="attention-queries")
            yield Field("keys", "", placeholder="all", id="attention-keys")
            yield Field("target", "", placeholder="the text itself", id="attention-target")
            yield Choice("long texts", ("ask", "truncate", "window"), id="attention-long")
            yield Field("window", "1", id="attention-window")

    def on_mount(self) -> None:
        """A side is chosen only where there are several."""
        self.show_sides(("self",))
        self._show_window()

    # -- what the fields say ---------------------------------------------------------------------

    @property
    def metric(self) -> Metric:
        """Of the grid."""
        return msgspec.convert(self._choice("metric").value, Metric)

    @property
    def hide(self) -> Hide:
        """What is left out."""
        return msgspec.convert(self._choice("hide").value, Hide)

    @property
    def side(self) -> Side:
        """Which attention."""
        return msgspec.convert(self._choice("side").value, Side)

    @property
    def filters(self) -> tuple[str, str]:
        """What was typed for queries and keys."""
        return self._text("queries"), self._text("keys")

    def which(self, layer: int, head: int) -> Which:
        """The map, at a place of the grid."""
        kind = self._choice("map").value
        return Which(
            side=self.side,
            layer=None if kind in ("mean of layers", "mean of all") else layer,
            head=None if kind in ("mean of heads", "mean of all", "rollout") else head,
            rollout=kind == "rollout",
        )

    def options(self) -> CaptureOptions:
        """What is fed.

        Raises:
            HftermError: the window is no number.
        """
        typed = self._text("window").strip() or "1"
        window = typed_whole(typed)
        if not window:
            raise HftermError(
                "bad-field", f"“window” is {quoted(typed)}.", "Type which one, from 1 on."
            )
        long = self._choice("long").value
        return msgspec.convert(
            {
                "target": self._text("target"), "long": long,
                "window": window - 1 if long == "window" else 0,
            },
            CaptureOptions,
        )  # fmt: skip

    # -- changing them ---------------------------------------------------------------------------

    def show_sides(self, sides: Sequence[Side]) -> None:
        """Offer the sides that the model has."""
        choice = self._choice("side")
        choice.values = tuple(sides)
        if choice.value not in choice.values:
            choice.value = choice.values[0]
        choice.display = len(sides) > 1
        target = self.query_one("#attention-target", Input).parent
        assert target is not None
        target.display = len(sides) > 1

    def step(self, name: str) -> None:
        """The next value of a choice."""
        self._choice(name).action_step(1)

    def choose(self, name: str, value: str) -> None:
        """A value of a choice, without telling anybody."""
        self._choice(name).value = value
        self._show_window()

    def more(self, shown: bool | None = None) -> None:
        """Show or hide the second line."""
        self.set_class(not self.has_class("-more") if shown is None else shown, "-more")

    def step_window(self, by: int) -> None:
        """A window next to this one."""
        field = self.query_one("#attention-window", Input)
        now = typed_whole(field.value) or 1
        field.value = str(max(1, min(now + by, self.windows)))
        self.post_message(self.Changed(True))

    def _show_window(self) -> None:
        field = self.query_one("#attention-window", Input).parent
        assert field is not None
        field.display = self._choice("long").value == "window"

    @on(Choice.Changed)
    def _chosen(self, event: Choice.Changed) -> None:
        event.stop()
        self._show_window()
        self.post_message(self.Changed(event.choice.id == "attention-long"))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Changed(event.input.id in FED))

    def _choice(self, name: str) -> Choice:
        return self.query_one(f"#attention-{name}", Choice)

    def _text(self, name: str) -> str:
        return self.query_one(f"#attention-{name}", Input).value
