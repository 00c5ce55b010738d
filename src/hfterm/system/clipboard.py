"""Copying through the terminal (OSC 52): the one way that also works over ssh.

Pure: it builds the sequence, the caller writes it to the terminal.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import NamedTuple

from hfterm.system.terminal import in_screen, in_tmux

DEFAULT_LIMIT = 100_000
"""The most base64 bytes sent. xterm, kitty, foot and tmux take about this much or far more;
past their own limit, terminals drop the copy without a word, or keep half of it."""

# GNU screen reads a DCS string into a buffer of 256 bytes in its oldest living releases.
_SCREEN_CHUNK = 240


class Osc52Result(NamedTuple):
    """A copy, ready to be written to the terminal.

    Attributes:
        sequence: what to write; empty when there is nothing to send.
        sent_bytes: how many UTF-8 bytes of the text the sequence carries.
        truncated: the text was too long and nothing of it is sent: half a copy, pasted
            somewhere else, is worse than none. Offer an export to a file instead.
    """

    sequence: str
    sent_bytes: int
    truncated: bool


def osc52(text: str, env: Mapping[str, str], limit: int = DEFAULT_LIMIT) -> Osc52Result:
    """Build the escape sequence that puts `text` into the clipboard of the user's terminal.

    Args:
        text: what to copy. Half surrogate pairs, which UTF-8 cannot carry, become ``?``.
        env: the environment, which tells about tmux and GNU screen.
        limit: the most base64 bytes to send.
    """
    data = text.encode("utf-8", "replace")
    if not data:  # an empty OSC 52 would clear the clipboard
        return Osc52Result("", 0, False)
    if 4 * ((len(data) + 2) // 3) > limit:
        return Osc52Result("", 0, True)
    bare = f"\x1b]52;c;{base64.b64encode(data).decode('ascii')}\x07"
    return Osc52Result(_route(bare, env), len(data), False)


def _route(bare: str, env: Mapping[str, str]) -> str:
    """Wrap a sequence so that the multiplexer hands it to the terminal outside."""
    if in_tmux(env):
        doubled = bare.replace("\x1b", "\x1b\x1b")
        # The wrapped one gets through with `allow-passthrough on`, the bare one with
        # `set-clipboard on`; tmux says nowhere which, and twice the same copy does no harm.
        return f"\x1bPtmux;{doubled}\x1b\\{bare}"
    if in_screen(env):
        chunks = (bare[i : i + _SCREEN_CHUNK] for i in range(0, len(bare), _SCREEN_CHUNK))
        return "".join(f"\x1bP{chunk}\x1b\\" for chunk in chunks)
    return bare
