"""What a chat server sends, as typed values: events of its stream, tokens, models, error texts.

Nothing here is trusted: every value is looked at before it is used, and what does not fit raises
an `HftermError`. Opens no connection.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Iterator
from typing import cast

import msgspec

from hfterm.chat.types import Alternative, Token
from hfterm.errors import HftermError
from hfterm.surrogates import whole_text

LONGEST = 10_000_000
"""Bytes of one event, or of an answer that is no stream."""

SHOWN = 300
"""Characters of the server's own words in a message."""

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")
_DONE = "[DONE]"
_BROKEN_ERROR = '{"error": "'
_MOST_ALTERNATIVES = 20


def bad_answer(what: str) -> HftermError:
    """The server speaks, but not as a chat server does."""
    return HftermError(
        "bad-answer",
        f"The server's answer is not that of a chat server: {what}.",
        "Check that the URL is that of an OpenAI-compatible server.",
    )


class EventParser:
    """Server-sent events out of bytes, by the rules of the WHATWG; cut at any byte.

    Only the data is kept. An event without its closing empty line is dropped, as the rules say.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._searched = 0
        self._data: list[bytes] = []
        self._size = 0
        self._first = True
        self._after_return = False

    def feed(self, chunk: bytes) -> Iterator[str]:
        """The data of each event that is whole now.

        Raises:
            HftermError: an event is longer than `LONGEST`.
        """
        self._rest += chunk
        if self._first:
            if len(self._rest) < len(_BOM) and _BOM.startswith(self._rest):
                return
            self._first = False
            if self._rest.startswith(_BOM):
                del self._rest[: len(_BOM)]
        start = 0
        if self._after_return and self._rest:
            start = 1 if self._rest.startswith(b"\n") else 0
            self._after_return = False
        while found := _LINE_END.search(self._rest, max(start, self._searched)):
            line, start = bytes(self._rest[start : found.start()]), found.end()
            # The line ends here and now; a line feed that follows in the next chunk belongs to it.
            self._after_return = found[0] == b"\r" and start == len(self._rest)
            self._searched = 0
            if (data := self._line(line)) is not None:
                yield data
        del self._rest[:start]
        # A long line that comes in small pieces is not searched again from its beginning.
        self._searched = len(self._rest)
        if self._size + len(self._rest) > LONGEST:
            raise bad_answer(f"an event is longer than {LONGEST:,} bytes")

    def _line(self, line: bytes) -> str | None:
        self._size += len(line)
        if self._size > LONGEST:
            raise bad_answer(f"an event is longer than {LONGEST:,} bytes")
        if not line:
            data, self._data, self._size = self._data, [], 0
            return b"\n".join(data).decode(errors="replace") if data else None
        name, _, value = line.partition(b":")
        # "error" is no field of the rules; llama-server has sent its errors in one.
        if name in (b"data", b"error"):
            self._data.append(value.removeprefix(b" "))
        return None


def object_in(text: str | bytes, secret: str = "") -> dict[str, object]:
    """A JSON object.

    Raises:
        HftermError: it is something else.
    """
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raw = text if isinstance(text, str) else text.decode(errors="replace")
        raise bad_answer(f"it is no JSON object but “{shown(raw, secret)}”")
    return cast("dict[str, object]", value)


def shown(text: str, secret: str = "") -> str:
    """Text of the server for a message: on one line, short, and without the key."""
    if secret:  # before it is cut, which might leave a part of the key
        text = text.replace(secret, "[key]")
    line = " ".join(whole_text(text).split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"


def words(value: object, depth: int = 4) -> str:
    """What an error answer says, from the shapes that servers give it; uncut."""
    if isinstance(value, str):
        return value
    if not depth:
        return ""
    if isinstance(value, list):  # FastAPI: one entry a field
        found = (words(entry, depth - 1) for entry in cast("list[object]", value))
        return "; ".join(filter(None, found))
    if not isinstance(value, dict):
        return ""
    said = cast("dict[str, object]", value)
    for name in ("error", "message", "detail", "msg"):
        if text := words(said.get(name), depth - 1):
            places = said.get("loc")
            if name == "msg" and isinstance(places, list):
                place = ".".join(str(part) for part in cast("list[object]", places))
                return f"{place}: {text}"
            return text
    return ""


class ServedModel(msgspec.Struct, frozen=True):
    """A model as a server lists it; 0 and None where it does not say.

    Attributes:
        id: its name.
        context: tokens that fit.
        parameters: how many.
        footprint: bytes of them.
        lossy: whether characters of several tokens, as most emoji are, get lost in a stream with
            probabilities.
    """

    id: str
    context: int | None = None
    parameters: int = 0
    footprint: int = 0
    lossy: bool = False


def served_models(listing: dict[str, object]) -> list[ServedModel]:
    """The models of ``GET /models``.

    Raises:
        HftermError: it is no listing.
    """
    entries = listing.get("data")
    if not isinstance(entries, list):
        raise bad_answer("its list of models has no “data”")
    return [_served(entry) for entry in cast("list[object]", entries)]


def _served(entry: object) -> ServedModel:
    known = _object(entry)
    name = known.get("id")
    if not isinstance(name, str) or not name:
        raise bad_answer("a model in its list has no name")
    meta = _object(known.get("meta"))
    limits = (known.get("max_model_len"), meta.get("n_ctx"), meta.get("n_ctx_train"),
              known.get("n_ctx"))  # fmt: skip
    return ServedModel(
        whole_text(name),
        next((count for limit in limits if (count := _count(limit))), None),
        _count(meta.get("n_params")),
        _count(meta.get("size")),
        # llama-cpp-python's server (0.3.36) does not name itself, but nobody else writes this.
        lossy=known.get("owned_by") == "me" and "permissions" in known,
    )


class ChatReader:
    """Reads the chunks of one answer.

    Attributes:
        finish: why the answer ended, in the server's word; empty until then.
        stop: the stop string that ended it, where the server names it.
        prompt_tokens: from the usage; 0 when it is not told.
        reused_tokens: of these, from the server's cache.
        tokens: generated, from the usage; None when it is not told.
        called_tools: whether the model asked for a tool.
        done: whether the server said that nothing more comes.
        heard: whether it said anything of an answer.
    """

    def __init__(self, secret: str = "") -> None:
        self._secret = secret
        self._thinking = False
        self._bytes = codecs.getincrementaldecoder("utf-8")()
        self.finish = ""
        self.stop = ""
        self.done = False
        self.heard = False
        self.prompt_tokens = 0
        self.reused_tokens = 0
        self.tokens: int | None = None
        self.called_tools = False

    def take(self, data: str | bytes) -> list[Token]:
        """The tokens that one chunk brings; also an answer that is no stream is one chunk.

        Raises:
            HftermError: the chunk is an error of the server, or no chunk.
        """
        if isinstance(data, str) and data.strip() == _DONE:
            self.done = True
            return []
        self.heard = True
        chunk = self._chunk(data)
        if chunk.get("error") or chunk.get("object") == "error":
            raise self._failed(words(chunk) or str(chunk))
        if chunk.get("usage") is not None:
            self._usage(_object(chunk["usage"]))
        choices = chunk.get("choices")
        if choices is None or choices == []:
            return []
        if not isinstance(choices, list):
            raise bad_answer("“choices” is no list")
        return self._choice(_object(cast("list[object]", choices)[0]))

    def close(self) -> list[Token]:
        """Ends a thought that the server did not end."""
        thinking, self._thinking = self._thinking, False
        return [Token(-1, "</think>")] if thinking else []

    def _chunk(self, data: str | bytes) -> dict[str, object]:
        try:
            return object_in(data, self._secret)
        except HftermError:
            # `transformers serve` puts the words of an exception into its JSON as they are, also
            # with quotes and line breaks, which leave none.
            if isinstance(data, str) and data.startswith(_BROKEN_ERROR):
                said = data.removeprefix(_BROKEN_ERROR).removesuffix('"}')
                raise self._failed(said) from None
            raise

    def _failed(self, said: str) -> HftermError:
        return HftermError(
            "server",
            f"The server failed: {shown(said, self._secret)}",
            "Ask again, or look at the server's log.",
        )

    def _choice(self, choice: dict[str, object]) -> list[Token]:
        delta = _object(choice.get("delta") or choice.get("message"))
        if delta.get("tool_calls") or delta.get("function_call"):
            self.called_tools = True
        thought = _text(delta, "reasoning_content") or _text(delta, "reasoning")
        content = _text(delta, "content") or _text(delta, "refusal")
        entries = _entries(choice.get("logprobs"))
        sent: list[Token] = []
        if thought:
            if not self._thinking:
                sent.append(Token(-1, "<think>"))
            self._thinking = True
            # With both in one chunk nobody knows whose the probabilities are.
            sent += self._tokens(thought, [] if content else entries)
        if content or (entries and not thought):
            if content:
                sent += self.close()
            sent += self._tokens(content, [] if thought else entries)
        if isinstance(finish := choice.get("finish_reason"), str):
            self.finish = finish
        if isinstance(stop := choice.get("stop_reason"), str):  # vLLM; a number is a token's id
            self.stop = stop
        return sent

    def _tokens(self, text: str, entries: list[dict[str, object]]) -> list[Token]:
        """One token an entry if their texts are the text; else one for all of it."""
        texts = self._texts(entries)
        if entries and "".join(texts) == text:
            return [_token(part, entry) for part, entry in zip(texts, entries, strict=True)]
        self._bytes.reset()
        if len(entries) == 1:  # a server holds back what might become a stop string or a character
            return [_token(text, entries[0])]
        return [Token(-1, text)] if text else []

    def _texts(self, entries: list[dict[str, object]]) -> list[str]:
        """By their bytes: a character may be spread over several tokens."""
        texts: list[str] = []
        for entry in entries:
            raw = entry.get("bytes")
            try:
                if not isinstance(raw, list):  # of a number, `bytes` would make as many zeros
                    raise TypeError
                texts.append(self._bytes.decode(bytes(cast("list[int]", raw))))
            except (TypeError, ValueError):
                self._bytes.reset()
                return [_text(entry, "token") for entry in entries]
        return texts

    def _usage(self, usage: dict[str, object]) -> None:
        self.prompt_tokens = _count(usage.get("prompt_tokens")) or self.prompt_tokens
        if isinstance(usage.get("completion_tokens"), int):
            self.tokens = _count(usage["completion_tokens"])
        details = _object(usage.get("prompt_tokens_details"))
        self.reused_tokens = _count(details.get("cached_tokens")) or self.reused_tokens


def _token(text: str, entry: dict[str, object]) -> Token:
    others = entry.get("top_logprobs")
    rows = cast("list[object]", others)[:_MOST_ALTERNATIVES] if isinstance(others, list) else []
    found = [
        Alternative(_id(row), _text(row, "token"), share)
        for row in map(_object, rows)
        if (share := _probability(row)) is not None
    ]
    found.sort(key=lambda other: -other.probability)
    return Token(
        _id(entry), text, _text(entry, "token"), _probability(entry), alternatives=tuple(found)
    )


def _entries(logprobs: object) -> list[dict[str, object]]:
    content = _object(logprobs).get("content")
    return [*map(_object, cast("list[object]", content))] if isinstance(content, list) else []


def _probability(entry: dict[str, object]) -> float | None:
    value = entry.get("logprob")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return None if math.isnan(value) else math.exp(min(value, 0))
    except OverflowError:  # an integer of JSON may have any number of digits
        return None


def _id(entry: dict[str, object]) -> int:
    value = entry.get("id")  # llama-server
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31:
        return value
    return -1


def _object(value: object) -> dict[str, object]:
    """An object, or an empty one for nothing."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise bad_answer("there is something else where an object should be")
    return cast("dict[str, object]", value)


def _text(holder: dict[str, object], name: str) -> str:
    value = holder.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise bad_answer(f"“{name}” is no text")
    return whole_text(value)


def _count(value: object) -> int:
    """A number of things; 0 for what is none."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**62:
        return value
    return 0
