"""Text that UTF-8 can carry.

Python holds half a surrogate pair as a character: from JSON's ``\\ud83d``, from a byte of a file's
name or a command line that is of no encoding. No message, JSON, database or terminal takes it.
"""

from __future__ import annotations


def whole_text(text: str) -> str:
    """The text with two halves of a pair as the character they are, and `�` for one alone."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
