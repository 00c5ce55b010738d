"""What a person with too much coffee does to hfterm: the same for the same seed.

Nothing here looks at the screen or at the clock, so a seed gives the same actions each time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from textual.keys import _character_to_key

Kind = Literal["keys", "resize", "kill", "away", "back", "lose"]

ESCAPE, ENTER, TAB, BACK_TAB = "\x1b", "\r", "\t", "\x1b[Z"
PALETTE = "\x10"
F6 = "\x1b[17~"
NEVER = {"quit", "palette"}
"""Bindings that are not pressed: the first would end it, the second lists the first, and has an
action of its own here."""

NAMED = {
    "escape": ESCAPE, "enter": ENTER, "tab": TAB, "shift+tab": BACK_TAB, "space": " ",
    "up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D",
    "home": "\x1b[H", "end": "\x1b[F", "pageup": "\x1b[5~", "pagedown": "\x1b[6~",
    "insert": "\x1b[2~", "delete": "\x1b[3~", "backspace": "\x7f",
    "shift+up": "\x1b[1;2A", "shift+down": "\x1b[1;2B", "shift+right": "\x1b[1;2C",
    "shift+left": "\x1b[1;2D", "ctrl+home": "\x1b[1;5H", "ctrl+end": "\x1b[1;5F",
    "ctrl+left": "\x1b[1;5D", "ctrl+right": "\x1b[1;5C", "alt+left": "\x1b[1;3D",
    "alt+right": "\x1b[1;3C", "alt+up": "\x1b[1;3A", "alt+down": "\x1b[1;3B",
    "f1": "\x1bOP", "f2": "\x1bOQ", "f3": "\x1bOR", "f4": "\x1bOS", "f5": "\x1b[15~",
    "f6": F6, "f7": "\x1b[18~", "f8": "\x1b[19~", "f9": "\x1b[20~", "f10": "\x1b[21~",
    "f11": "\x1b[23~", "f12": "\x1b[24~",
}  # fmt: skip

NAMES = {_character_to_key(sign): sign for sign in map(chr, range(0x21, 0x7F))}
"""What Textual calls the signs of a keyboard."""

TEXTS = (
    "a wonderful film", "hello [MASK] world", "0", "12", "-1", "1e-4", "nan", "train[:10%]",
    "[bold]no markup[/bold] {x!r} %s \\n", "¡Hola! 👩🏽\u200d💻 naïve", "e\u0301\u0327\u0301" * 3,
    "שלום עולם", "日本語のテキスト", "\u202eright to left\u202c", "\ufeffzero\u200bwidth\u00ad",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "🇩🇪🏳️‍🌈", "w" * 300, "[", "*", "(", "\\", "a|b", "~/", "../", "/",
)  # fmt: skip

PALETTE_WORDS = (
    "go to tokenize", "go to models", "go to predict", "go to attention", "go to train",
    "go to chat", "go to library", "chat: tokens", "chat: side", "chat: lab", "chat: history",
    "help", "code", "export", "tab", "copy", "logs", "model", "theme", "no such thing",
)  # fmt: skip

SIZES = ((80, 24), (120, 40), (100, 30), (200, 60), (250, 70), (40, 12), (20, 5))

HOSTILE = (
    b"\xff\xfe\xc3\x28", b"\x1b[", b"\x1b]0;title\x07", b"\x1b[?1;2c", b"\x1b[24;80R",
    b"\x1b[I", b"\x1b[O", b"\x1b[<0;5000;5000M", b"\x00", b"\x1c", b"\x1bOZ",
)  # fmt: skip
"""What no keyboard sends, but a line with noise, a terminal that answers late, or a multiplexer."""


@dataclass(frozen=True)
class Action:
    """One thing that is done.

    Attributes:
        note: what it is, for people.
        data: bytes that are typed.
        size: of the window.
        pick: which of those there are, from 0 to 1: of processes, of files.
    """

    kind: Kind
    note: str
    data: bytes = b""
    size: tuple[int, int] = (0, 0)
    pick: float = 0.0

    def __str__(self) -> str:
        shown = f"{self.data[:60]!r}" if self.data else ""
        shown += f"{self.size}" if self.kind == "resize" else ""
        shown += f"{self.pick:.4f}" if self.kind in ("kill", "away", "back", "lose") else ""
        return f"{self.kind} {self.note} {shown}"


def bytes_of(key: str) -> bytes:
    """What a terminal sends for a key by Textual's name.

    Raises:
        ValueError: no terminal sends it, as far as is known here.
    """
    if key in NAMED:
        return NAMED[key].encode()
    if key in NAMES:
        return NAMES[key].encode()
    if len(key) == 1:
        return key.encode()
    modifier, _, rest = key.partition("+")
    if modifier == "alt" and rest.startswith("shift+"):
        return f"\x1b{rest.removeprefix('shift+').upper()}".encode()
    if modifier == "alt":
        return b"\x1b" + bytes_of(rest)
    if modifier == "ctrl" and len(rest) == 1:
        return bytes([ord(rest) & 0x1F])
    raise ValueError(f"which bytes are {key!r}?")


def keys_of(bindings: Sequence[Mapping[str, str]]) -> dict[str, bytes]:
    """Binding id and key → its bytes, of ``hfterm keys --json``; each binding's every key."""
    never = {key for one in bindings if one["id"] in NEVER for key in one["keys"].split(",")}
    return {
        f"{one['id']} {key}": bytes_of(key)
        for one in bindings for key in one["keys"].split(",") if key not in never
    }  # fmt: skip


