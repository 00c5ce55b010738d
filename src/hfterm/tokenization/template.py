"""Chat templates: messages rendered by the tokenizer's own template, then tokenized."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hfterm.errors import Cancelled, HftermError
from hfterm.job import Job
from hfterm.tokenization.encoding import encode
from hfterm.tokenization.loading import LoadedTokenizer
from hfterm.tokenization.parsing import parse_messages
from hfterm.tokenization.role_spans import role_spans
from hfterm.tokenization.views import Message, Rendered

if TYPE_CHECKING:
    from jinja2 import TemplateError

__all__ = ["parse_messages", "render"]


def render(
    loaded: LoadedTokenizer,
    messages: list[Message],
    add_generation_prompt: bool = False,
    continue_final_message: bool = False,
    *,
    name: str | None = None,
    job: Job | None = None,
) -> Rendered:
    """Apply the chat template to `messages` and tokenize what it gives.

    Args:
        loaded: a tokenizer that transformers has opened.
        messages: at least one.
        add_generation_prompt: end with what opens the assistant's answer.
        continue_final_message: leave the last message open, for the model to go on with it.
        name: which of several templates; None for the default one.
        job: cancel.

    Raises:
        HftermError: there is no such template, or it refuses these messages.
    """
    job = job or Job()
    template = _template(loaded, name)
    if not messages:
        raise HftermError("empty", "There are no messages.", "Type one, such as: user: Hello")

    def apply(some: list[Message], *, whole: bool = False) -> str:
        job.check()
        return cast(
            "str",
            loaded.transformers().apply_chat_template(
                [{"role": message.role, "content": message.content} for message in some],
                chat_template=template,
                tokenize=False,
                add_generation_prompt=whole and add_generation_prompt,
                continue_final_message=whole and continue_final_message,
            ),
        )

    try:
        text = apply(messages, whole=True)
    except Cancelled:
        raise
    except Exception as error:
        # A template is a program: it may raise anything, and what it says is for the user.
        raise _explain(loaded, error) from error
    return Rendered(
        text=text,
        spans=role_spans(messages, text, apply),
        encoding=encode(loaded, text, add_special_tokens=False, job=job),
        template=template,
        name=name or "default",
    )


def _template(loaded: LoadedTokenizer, name: str | None) -> str:
    """The source of the template called `name`, or of the one that is used by default."""
    stored = cast("str | dict[str, str] | None", loaded.transformers().chat_template)
    if not stored:
        raise HftermError(
            "no-template",
            f"{loaded.info.ref} has no chat template: it is not a chat model's tokenizer.",
            "It would need chat_template in tokenizer_config.json, or a chat_template.jinja "
            "beside it.",
        )
    templates = {"default": stored} if isinstance(stored, str) else stored
    wanted = name or "default"
    if wanted not in templates:
        raise HftermError(
            "no-template",
            f"{loaded.info.ref} has no chat template named {wanted!r}.",
            f"It has: {', '.join(templates)}.",
        )
    return templates[wanted]


def _explain(loaded: LoadedTokenizer, error: Exception) -> HftermError:
    from jinja2 import TemplateError, TemplateSyntaxError

    if isinstance(error, TemplateSyntaxError):
        return HftermError(
            "bad-template",
            f"The chat template of {loaded.info.ref} has a mistake in line {error.lineno}: "
            f"{_said(error)}.",
            "Correct it in tokenizer_config.json or chat_template.jinja.",
        )
    if isinstance(error, TemplateError):
        return HftermError(
            "template-refused",
            f"The chat template of {loaded.info.ref} refuses these messages: {_said(error)}.",
            "Change the roles or their order as it asks.",
        )
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return HftermError(
        "template-refused",
        f"The chat template of {loaded.info.ref} can't be applied: {first[:300].rstrip('.')}.",
        "Change the messages or the options.",
    )


def _said(error: TemplateError) -> str:
    return (error.message or type(error).__name__).strip().rstrip(".")
