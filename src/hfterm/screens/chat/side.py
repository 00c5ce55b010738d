"""The Side tab: one prompt, several models or ways of loading, and a table of figures."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Static

from hfterm.chat.prompt_sets import Reply, read_prompts, to_markdown
from hfterm.chat.sampling_text import sampling_difference
from hfterm.chat.types import Answer, Ask, LlmSpec, Message, Sampling, Token
from hfterm.chat.words import model_words
from hfterm.engine.chat_requests import AnswerPrompt
from hfterm.engine.llm import open_llm
from hfterm.errors import HftermError
from hfterm.paths import full_path
from hfterm.screens.chat.page import ChatPage
from hfterm.text import foreign
from hfterm.widgets.answer_column import AnswerColumn
from hfterm.widgets.composer import Composer
from hfterm.widgets.data_grid import DataGrid, GridSource
from hfterm.widgets.side_table import ReplyRows, SideRows

if TYPE_CHECKING:
    from hfterm.engine.client import EngineClient
    from hfterm.screens.chat.session import Session
    from hfterm.screens.engines import EnginePool

WRITE_EVERY = 0.25
"""Seconds between two times that new text is drawn."""


@dataclass
class Contestant:
    """A model as it is to be loaded, how it is sampled, its process, and where its answer stands.

    `words` tell it from the others.
    """

    spec: LlmSpec
    sampling: Sampling
    words: str
    engine: EngineClient
    column: AnswerColumn


class SidePage(ChatPage):
    """Columns, a table, and a prompt for all of them."""

    HELP = """\
