"""How the model of the Predict screen is loaded."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input

from hfterm.errors import HftermError
from hfterm.models.types import ModelSpec
from hfterm.text import foreign
from hfterm.widgets.load_form import LoadForm
from hfterm.widgets.modals import Modal
from hfterm.widgets.notice import Notice


class LoadModal(Modal[ModelSpec | None]):
    """The form over a spec; Enter in a field or the button loads."""

    HELP = """\
## Load
dtype, quantization, device, random weights, labels of a new head. `Tab` moves, `←` `→` choose,
`alt+l` or `Enter` in a field loads, `Esc` closes.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        # priority: a terminal sends the letter along, which a field would take
        Binding("alt+l", "load", "Load", priority=True, id="load-window.load",
                tooltip="Load it with these settings"),
    ]  # fmt: skip

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self._spec = spec

    def compose(self) -> ComposeResult:
        """The form and a button."""
        with Vertical() as box:
            title = foreign(f"Load {self._spec.ref}")
            box.border_title = title  # pyright: ignore[reportAttributeAccessIssue]
            box.border_subtitle = "alt+l load · Esc close"
            yield LoadForm(id="load-form")
            with Horizontal(classes="options"):
                yield Button("Load", id="load-start", compact=True)
            yield Notice()

    def on_mount(self) -> None:
        """As it is loaded now."""
        self.query_one(LoadForm).show(self._spec)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Load."""
        event.stop()
        self.action_load()

    def on_button_pressed(self) -> None:
        """Load."""
        self.action_load()

    def action_load(self) -> None:
        """Answer with the spec, if the fields hold one."""
        form, spec = self.query_one(LoadForm), self._spec
        try:
            self.dismiss(form.spec(spec.ref, spec.auto, allow_code=spec.allow_code))
        except HftermError as error:
            self.query_one(Notice).show_error(error)
