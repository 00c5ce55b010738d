"""Conversations go to files and come back from them as they were."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfterm.chat.conversation_files import (
    Exported,
    export_conversation,
    from_markdown,
    import_conversations,
    to_markdown,
)
from hfterm.chat.conversations import ConversationStore
from hfterm.chat.types import LlmSpec, Message, Sampling
from hfterm.errors import HftermError

MARK = "<!-- hfterm:user -->"
LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "", " ", "## User", "## Assistant", "# title", MARK, "<!-- hfterm:assistant -->",
                "<!-- hfterm:system -->", f"\\{MARK}", f"\\\\\\{MARK}", f" {MARK}", f"{MARK} ",
                "\\", "\\\\n", "```", "---", "\\<!-- hfterm:", "<!-- hfterm:other -->", "\ufeff",
            ]
        ),
        st.text(max_size=20),
    ),
    max_size=6,
)  # fmt: skip
CONTENT = LINES.map("\n".join)
"""Any text, and often what looks as if hfterm had written it."""

SAID = st.lists(
    st.builds(Message, st.sampled_from(["user", "assistant"]), CONTENT), min_size=1, max_size=5
)
TURNS = [Message("user", "Where?"), Message("assistant", "In the\n\nharbour.\n")]


@pytest.fixture
def store() -> Iterator[ConversationStore]:
    with closing(ConversationStore.open(None)) as opened:
        yield opened


def fill(
    store: ConversationStore, messages: Sequence[Message], title: str = "A talk", system: str = ""
) -> int:
    number = store.create(title, LlmSpec(ref="smollm2"), Sampling(), system)
    parent = None
    for message in messages:
        parent = store.add(number, parent, message.role, message.content)
    return number


def kept(store: ConversationStore, number: int) -> list[Message]:
    return [Message(message.role, message.content) for message in store.path(number)]


def with_line_feeds(text: str) -> str:
    """What a Markdown file keeps: an editor may have written CRLF, so both line ends are one.

    A carriage return at the end of a message stands before the line feed that ends its last line.
    """
    return f"{text}\n".replace("\r\n", "\n").removesuffix("\n")


# -- Markdown and JSON -------------------------------------------------------------------------


@given(
    st.text(max_size=40),
    st.lists(
        st.builds(Message, st.sampled_from(["system", "user", "assistant"]), CONTENT), min_size=1
    ),
)
def test_markdown_comes_back_whatever_was_said(title: str, messages: list[Message]) -> None:
    named, back = from_markdown(to_markdown(title, messages))
    assert back == messages
    assert named == " ".join(title.split())


@given(st.text(max_size=40), CONTENT, SAID)
@settings(deadline=None, max_examples=60)
def test_files_come_back_whatever_was_said(
    title: str, system: str, messages: list[Message]
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(ConversationStore.open(None)) as store,
    ):
        number = fill(store, messages, title, system)
        for name in ("chat.json", "chat.md"):
            file = str(Path(folder) / name)
            export_conversation(store, number, file)
            (back,) = import_conversations(store, file)
            taken = kept(store, back), store.get(back).system
            if name == "chat.json":
                assert taken == (messages, system)
                assert store.get(back).title == title or not title
            else:
                assert taken == (
                    [Message(said.role, with_line_feeds(said.content)) for said in messages],
                    with_line_feeds(system),
                )
                assert store.get(back).title == " ".join(title.split()) or not title.split()


def test_markdown_is_what_people_expect() -> None:
    assert to_markdown("A \n talk", TURNS) == (
        "# A talk\n\n## User\n<!-- hfterm:user -->\nWhere?\n\n"
        "## Assistant\n<!-- hfterm:assistant -->\nIn the\n\nharbour.\n\n"
    )


def test_markdown_with_other_line_ends_or_a_byte_order_mark_is_read(
    store: ConversationStore, tmp_path: Path
) -> None:
    text = to_markdown("A talk", TURNS)
    for name, data in (
        ("crlf.md", text.replace("\n", "\r\n").encode()),
        ("bom.md", b"\xef\xbb\xbf" + text.encode()),
    ):
        (tmp_path / name).write_bytes(data)
        (back,) = import_conversations(store, str(tmp_path / name))
        assert kept(store, back) == TURNS
        assert store.get(back).title == "A talk"


def test_markdown_whose_last_line_feed_an_editor_took_is_read_whole() -> None:
    text = to_markdown("A talk", [Message("user", "one"), Message("assistant", "two\nthree")])
    _, back = from_markdown(text.removesuffix("\n"))
    assert back[-1].content == "two\nthree"


def test_json_is_what_chat_templates_take(store: ConversationStore, tmp_path: Path) -> None:
    number = fill(store, TURNS, "Grüße", "Be brief.")
    export_conversation(store, number, str(tmp_path / "chat.json"))
    text = (tmp_path / "chat.json").read_text("utf-8")
    assert text.endswith("}\n")
    assert "Grüße" in text
    assert json.loads(text) == {
        "title": "Grüße",
        "model": "smollm2",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Where?"},
            {"role": "assistant", "content": "In the\n\nharbour.\n"},
        ],
    }


def test_only_the_branch_in_sight_is_exported(store: ConversationStore, tmp_path: Path) -> None:
    number = fill(store, TURNS)
    first = store.path(number)[0].id
    store.add(number, first, "assistant", "Elsewhere.")
    export_conversation(store, number, str(tmp_path / "chat.md"))
    (back,) = import_conversations(store, str(tmp_path / "chat.md"))
    assert kept(store, back) == [TURNS[0], Message("assistant", "Elsewhere.")]


# -- writing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["md", "json"])
def test_an_export_is_its_owners_and_never_overwrites(
    store: ConversationStore, tmp_path: Path, ending: str
) -> None:
    number = fill(store, TURNS)
    file = tmp_path / f"chat.{ending}"
    before = os.umask(0)
    try:
        export_conversation(store, number, str(file))
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == 0o600
    data = file.read_bytes()
    with pytest.raises(HftermError, match="there already") as caught:
        export_conversation(store, fill(store, TURNS[:1]), str(file))
    assert caught.value.kind == "exists"
    assert file.read_bytes() == data
    link = tmp_path / f"link.{ending}"
    link.symlink_to(tmp_path / f"nowhere.{ending}")
    with pytest.raises(HftermError, match="there already"):
        export_conversation(store, number, str(link))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([file.name, link.name])


@pytest.mark.parametrize("name", ["chat", "chat.txt", "chat.md.bak", ".md", ".json"])
def test_other_endings_are_refused(store: ConversationStore, tmp_path: Path, name: str) -> None:
    with pytest.raises(HftermError, match="ends neither") as caught:
        export_conversation(store, fill(store, TURNS), str(tmp_path / name))
    assert caught.value.kind == "bad-ending"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["gone/chat.md", "file/chat.md", "nul\0.md", "long" * 70 + ".md"])
def test_a_place_that_can_t_be_written_says_so(
    store: ConversationStore, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(HftermError) as caught:
        export_conversation(store, fill(store, TURNS), str(tmp_path / name))
    assert caught.value.kind == "not-written"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_name_as_long_as_a_file_system_takes_is_written(
    store: ConversationStore, tmp_path: Path
) -> None:
    name = "n" * (os.pathconf(tmp_path, "PC_NAME_MAX") - 3) + ".md"
    export_conversation(store, fill(store, TURNS), str(tmp_path / name))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_conversation_that_is_gone_makes_no_file(
    store: ConversationStore, tmp_path: Path
) -> None:
    with pytest.raises(HftermError, match="no longer there"):
        export_conversation(store, 9, str(tmp_path / "chat.md"))
    assert list(tmp_path.iterdir()) == []


# -- reading -----------------------------------------------------------------------------------


def test_jsonl_holds_a_conversation_a_line(store: ConversationStore, tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    lines = [
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "a"},
            ]
        },
        {"title": "two", "extra": 1, "messages": [{"role": "user", "content": "b\u2028c"}]},
    ]
    file.write_text(
        "\r\n".join([*(json.dumps(line, ensure_ascii=False) for line in lines), "", " "]),
        "utf-8", newline="",
    )  # fmt: skip
    one, two = import_conversations(store, str(file))
    assert (store.get(one).title, store.get(one).system) == ("a", "Be brief.")
    assert kept(store, one) == [Message("user", "a")]
    assert store.get(two).title == "two"
    assert kept(store, two) == [Message("user", "b\u2028c")]


def test_a_list_of_messages_is_a_conversation(store: ConversationStore, tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    file.write_bytes(b'\xef\xbb\xbf \n[{"role": "user", "content": "Where?"}]')
    (number,) = import_conversations(store, str(file))
    assert kept(store, number) == TURNS[:1]
    assert store.get(number).title == "Where?"


GOOD = '{"messages": [{"role": "user", "content": "x"}]}'


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("{", "truncated"),
        ("nothing", "malformed"),
        ('{"title": "x"}', "messages"),
        ('{"messages": [{"role": "wizard", "content": "x"}]}', "wizard"),
        ('{"messages": [{"role": "user"}]}', "content"),
        ('{"messages": [{"role": "user", "content": 7}]}', "content"),
        ('{"messages": {}}', "array"),
        ("7", "object"),
        (GOOD + GOOD, "malformed"),
        ('{"messages": [{"role": "user", "content": "\\ud83d"}]}', ""),
        ('{"x": ' + "[" * 100_000, ""),
        ("[" * 100_000, ""),
    ],
    ids=lambda text: text[:30],
)
def test_a_bad_line_is_named_and_nothing_is_taken(
    store: ConversationStore, tmp_path: Path, bad: str, says: str
) -> None:
    file = tmp_path / "chats.jsonl"
    file.write_text(f"{GOOD}\n\n{bad}\n{GOOD}\n")
    with pytest.raises(HftermError) as caught:
        import_conversations(store, str(file))
    assert caught.value.kind == "bad-conversation"
    assert caught.value.message.startswith("line 3 of chats.jsonl is no conversation")
    assert says in caught.value.message
    assert store.list() == []
    file = tmp_path / "chat.json"
    file.write_text(bad)
    with pytest.raises(HftermError, match=r"chat\.json is no conversation"):
        import_conversations(store, str(file))


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("chat.md", b"# Notes\n\nNothing of ours.\n", "no-messages"),
        ("chat.md", b"", "no-messages"),
        ("chat.md", b"\xff\xfe\0", "not-text"),
        ("chat.json", b'{"messages": "\xe9"}', "not-text"),
        ("chat.json", b"", "bad-conversation"),
    ],
)
def test_bad_files_say_what_is_wrong(
    store: ConversationStore, tmp_path: Path, name: str, data: bytes, kind: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(HftermError) as caught:
        import_conversations(store, str(tmp_path / name))
    assert caught.value.kind == kind
    assert name in str(caught.value) or kind == "no-messages"
    assert store.list() == []


@pytest.mark.parametrize("name", ["", "gone.json", "nul\0.json"])
def test_what_can_t_be_read_says_so(store: ConversationStore, tmp_path: Path, name: str) -> None:
    with pytest.raises(HftermError, match="can't be read") as caught:
        import_conversations(store, str(tmp_path / name))
    assert caught.value.kind == "not-read"


@given(
    st.sampled_from(["md", "json", "jsonl"]),
    st.one_of(
        st.binary(max_size=80),
        CONTENT.map(str.encode),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["messages", "role", "content", "title"]), inner, max_size=3
                )
            ),
            max_leaves=6,
        ).map(lambda value: json.dumps(value).encode()),
    ),
)
def test_no_file_raises_what_nobody_understands(ending: str, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, closing(ConversationStore.open(None)) as store:
        file = Path(folder) / f"chat.{ending}"
        file.write_bytes(data)
        with suppress(HftermError):
            numbers = import_conversations(store, str(file))
            assert len(store.list()) == len(numbers)


def test_what_has_no_title_is_called_by_its_first_message(store: ConversationStore) -> None:
    assert Exported(messages=[]).title == ""
    text = to_markdown("", TURNS)
    assert from_markdown(text) == ("", TURNS)