## Side
One prompt for several models, quantizations, adapters or samplings, one after the other, so that
each has the machine for itself. `alt+a` adds one (the same form as `F7`) with the sampling as it is
on the Talk tab; `alt+r` has the focused one, or all, take that sampling. `alt+d` takes the focused
one away, `z` (`alt+z`) shows one alone. `Esc` stops and keeps the part. `Ctrl+O` takes a
file of prompts: a line each, or a CSV or JSONL with a column “prompt”. The table has the mean of
each over all prompts, and how far it agrees with the first: the words at the beginning that are the
same, and the share of all words in the same order. `Ctrl+E` exports every answer, `alt+w` writes
them as Markdown.
"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("alt+a", "add", "Add", priority=True, id="side.add",
                tooltip="Add a model, or a way of loading it"),
        Binding("alt+d", "remove", "Remove", show=False, priority=True, id="side.remove",
                tooltip="Take the focused model away, or the last one"),
        Binding("alt+r", "resample", "Resample", show=False, priority=True, id="side.resample",
                tooltip="The focused one, or all, take the sampling as it is on the Talk tab"),
        Binding("alt+z", "alone", "Alone", show=False, priority=True, id="side.alone",
                tooltip="Show the focused answer alone, or all again"),
        Binding("z", "alone", "Alone", show=False, id="side.alone-letter",
                tooltip="Show the focused answer alone, or all again"),
        Binding("ctrl+o", "prompts", "Prompts", show=False, priority=True, id="side.prompts",
                tooltip="Ask all prompts of a file"),
        Binding("alt+w", "write", "Write", show=False, priority=True, id="side.write",
                tooltip="Write the answers to a Markdown file"),
    ]  # fmt: skip

    def __init__(self, engine: EngineClient, pool: EnginePool, session: Session, id: str) -> None:
        super().__init__(engine, id=id)
        self._pool = pool
        self.session = session
        self._contestants: list[Contestant] = []
        self._made = 0
        self._replies: list[Reply] = []
        self._fresh: list[str] = []
        self._writing: AnswerColumn | None = None

    def body(self) -> ComposeResult:
        """Answers, figures, prompt."""
        yield Container(
            Static(
                foreign("alt+a adds a model or a way of loading it; two make a comparison."),
                classes="empty",
            ),
            id="side-columns",
        )
        yield DataGrid(id="side-grid", empty="The figures of each stand here.")
        yield Composer(most=20_000, id="side-composer")

    async def on_mount(self) -> None:
        """The model of the conversation is the first."""
        self.set_interval(WRITE_EVERY, self._write)
        self.query_one(Composer).call_it("Prompt for all")
        if self.session.spec.ref:
            await self._join(self.session.spec, self.session.sampling)

    def come(self) -> None:
        """The prompt."""
        self.query_one(Composer).focus()

    # -- who takes part --------------------------------------------------------------------------

    async def _join(self, spec: LlmSpec, sampling: Sampling) -> None:
        columns = self.query_one("#side-columns")
        await columns.query(".empty").remove()
        words = self._words(spec, sampling)
        column = AnswerColumn(words)
        self._contestants.append(Contestant(spec, sampling, words, self._engine(spec), column))
        await columns.mount(column)

    def _engine(self, spec: LlmSpec) -> EngineClient:
        """Of the same model, however it is sampled, the same process."""
        same = next((each.engine for each in self._contestants if each.spec == spec), None)
        if same is None:
            self._made += 1
            same = self._pool.get(f"side-{self._made}")
        return same

    def _words(self, spec: LlmSpec, sampling: Sampling, but: Contestant | None = None) -> str:
        """A model, and how its sampling differs from that of the same one beside it."""
        words = model_words(spec)
        others = (each for each in self._contestants if each is not but)
        other = next((each for each in others if each.words == words), None)
        if other is None:
            return words
        difference = sampling_difference(sampling, other.sampling)
        return f"{words} · {difference}" if difference else words

    @work(group="side-window", exclusive=True, exit_on_error=False)
    async def action_add(self) -> None:
        """Ask which one."""
        from hfterm.screens.chat.load_modal import ChatLoadModal

        spec = await self.app.push_screen_wait(
            ChatLoadModal(self.engine, self._pool.get("lab"), self.session)
        )
        if spec is None:
            return
        sampling = self.session.sampling
        if any((each.spec, each.sampling) == (spec, sampling) for each in self._contestants):
            self.notice.show(
                "This one is there already.",
                "Change how it is loaded, or the sampling on the Talk tab.", "warning",
            )  # fmt: skip
            return
        await self._join(spec, sampling)

    def action_resample(self) -> None:
        """Take the sampling of the conversation."""
        if self.busy:
            return
        chosen = self._focused()
        for each in [chosen] if chosen is not None else self._contestants:
            each.sampling = self.session.sampling
            each.words = self._words(each.spec, each.sampling, but=each)
            each.column.call_it(each.words)
        self.notice.show("The sampling is the Talk tab's.", "F5 asks the same again.", "note")

    async def action_remove(self) -> None:
        """Take one away; its process ends."""
        if self.busy or not self._contestants:
            return
        chosen = self._focused() or self._contestants[-1]
        self._contestants.remove(chosen)
        await chosen.column.remove()
        if all(each.engine is not chosen.engine for each in self._contestants):
            await chosen.engine.unload()
        self._replies = [reply for reply in self._replies if reply.model != chosen.words]
        self._show()

    def _focused(self) -> Contestant | None:
        focused = self.screen.focused
        return next((each for each in self._contestants if each.column is focused), None)

    def action_alone(self) -> None:
        """One, or all again."""
        chosen = self._focused()
        alone = chosen is not None and any(not each.column.display for each in self._contestants)
        for each in self._contestants:
            each.column.display = chosen is None or alone or each is chosen

    # -- asking ----------------------------------------------------------------------------------

    @on(Composer.Sent)
    def _sent(self, event: Composer.Sent) -> None:
        event.stop()
        if self.busy:
            self.notify("Answers are being written. Esc stops them.", severity="warning")
            return
        self.query_one(Composer).clear_message()
        self._ask_all([event.text])

    def _ask_all(self, prompts: list[str]) -> None:
        if not self._contestants:
            self.notice.show("Nobody is there to answer.", "alt+a adds a model.")
            return
        self.notice.clear()
        self._replies = []
        self.start(self._run(prompts))

    async def _run(self, prompts: list[str]) -> None:
        self._asking += 1
        try:
            for number, prompt in enumerate(prompts, 1):
                if len(prompts) > 1:
                    self.notice.show(f"Prompt {number:,} of {len(prompts):,}.", "", "note")
                for each in list(self._contestants):
                    if not await self._answer(each, prompt):
                        self.notice.show("Stopped.", "What came is kept.", "note")
                        return
        finally:
            self._asking -= 1
            self._stop = None
            self._writing = None
            self.job_line.clear()
        if not any(reply.error for reply in self._replies):
            self.notice.clear()

    async def _answer(self, each: Contestant, prompt: str) -> bool:
        """Have one answer a prompt; False when the user stopped it."""
        await each.column.begin()
        self._fresh, self._writing = [], each.column
        words = each.words
        system = [Message("system", self.session.system)] if self.session.system else []
        ask = Ask(messages=(*system, Message("user", prompt)), sampling=each.sampling)
        try:
            await open_llm(each.engine, each.spec, self.job_line.show)
            self.job_line.clear()
            self._stop = asyncio.Event()
            answer = await each.engine.stream(
                AnswerPrompt(spec=each.spec, ask=ask), self._take, self.job_line.show, self._stop
            )
        except HftermError as error:
            self._writing = None
            part = each.column.said + "".join(self._fresh)
            await each.column.settle(part or f"{error.message}\n\n{error.remedy}")
            each.column.figures("failed")
            self.notice.show_error(error)
            self._replies.append(Reply(prompt=prompt, model=words, error=str(error)))
            self._show()
            return True
        finally:
            self._stop = None
        self._writing = None
        await each.column.settle(answer.text)
        each.column.figures(_figures(answer))
        self._replies.append(Reply(prompt=prompt, model=words, answer=answer))
        self._show()
        return answer.stop_reason != "stopped"

    def _take(self, token: Token) -> None:
        self.job_line.clear()
        self._fresh.append(token.text)

    async def _write(self) -> None:
        if self._writing is not None and self._fresh:
            text, self._fresh = "".join(self._fresh), []
            await self._writing.add(text)

    def _show(self) -> None:
        self.query_one("#side-grid", DataGrid).set_source(SideRows(self._replies))

    def again(self) -> None:
        """Ask the same again."""
        prompts = list(dict.fromkeys(reply.prompt for reply in self._replies))
        if prompts and not self.busy:
            self._ask_all(prompts)

    # -- files -----------------------------------------------------------------------------------

    @work(group="side-window", exclusive=True, exit_on_error=False)
    async def action_prompts(self) -> None:
        """Ask what a file holds."""
        from hfterm.widgets.modals import Prompt

        path = await self.app.push_screen_wait(
            Prompt("Ask all prompts of a file", "A line each; or .csv, .jsonl with “prompt”.")
        )
        if not path or self.busy:
            return
        try:
            prompts = read_prompts(full_path(path))
        except HftermError as error:
            self.notice.show_error(error)
            return
        self._ask_all(prompts)

    @work(group="side-window", exclusive=True, exit_on_error=False)
    async def action_write(self) -> None:
        """Write the answers."""
        from hfterm.widgets.modals import Prompt

        if not self._replies:
            self.notice.show("There are no answers yet.", "Write a prompt first.", "note")
            return
        path = await self.app.push_screen_wait(
            Prompt("Write the answers as Markdown", "A path; none is overwritten.", "answers.md")
        )
        if not path:
            return
        target = Path(full_path(path))
        try:
            await asyncio.to_thread(_write_new, target, to_markdown(self._replies))
        except OSError as error:
            self.notice.show(f"{target} can't be written: {error.strerror}.", "Choose another.")
            return
        self.notice.show(f"Wrote {target}.", severity="note")

    def exported(self) -> tuple[str, GridSource] | None:
        """Every answer."""
        return ("answers", ReplyRows(self._replies)) if self._replies else None


def _write_new(target: Path, text: str) -> None:
    with target.open("x", encoding="utf-8") as file:
        file.write(text)


def _figures(answer: Answer) -> str:
    return (
        f"{answer.tokens_per_s:.1f} tokens/s · first {answer.ttft * 1000:,.0f} ms · "
        f"{answer.tokens:,} tokens"
    )
