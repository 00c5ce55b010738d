"""Conversations as files: Markdown for people, JSON in the form that chat templates take."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from hfterm.chat.conversations import ConversationStore, title_of
from hfterm.chat.types import Message, Sampling
from hfterm.errors import HftermError

NAMES = {"system": "System", "user": "User", "assistant": "Assistant"}
MARK = re.compile(r"^<!-- hfterm:(system|user|assistant) -->$")
ESCAPED = re.compile(r"^(\\*)(<!-- hfterm:)")
"""A line of a message that looks like a mark of ours has one more backslash before it."""


class Exported(msgspec.Struct, kw_only=True):
    """A conversation in a JSON file.

    Attributes:
        title: what it is called.
        model: the model that answered last, in a few words.
        messages: of the branch in sight, the system prompt first.
    """

    messages: list[Message]
    title: str = ""
    model: str = ""


def to_markdown(title: str, messages: Sequence[Message]) -> str:
    """Headings for people, and a mark under each that no message can hold by itself."""
    parts = [f"# {' '.join(title.split())}\n"]
    for said in messages:
        lines = [ESCAPED.sub(r"\1\\\2", line) for line in said.content.split("\n")]
        text = "\n".join(lines)
        parts.append(f"## {NAMES[said.role]}\n<!-- hfterm:{said.role} -->\n{text}\n")
    return "\n".join(parts)


def from_markdown(text: str) -> tuple[str, list[Message]]:
    """Title and messages of what `to_markdown` gave.

    Raises:
        HftermError: there is no message in it.
    """
    lines = text.removesuffix("\n").split("\n")
    title = lines[0].removeprefix("# ").strip()
    starts = [(at, found[1]) for at, line in enumerate(lines) if (found := MARK.match(line))]
    messages: list[Message] = []
    for number, (at, role) in enumerate(starts):
        last = number + 1 == len(starts)
        # before the next mark stand a blank line and its heading
        end = len(lines) if last else starts[number + 1][0] - 2
        body = [_plain(line) for line in lines[at + 1 : max(at + 1, end)]]
        messages.append(msgspec.convert({"role": role, "content": "\n".join(body)}, Message))
    if not messages:
        raise HftermError(
            "no-messages", "The file has no messages that hfterm wrote.",
            "Give it as JSON: {\"messages\": [{\"role\": \"user\", \"content\": \"…\"}]}.",
        )  # fmt: skip
    return title, messages


def _plain(line: str) -> str:
    found = ESCAPED.match(line)
    return line[1:] if found is not None and found[1] else line


def export_conversation(store: ConversationStore, conversation: int, path: str) -> None:
    """Write the branch in sight to a file, Markdown or JSON by its ending.

    Raises:
        HftermError: the ending is another, or the file is there already or can't be written.
    """
    kept = store.get(conversation)
    said = [Message(message.role, message.content) for message in store.path(conversation)]
    if kept.system:
        said.insert(0, Message("system", kept.system))
    target = Path(path)
    if target.suffix == ".md":
        data = to_markdown(kept.title, said).encode("utf-8", "replace")
    elif target.suffix == ".json":
        model = kept.spec.ref if kept.spec is not None else ""
        exported = Exported(title=kept.title, model=model, messages=said)
        data = msgspec.json.format(msgspec.json.encode(exported), indent=2) + b"\n"
    else:
        raise HftermError(
            "bad-ending",
            f"{target.name} ends neither in .md nor in .json.",
            "Name it like chat.md.",
        )
    _write(target, data)


def _write(target: Path, data: bytes) -> None:
    """All of it or nothing, for its owner only, and never over another file."""
    try:
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".hfterm-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            os.link(name, target)
        finally:
            Path(name).unlink()
    except FileExistsError:
        raise HftermError("exists", f"{target} is there already.", "Choose another name.") from None
    except (OSError, ValueError) as error:  # no name may hold a NUL
        why = error.strerror if isinstance(error, OSError) else error
        raise HftermError(
            "not-written", f"{target} can't be written: {why}.", "Choose another place."
        ) from error


def import_conversations(store: ConversationStore, path: str) -> list[int]:
    """Take the conversations of a file; their numbers.

    A Markdown file that hfterm wrote, a JSON file with ``messages`` (or a list of messages), or
    JSONL with one such object a line.

    Raises:
        HftermError: the file can't be read, or the line that is named is no conversation.
    """
    source = Path(path)
    try:
        text = source.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise HftermError(
            "not-text", f"{source} is no UTF-8 text.", "Convert it with iconv."
        ) from error
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise HftermError(
            "not-read", f"{source} can't be read: {why}.", "Choose another file."
        ) from error
    if source.suffix == ".md":
        title, messages = from_markdown(text.replace("\r\n", "\n"))
        found = [Exported(title=title, messages=messages)]
    elif source.suffix == ".jsonl":
        lines = [(at, line) for at, line in enumerate(text.split("\n"), 1) if line.strip()]
        found = [_decoded(line, f"line {at} of {source.name}") for at, line in lines]
    else:
        found = [_decoded(text, source.name)]
    if not any(one.messages for one in found):
        raise HftermError(
            "no-messages", f"There are no messages in {source.name}.", "Choose another file."
        )
    return [_keep(store, one) for one in found]


def _decoded(text: str, where: str) -> Exported:
    try:
        if text.lstrip().startswith("["):
            return Exported(messages=msgspec.json.decode(text, type=list[Message]))
        return msgspec.json.decode(text, type=Exported)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise HftermError(
            "bad-conversation", f"{where} is no conversation: {error}.",
            "It takes {\"messages\": [{\"role\": \"user\", \"content\": \"…\"}]}.",
        ) from error  # fmt: skip


def _keep(store: ConversationStore, one: Exported) -> int:
    system = "\n\n".join(said.content for said in one.messages if said.role == "system")
    said = [message for message in one.messages if message.role != "system"]
    first = said[0].content if said else ""
    number = store.create(one.title or title_of(first), None, Sampling(), system)
    parent: int | None = None
    for message in said:
        parent = store.add(number, parent, message.role, message.content)
    return number
