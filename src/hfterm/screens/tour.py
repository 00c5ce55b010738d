"""The tour: ten lines for who is here for the first time, one at a time, above the status bar."""

from __future__ import annotations

LINES = (
    "Alt+1: type a text, its tokens follow. Tab changes the panel, F3 F4 between tabs.",
    "Where a model is open F6 chooses it: starter kit, hub cache, a path or a hub id.",
    "F1 explains what is in sight, with every key; F2 is the Python that does the same.",
    "Ctrl+P lists every action by name. F9 copies, Ctrl+E exports, Ctrl+Q quits.",
    "Alt+1 to Alt+7 change the screen. Alt+2 has the classes a model can be, and their memory.",
    "Alt+3 predicts: F5 runs a task's head on a text, down to logits, loss and gradients.",
    "Alt+4 is attention: F5 runs the model, Esc and the arrows go from head to head.",
    "Alt+5 trains: F5 checks the recipe, F7 starts it, and it goes on when you leave.",
    "Alt+6 chats with a language model; F7 there loads it in bfloat16, int8 or nf4.",
    "Alt+7 is all that is on this machine. Alt+O opens what is in sight on another screen.",
)


OFFER = "^t tour"


class Tour:
    """How far the user has come.

    Args:
        offered: the status bar names the key, until it is pressed.
    """

    def __init__(self, *, offered: bool) -> None:
        self._at: int | None = None
        self._offered = offered

    @property
    def offer(self) -> str:
        """What the status bar says of it; empty when it has begun, or is not offered."""
        return OFFER if self._offered else ""

    @property
    def line(self) -> str:
        """The line to show; empty when it has not begun, and when it is over."""
        if self._at is None:
            return ""
        return f"{self._at + 1}/{len(LINES)}  {LINES[self._at]}"

    def next(self) -> None:
        """The next line; after the last none, and then the first again."""
        self._offered = False
        after = 0 if self._at is None else self._at + 1
        self._at = after if after < len(LINES) else None

    def skip(self) -> None:
        """No more of it."""
        self._offered = False
        self._at = None
