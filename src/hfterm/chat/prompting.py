"""Messages as the text and the tokens that a model reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from hfterm.chat.types import Message
from hfterm.errors import HftermError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Prompt:
    """What a model is given.

    Attributes:
        text: as the template made it, the answer's beginning not included.
        ids: its tokens and those of the answer's beginning.
    """

    text: str
    ids: tuple[int, ...]


def has_template(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether messages can be put into a chat template; else a text is only continued."""
    return bool(tokenizer.chat_template)


def render(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], ref: str) -> str:
    """The prompt: the tokenizer's own chat template over `messages`, open for the answer.

    Without a template the contents follow each other, a line each: plain completion.

    Args:
        tokenizer: the model's.
        messages: at least one.
        ref: what the model is called, for errors.

    Raises:
        HftermError: there are no messages, or the template is broken or refuses them.
    """
    if not messages:
        raise HftermError("empty", "There is nothing to answer.", "Type something first.")
    if not has_template(tokenizer):
        return "\n".join(message.content for message in messages)
    try:
        return cast(
            "str",
            tokenizer.apply_chat_template(
                [{"role": said.role, "content": said.content} for said in messages],
                tokenize=False,
                add_generation_prompt=True,
            ),
        )
    except Exception as error:
        # A template is a program: it may raise anything, and what it says is for the user.
        raise _explain(ref, error, messages) from error


def prompt(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], ref: str, *,
    prefix: str = "", prefix_ids: Sequence[int] = (),
) -> Prompt:  # fmt: skip
    """Render messages, tokenize them, and put the beginning of the answer after them.

    Args:
        tokenizer: the model's.
        messages: as in `render`.
        ref: as in `render`.
        prefix: the answer's beginning.
        prefix_ids: its tokens, which are taken rather than the text.
    """
    text = render(tokenizer, messages, ref)
    # a template writes its special tokens itself; plain text gets those that the tokenizer adds
    special = not has_template(tokenizer)
    ids = _ids(tokenizer, text, special=special)
    begun = list(prefix_ids) or (_ids(tokenizer, prefix, special=False) if prefix else [])
    if not ids and not begun:
        raise HftermError("empty", "The prompt has no tokens.", "Type something first.")
    return Prompt(text, (*ids, *begun))


def _ids(tokenizer: PreTrainedTokenizerBase, text: str, *, special: bool) -> list[int]:
    # what is stored in tokenizer.json may cut or pad, which a prompt must not be
    encoded = tokenizer(text, add_special_tokens=special, truncation=False, padding=False)
    return cast("list[int]", encoded["input_ids"])


def _explain(ref: str, error: Exception, messages: Sequence[Message]) -> HftermError:
    from jinja2 import TemplateError, TemplateSyntaxError

    said = str(error).strip().splitlines()
    first = said[0][:300].rstrip(".") if said else type(error).__name__
    if isinstance(error, TemplateSyntaxError):
        return HftermError(
            "bad-template",
            f"The chat template of {ref} has a mistake in line {error.lineno}: {first}.",
            "Correct it in tokenizer_config.json or chat_template.jinja; Template on the Tokenize "
            "screen shows it.",
        )
    if isinstance(error, TemplateError) and "system" in first.lower() and any(
        said.role == "system" for said in messages
    ):  # fmt: skip
        remedy = "Clear the system prompt: this model knows none."
    elif isinstance(error, TemplateError):
        remedy = "Change the messages or their order as it asks."
    else:
        remedy = "Template on the Tokenize screen shows what it does with them."
    return HftermError(
        "template-refused", f"The chat template of {ref} can't be applied: {first}.", remedy
    )
