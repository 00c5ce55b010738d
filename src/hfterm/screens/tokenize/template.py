"""Template: a chat as the model's template writes it, and its tokens."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static, TextArea

from hfterm.engine.requests import RenderTemplate
from hfterm.errors import HftermError
from hfterm.screens.tokenize.page import Subject, TokenizePage
from hfterm.text import displayable, foreign
from hfterm.tokenization.code import template_code
from hfterm.tokenization.parsing import parse_messages
from hfterm.tokenization.views import Rendered
from hfterm.widgets.data_grid import GridSource
from hfterm.widgets.fields import Choice
from hfterm.widgets.text_editor import TextEditor
from hfterm.widgets.token_source import TokenSource

SAMPLE = """\
system: You are a helpful assistant.
user: What is the capital of France?
assistant: Paris.
user: And of Peru?"""

TINTS = {"system": "on $warning 18%", "user": "on $primary 18%", "assistant": "on $success 18%"}


class TemplatePage(TokenizePage):
    """A rendered chat template."""

    HELP = """\
## Template
Messages above (`role: text`, or a JSON list of `{"role", "content"}`); below, the prompt exactly
as the chat template writes it, each message tinted by its role. The generation prompt is what
makes the model answer; continuing leaves the last message open.
"""

    def body(self) -> ComposeResult:
        """Messages, options, and the prompt."""
        yield TextEditor(SAMPLE, id="template-messages")
        with Horizontal(classes="options"):
            yield Choice("generation prompt", ("yes", "no"), id="template-generation")
            yield Choice("continue last", ("no", "yes"), id="template-continue")
            yield Choice("template", ("default",), id="template-name")
        yield Static("", id="template-facts", markup=False)
        with VerticalScroll(id="template-scroll", can_focus=True):
            yield Static("", id="template-text", markup=False)

    _rendered: Rendered | None = None

    def refresh_page(self, subject: Subject) -> None:
        """Another tokenizer: another template."""
        names = subject.info.chat_templates if subject.info else ()
        choice = self.query_one("#template-name", Choice)
        choice.values = names or ("default",)
        if choice.value not in choice.values:
            choice.value = choice.values[0]
        choice.display = len(choice.values) > 1
        self.start(self._load(subject))

    @on(TextArea.Changed)
    @on(Choice.Changed)
    def _changed(self) -> None:
        if self.subject is not None:
            self.start(self._load(self.subject))

    def _value(self, name: str) -> str:
        return self.query_one(f"#template-{name}", Choice).value

    async def _load(self, subject: Subject) -> None:
        try:
            messages = parse_messages(self.query_one("#template-messages", TextEditor).text)
        except HftermError as error:
            self.notice.show_error(error)
            return
        name = self._value("name")
        continuing = self._value("continue") == "yes"
        rendered = await self.ask(
            RenderTemplate(
                ref=subject.ref,
                messages=messages,
                add_generation_prompt=self._value("generation") == "yes" and not continuing,
                continue_final_message=continuing,
                name=None if name == "default" else name,
            )
        )
        self._rendered = rendered
        if rendered is None:
            self.query_one("#template-facts", Static).update("")
            self.query_one("#template-text", Static).update("")
            return
        count = len(rendered.encoding)
        self.query_one("#template-facts", Static).update(
            foreign(
                f"{len(messages)} messages · {len(rendered.text):,} characters · {count:,} tokens",
                "$text-muted",
            )
        )
        self.query_one("#template-text", Static).update(_tinted(rendered))

    def exported(self) -> tuple[str, GridSource] | None:
        """The prompt's tokens."""
        if self._rendered is None:
            return None
        return "template", TokenSource(self._rendered.encoding, (self._rendered.text,))

    def copy_text(self) -> str:
        """The prompt."""
        return self._rendered.text if self._rendered else ""

    def code(self) -> str:
        """apply_chat_template."""
        if self.subject is None:
            return ""
        try:
            messages = parse_messages(self.query_one("#template-messages", TextEditor).text)
        except HftermError:
            return ""
        continuing = self._value("continue") == "yes"
        generating = self._value("generation") == "yes" and not continuing
        name = self._value("name")
        return template_code(
            self.subject.source, messages, generating, continuing,
            None if name == "default" else name,
        )  # fmt: skip


def _tinted(rendered: Rendered) -> Content:
    content = Content(displayable(rendered.text, lines=True))
    for span in rendered.spans:
        content = content.stylize(TINTS.get(span.role, "on $secondary 18%"), span.start, span.end)
    return content
