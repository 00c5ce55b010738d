"""Train: a new tokenizer from a file or data set, and how it differs from its parent."""

from __future__ import annotations

import time

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Static

from hfterm import paths
from hfterm.engine.requests import TrainTokenizer
from hfterm.hub import starter
from hfterm.paths import expanded
from hfterm.screens.tokenize.page import ModelWanted, Subject, TokenizePage
from hfterm.text import foreign, token_label
from hfterm.tokenization.code import train_code
from hfterm.tokenization.views import Trained, TrainOptions
from hfterm.widgets.fields import Choice, Field
from hfterm.widgets.numbers import quoted, typed_whole


class TrainPage(TokenizePage):
    """A form, and what came of it."""

    HELP = """\
## Train
Name a file (`.txt`, `.csv`, `.jsonl`) or a data set of the starter kit (`reviews`, `sms-spam`),
choose an algorithm, and press Start. The new tokenizer is saved as a folder that `AutoTokenizer`
opens, and compared with its parent: the one that is open. `parent` retrains the parent's own
pipeline. `Open the new one` opens the new tokenizer.
"""

    _trained: Trained | None = None

    def body(self) -> ComposeResult:
        """Fields, buttons, and the outcome."""
        with Horizontal(classes="options"):
            yield Field("from", "reviews", placeholder="a file or data set", id="train-source")
        with Horizontal(classes="options"):
            yield Field("save as", "", placeholder="a new folder", id="train-out")
        with Horizontal(classes="options"):
            yield Choice(
                "algorithm", ("BPE", "WordPiece", "Unigram", "parent"), id="train-algorithm"
            )
            yield Choice("lowercase", ("no", "yes"), id="train-lowercase")
            yield Field("vocabulary", "8000", id="train-vocabulary")
            yield Field("at least", "2", id="train-frequency")
        with Horizontal(classes="options"):
            yield Button("Start", id="train-start", compact=True)
            yield Button("Open the new one", id="train-open", compact=True, disabled=True)
        with VerticalScroll(can_focus=False):
            yield Static(
                "A tokenizer trained here is compared with the one that is open.",
                id="train-outcome",
                markup=False,
            )

    def on_mount(self) -> None:
        """A folder that does not exist yet."""
        self._name_output()

    def _name_output(self) -> None:
        name = f"{self._value('algorithm').lower()}-{time.strftime('%m%d-%H%M%S')}"
        self.query_one("#train-out", Input).value = str(paths.tokenizers_dir() / name)

    def _value(self, name: str) -> str:
        return self.query_one(f"#train-{name}", Choice).value

    def _text(self, name: str) -> str:
        return self.query_one(f"#train-{name}", Input).value.strip()

    def _options(self) -> TrainOptions | None:
        numbers: dict[str, int] = {}
        for name, label in (("vocabulary", "vocabulary"), ("frequency", "at least")):
            text = self._text(name)
            number = typed_whole(text)
            if not number:
                self.notice.show(
                    f"{label!r} is {quoted(text)}, which is not a number.",
                    "Type a whole number from 1.",
                )
                return None
            numbers[name] = number
        return msgspec.convert(
            {
                "algorithm": self._value("algorithm"),
                "vocab_size": numbers["vocabulary"],
                "min_frequency": numbers["frequency"],
                "lowercase": self._value("lowercase") == "yes",
                "parent": self.subject.ref if self.subject else "",
            },
            TrainOptions,
        )

    @on(Choice.Changed, "#train-algorithm")
    def _algorithm_changed(self) -> None:
        if self._text("out").startswith(str(paths.tokenizers_dir())):
            self._name_output()

    @on(Button.Pressed, "#train-start")
    def action_start(self) -> None:
        """Train."""
        if self.busy:
            self.notice.show("A training is under way.", "Esc stops it.", "note")
            return
        options = self._options()
        if not self._text("out"):
            self.notice.show("No folder is named to save it in.", "Name a new one.")
        elif options is not None:
            self.start(self._train(options))

    @on(Button.Pressed, "#train-open")
    def _open(self) -> None:
        if self._trained is not None:
            self.post_message(ModelWanted(self._trained.path))

    async def _train(self, options: TrainOptions) -> None:
        source = self._text("source")
        if not await self.bring(source):
            return
        trained = await self.ask(
            TrainTokenizer(source=source, options=options, out=self._text("out"))
        )
        if trained is None:
            return
        self._trained = trained
        self.query_one("#train-open", Button).disabled = False
        self.query_one("#train-outcome", Static).update(_outcome(trained))

    def refresh_page(self, subject: Subject) -> None:
        """Nothing to ask: the form waits for Start."""

    def _source_file(self) -> str:
        """The file behind the source, for a script."""
        source = self._text("source")
        found = starter.starter_path(source) if starter.is_starter(source) else None
        return str(found or expanded(source))

    def code(self) -> str:
        """The same training."""
        options = self._options()
        if options is None:
            return ""
        return train_code(options, [self._source_file()], self._text("out"))


def _outcome(trained: Trained) -> Content:
    def line(name: str, text: str) -> Content:
        return Content.assemble((f"{name:<20}", "$text-muted"), foreign(text))

    def tokens(names: tuple[str, ...]) -> str:
        return "  ".join(token_label(name) for name in names[:40])

    lines = [
        line("saved", trained.path),
        line("trained in", f"{trained.seconds:.1f} s on {trained.texts:,} texts, "
                           f"{trained.characters:,} characters"),
        line("vocabulary", f"{trained.info.vocab_size:,} ({trained.info.model})"),
        line("opened again as", f"{trained.info.cls} (AutoTokenizer)"),
    ]  # fmt: skip
    if trained.parent:
        per = trained.sample_characters
        lines += [
            line("shared with parent", f"{trained.shared:,} tokens of {trained.parent}"),
            line(
                "on the same text",
                f"{trained.sample_tokens:,} tokens ({per / max(1, trained.sample_tokens):.2f} "
                f"chars/token) · parent {trained.parent_sample_tokens:,} "
                f"({per / max(1, trained.parent_sample_tokens):.2f})",
            ),
            line("only here", f"{trained.only_new_total:,}: {tokens(trained.only_new)}"),
            line("only in parent", f"{trained.only_parent_total:,}: {tokens(trained.only_parent)}"),
        ]
    return Content("\n").join(lines)
