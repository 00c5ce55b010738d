"""Asking the tmux around us whether it lets copies through."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping


def tmux_option(name: str, env: Mapping[str, str]) -> str | None:
    """A global option of tmux.

    Returns:
        Its value; None when there is no tmux here (it may be at the other end of an ssh
        connection), when it has no such option, or when it does not answer within a second.
    """
    if not env.get("TMUX"):
        return None
    try:
        answer = subprocess.run(
            ["tmux", "show", "-gv", name],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=1,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
