"""Bytes that are no UTF-8 do not end the application.

Textual reads the terminal with a strict decoder, in a thread whose end is the application's. One
byte is enough: of a Latin-1 paste, of a terminal that sends Alt as the eighth bit, or of a line
with noise. With the lenient one it becomes ``�``, as in any other program.
"""

from __future__ import annotations

import codecs

from textual.drivers import linux_driver


def _lenient(encoding: str) -> type[codecs.IncrementalDecoder]:
    strict = codecs.getincrementaldecoder(encoding)

    class Lenient(strict):  # pyright: ignore[reportGeneralTypeIssues, reportUntypedBaseClass]
        def __init__(self, errors: str = "replace") -> None:
            super().__init__(errors)

    return Lenient


def let_any_byte_through() -> None:
    """Give Textual's driver the other decoder. A test fails when it takes it from elsewhere."""
    linux_driver.getincrementaldecoder = _lenient  # pyright: ignore[reportPrivateImportUsage, reportAttributeAccessIssue]
