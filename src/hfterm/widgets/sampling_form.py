"""How answers are sampled, and the system prompt: a form that acts on the next answer."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Input, Label, TextArea

from hfterm.chat.sampling_text import LIMITS, read_sampling, sampling_texts
from hfterm.chat.types import Sampling
from hfterm.errors import HftermError
from hfterm.widgets.fields import Field
from hfterm.widgets.notice import Notice
from hfterm.widgets.text_editor import TextEditor


class SamplingForm(VerticalScroll, can_focus=False):
    """Eight fields and the system prompt."""

    HELP = """\
## Sampling
Whatever is changed acts on the next answer. `temperature` 0 is greedy: the most probable token
each time. `stop` takes texts separated by commas. An empty `seed` is another one each time.
"""

    DEFAULT_CSS = """
    SamplingForm { width: 34; height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    SamplingForm > Vertical { height: auto; }
    SamplingForm Label { color: $text-muted; }
    SamplingForm TextEditor { height: 6; background: $surface; }
    SamplingForm TextEditor:focus { background: $panel; }
    """

    class Changed(Message):
        """A field holds something else."""

    def __init__(self, sampling: Sampling, system: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._first = (sampling, system)
        self._notice = Notice()

    def compose(self) -> ComposeResult:
        """A line a field."""
        sampling, system = self._first
        width = max(map(len, LIMITS))
        with Vertical():
            for name, text in sampling_texts(sampling).items():
                yield Field(name.ljust(width), text, id=f"sampling-{name}")
        yield self._notice
        yield Label("system prompt")
        system_prompt = TextEditor(system, id="sampling-system")
        system_prompt.placeholder = "none: the template's own, if it has one"
        yield system_prompt

    def show(self, sampling: Sampling, system: str) -> None:
        """Fill the form."""
        for name, text in sampling_texts(sampling).items():
            self.query_one(f"#sampling-{name}", Input).value = text
        self.query_one("#sampling-system", TextEditor).load_text(system)

    @property
    def system(self) -> str:
        """The system prompt."""
        return self.query_one("#sampling-system", TextEditor).text.strip()

    def sampling(self) -> Sampling:
        """What the fields say.

        Raises:
            HftermError: one of them holds what it can't.
        """
        return read_sampling(
            {name: self.query_one(f"#sampling-{name}", Input).value for name in LIMITS}
        )

    @on(Input.Changed)
    @on(TextArea.Changed)
    def _changed(self, event: Message) -> None:
        event.stop()
        try:
            self.sampling()
        except HftermError as error:
            self._notice.show_error(error)
            return
        self._notice.clear()
        self.post_message(self.Changed())
