"""``hfterm`` and ``python -m hfterm``.

Without arguments the workbench opens at once: the command-line library is imported only
when there is something to parse.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Open the workbench, or run a command."""
    if len(sys.argv) > 1:
        from hfterm.cli import run

        run()
        return
    from hfterm.launch import open_workbench

    sys.exit(open_workbench())


if __name__ == "__main__":
    main()