class Wanderer:
    """Actions without end.

    Args:
        seed: the same gives the same.
        bindings: of ``hfterm keys --json``.
        refs: models, tokenizers and data sets that may be opened; some of them none.
    """

    def __init__(
        self, seed: int, bindings: Sequence[Mapping[str, str]], refs: Sequence[str]
    ) -> None:
        self._dice = random.Random(seed)
        self._keys = list(keys_of(bindings).items())
        self._refs = list(refs)
        kinds = {
            self._bindings: 46, self._modes: 10, self._text: 9, self._moves: 14, self._mouse: 8,
            self._resize: 5, self._open: 4, self._say: 5, self._palette: 4, self._paste: 1,
            self._noise: 1, self._kill: 1.5, self._files: 2, self._hammer: 2,
        }  # fmt: skip
        self._kinds, self._weights = list(kinds), list(kinds.values())

    def bursts(self) -> Iterator[list[Action]]:
        """What is done between two looks at the screen."""
        while True:
            (kind,) = self._dice.choices(self._kinds, self._weights)
            yield list(kind())

    def _press(self, note: str, data: str | bytes) -> Action:
        return Action("keys", note, data.encode() if isinstance(data, str) else data)

    def _bindings(self) -> Iterator[Action]:
        for _ in range(self._dice.randint(1, 8)):
            yield self._press(*self._dice.choice(self._keys))

    def _modes(self) -> Iterator[Action]:
        digit = self._dice.randint(1, 7)
        yield self._press("mode", f"\x1b{digit}")
        for _ in range(self._dice.randint(0, 4)):  # and to one of its tabs
            yield self._press("tab", NAMED[self._dice.choice(("f3", "f4", "f4"))])

    def _text(self) -> Iterator[Action]:
        yield self._press("text", self._dice.choice(TEXTS))
        if self._dice.random() < 0.5:
            yield self._press("enter", self._dice.choice((ENTER, TAB, ESCAPE)))

    def _moves(self) -> Iterator[Action]:
        for _ in range(self._dice.randint(1, 6)):
            key = self._dice.choice(
                ("enter", "tab", "tab", "shift+tab", "escape", "up", "down", "down", "left",
                 "right", "pageup", "pagedown", "home", "end", "backspace", "delete", "space",
                 "f10", "f11", "f12", "ctrl+left", "alt+up")
            )  # fmt: skip
            yield self._press(key, NAMED[key])

    def _mouse(self) -> Iterator[Action]:
        column, row = self._dice.randint(1, 250), self._dice.randint(1, 70)
        if self._dice.random() < 0.7:  # where most of it is
            column, row = 1 + column % 100, 1 + row % 30
        kind = self._dice.choice(("click", "double", "drag", "wheel", "move", "right"))
        press, release = f"\x1b[<0;{column};{row}M", f"\x1b[<0;{column};{row}m"
        if kind == "wheel":
            button = self._dice.choice((64, 65, 66, 67))
            yield self._press("wheel", f"\x1b[<{button};{column};{row}M" * 5)
        elif kind == "move":
            yield self._press("move", f"\x1b[<35;{column};{row}M")
        elif kind == "right":
            yield self._press("right", f"\x1b[<2;{column};{row}M\x1b[<2;{column};{row}m")
        elif kind == "drag":
            there = f"{1 + self._dice.randint(0, 99)};{1 + self._dice.randint(0, 29)}"
            yield self._press("drag", f"{press}\x1b[<32;{there}M\x1b[<0;{there}m")
        else:
            yield self._press(kind, (press + release) * (2 if kind == "double" else 1))

    def _resize(self) -> Iterator[Action]:
        for _ in range(self._dice.choice((1, 1, 2, 5))):
            size = self._dice.choice(SIZES)
            if self._dice.random() < 0.4:
                size = (self._dice.randint(20, 250), self._dice.randint(5, 70))
            yield Action("resize", "window", size=size)

    def _open(self) -> Iterator[Action]:
        mode = self._dice.choice((1, 2, 3, 4, 6, 6))
        ref = self._dice.choice(self._refs)
        yield self._press("mode", f"\x1b{mode}")
        yield self._press("picker", F6)
        yield self._press("ref", ref)
        yield self._press("enter", ENTER)
        if self._dice.random() < 0.5 and mode in (3, 4):
            yield self._press("run", NAMED["f5"])

    def _say(self) -> Iterator[Action]:
        yield self._press("leave", ESCAPE)
        yield self._press("mode", "\x1b6")
        yield self._press("new", self._dice.choice(("\x1bn", NAMED["end"])))
        yield self._press("text", self._dice.choice(TEXTS))
        yield self._press("enter", ENTER)
        later = self._dice.choice((ESCAPE, NAMED["f5"], "\x1bg", "\x1bc", "\x1bt", "", ""))
        if later:
            yield self._press("then", later)

    def _palette(self) -> Iterator[Action]:
        yield self._press("palette", PALETTE)
        yield self._press("words", self._dice.choice(PALETTE_WORDS))
        yield self._press("enter or not", self._dice.choice((ENTER, ENTER, ESCAPE)))

    def _paste(self) -> Iterator[Action]:
        length = self._dice.choice((10, 1000, 20_000))
        text = "".join(self._dice.choices(("a ", "ü", "\t", "\n", "🙂", "word "), k=length))
        yield self._press("paste", f"\x1b[200~{text}\x1b[201~")

    def _noise(self) -> Iterator[Action]:
        yield self._press("noise", self._dice.choice(HOSTILE))

    def _hammer(self) -> Iterator[Action]:
        note, data = self._dice.choice(self._keys)
        yield self._press(f"{note} × 15", data * 15)

    def _kill(self) -> Iterator[Action]:
        yield Action("kill", "an engine", pick=self._dice.random())

    def _files(self) -> Iterator[Action]:
        kind = self._dice.choice(("away", "back", "back", "lose"))
        yield Action(kind, "a file or folder", pick=self._dice.random())
