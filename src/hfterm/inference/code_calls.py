"""What the scripts of all tasks are made of: their parts, and calls of the tokenizer."""

from __future__ import annotations

from typing import NamedTuple

from hfterm.inference.options import OVERLAP, TaskOptions
from hfterm.models.types import LoadedInfo


class Body(NamedTuple):
    """The parts of a script that come after the model is open.

    Attributes:
        once: lines before the first text.
        each: what is done with ``text``.
        show: prints all that the Result tab shows of it.
        row: prints the one row that the Batch tab shows of it, its first value in ``found``.
        name: what the text is called; a batch's loop sets it.
    """

    once: str
    each: str
    show: str
    row: str
    name: str = "text"


# some configs lack the attribute
PADDING = """\
if tokenizer.pad_token is None:
    tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
if getattr(model.config, "pad_token_id", None) is None:
    model.config.pad_token_id = tokenizer.pad_token_id
"""

ACCEPTED = """\
accepted = inspect.signature(model.forward).parameters
"""

INPUTS = (
    "inputs = {name: encoding[name].to(model.device) for name in encoding if name in accepted}\n"
)

MULTI = "multi_label_classification"


def call(name: str, *told: str) -> str:
    """``name = tokenizer(…)``, one argument a line."""
    return f"{name} = tokenizer(\n" + "".join(f"    {part},\n" for part in told) + ")\n"


def cut(info: LoadedInfo, options: TaskOptions, how: str = "True") -> list[str]:
    """The arguments that cut a text that does not fit; none when it is to be refused."""
    if options.long == "ask" or not info.limit:
        return []
    return [f"truncation={how}", f"max_length={info.limit}"]


def windows(info: LoadedInfo) -> list[str]:
    """The arguments that make windows of one."""
    return [
        f"stride={(info.limit or 0) // OVERLAP}", "return_overflowing_tokens=True", "padding=True",
        "return_attention_mask=True",
    ]  # fmt: skip


def slides(info: LoadedInfo, options: TaskOptions) -> bool:
    """Whether a long text is read in windows."""
    return options.long == "window" and bool(info.limit)


def probabilities(logits: str) -> str:
    """``probabilities = …`` of logits, as the config's problem type says."""
    return (
        f'if model.config.problem_type == "{MULTI}":\n'
        f"    probabilities = torch.sigmoid({logits})\n"
        'elif model.config.num_labels == 1 or model.config.problem_type == "regression":\n'
        f"    probabilities = {logits}\n"
        "else:\n"
        f"    probabilities = torch.softmax({logits}, dim=-1)\n"
    )


def indented(lines: str) -> str:
    """Lines one level deeper."""
    return "".join(f"    {line}" if line.strip() else line for line in lines.splitlines(True))
