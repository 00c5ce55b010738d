"""Show code for the Predict screen: scripts that run as they are and print what it shows.

Nothing heavy is imported here: the scripts are text, and the UI process makes them.
"""

from __future__ import annotations

from hfterm.inference.batch_code import batch_code
from hfterm.inference.code_bodies import body_of
from hfterm.inference.code_opening import opened
from hfterm.inference.options import TaskOptions
from hfterm.models.types import LoadedInfo

__all__ = ["batch_code", "opened", "predict_code"]


def predict_code(info: LoadedInfo, text: str, options: TaskOptions) -> str:
    """One text, any task: the same rows that the Result tab shows.

    Args:
        info: the model that was loaded.
        text: the text whole.
        options: the task and what it needs besides.
    """
    body = body_of(info, options)
    named = f"{body.name} = {text!r}\n"
    return opened(info) + body.once + named + body.each + body.show
