"""One turn of a conversation: who said it, the figures, and the text."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Region
from textual.widget import Widget
from textual.widgets import Markdown, Static

from hfterm.text import displayable, elide_middle, fit, foreign
from hfterm.widgets.answer_markdown import AnswerMarkdown
from hfterm.widgets.growing_blocks import LaidOutOnce

NAMES = {"user": "You", "assistant": "Answer", "system": "System"}
MOST_NAME = 40
"""Cells of a speaker's name: figures stand beside it."""

ROOM = 3
"""Of the lines in sight, one in so many stays free for what comes next of an answer."""

LONGEST = 20_000
"""Characters of one turn that are drawn: laying out a pasted megabyte would take seconds."""


@dataclass(frozen=True)
class Turn:
    """What a view shows of a message.

    Attributes:
        id: the message's.
        role: who said it.
        content: what.
        facts: said of it, such as ``31.2 tokens/s``.
        branch: (which, of how many) ways the conversation went on here, from 1.
        speaker: the model's name, for an answer.
    """

    id: int
    role: str
    content: str
    facts: str = ""
    branch: tuple[int, int] = (1, 1)
    speaker: str = ""


def shown(text: str) -> str:
    """A text as it may be drawn, and not longer than can be laid out at once."""
    left = len(text) - LONGEST
    safe = displayable(text[:LONGEST], lines=True)
    return safe if left <= 0 else f"{safe}\n\n… {left:,} more characters"


class TurnView(Vertical, LaidOutOnce, can_focus=True):
    """A turn. An answer is Markdown, everything else as it was typed."""

    HELP = """\
## A turn
`↑` `↓` go through the turns, `←` `→` through its branches from here. `e` changes the text,
`g` generates another answer, `c` goes on with a part, `t` shows its tokens, `p` the prompt as the
template made it, `y` copies it.
"""

    DEFAULT_CSS = """
    TurnView { height: auto; padding: 0 1; margin-bottom: 1; border-left: blank; }
    TurnView:focus { border-left: outer $accent; }
    TurnView > .head { height: 1; color: $text-muted; }
    TurnView > .plain { height: auto; }
    TurnView > Markdown { padding: 0; margin: 0; background: transparent; height: auto; }
    TurnView > Markdown > MarkdownBlock:last-child { margin-bottom: 0; }
    """

    def __init__(self, turn: Turn) -> None:
        super().__init__()
        self.turn = turn
        self._room = 0
        self._head = Static("", classes="head", markup=False)
        self._body: Markdown | Static = (
            AnswerMarkdown(shown(turn.content))
            if turn.role == "assistant"
            else Static(foreign(shown(turn.content), lines=True), classes="plain", markup=False)
        )

    def compose(self) -> ComposeResult:
        """The line of facts and the text."""
        yield self._head
        yield self._body

    def on_mount(self) -> None:
        """The facts fit the width only now."""
        self._say()

    def on_resize(self) -> None:
        """The facts stand at the right."""
        self._say()

    def _say(self) -> None:
        turn = self.turn
        name = elide_middle(turn.speaker or NAMES.get(turn.role, turn.role), MOST_NAME)
        at, count = turn.branch
        way = f"  ‹ {at}/{count} ›" if count > 1 else ""
        room = max(0, self._head.size.width - cell_len(name) - cell_len(way) - 2)
        facts = fit(displayable(turn.facts), room, right=True) if room else ""
        line = Content.assemble(
            foreign(name, "bold"), (way, "$accent"), "  ", Content.styled(facts, "dim")
        )
        self._head.update(line, layout=False)

    def shows(self, turn: Turn) -> bool:
        """Whether the text here is that of a turn."""
        mine = self.turn
        return (mine.id, mine.role, mine.content) == (turn.id, turn.role, turn.content)

    def keep(self, turn: Turn) -> None:
        """The same text, perhaps with other facts."""
        self._room = 0
        self.styles.min_height = None
        self.say(turn)

    def say(self, turn: Turn) -> None:
        """Other facts about the same text."""
        self.turn = turn
        self._say()

    @property
    def head_in_sight(self) -> bool:
        """Whether the line of facts is not scrolled away."""
        return self._in_sight.overlaps(self._head.region)

    @property
    def _in_sight(self) -> Region:
        container = self.parent
        return container.region if isinstance(container, Widget) else Region()

    async def add(self, text: str) -> None:
        """More of an answer that is being written."""
        if not isinstance(self._body, Markdown):
            return
        await self._body.append(displayable(text, lines=True))
        # what scrolls is drawn anew, all of it: some lines at once cost less time and fewer bytes
        lines = self._head.size.height + self._body.size.height
        if lines >= self._room:
            self._room = lines + self._in_sight.height // ROOM
            self.styles.min_height = self._room

    async def settle(self, turn: Turn) -> None:
        """The answer is whole: its text once more as one."""
        self.turn = turn
        self._room = 0
        self.styles.min_height = None
        self._say()
        text = shown(turn.content)
        if isinstance(self._body, Markdown) and self._body.source != text:
            await self._body.update(text)

    def copy_text(self) -> str:
        """The whole text, as it is."""
        return self.turn.content
