"""A conversation that is deleted while it is had: by another hfterm, or on History."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from chat_server import ChatServer, refusal
from hfterm import paths
from hfterm.chat.conversations import ConversationStore
from hfterm.chat.measured import Measured
from hfterm.chat.types import LlmInfo, LlmSpec
from hfterm.engine.client import EngineClient
from hfterm.errors import HftermError
from hfterm.screens.chat.session import Session

TEXT = "what is kept?"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "conversations.sqlite"


@pytest.fixture
async def session(file: Path) -> AsyncIterator[Session]:
    engine = EngineClient("test", warm=False)
    with ChatServer() as server, closing(ConversationStore.open(file)) as store:
        spec = LlmSpec(ref="tiny", engine="server", url=server.url)
        made = Session(store, engine, spec, Measured(paths.state_dir() / "speeds.json"))
        made.server = server  # pyright: ignore[reportAttributeAccessIssue]
        yield made
        await engine.close()


def deleted(file: Path, session: Session) -> None:
    """As another hfterm does."""
    assert session.conversation is not None
    with closing(ConversationStore.open(file)) as other:
        other.delete(session.conversation)


async def nothing(_: object) -> None:
    """Told of what began."""


async def test_what_is_said_then_begins_another(session: Session, file: Path) -> None:
    session.say("the first")
    deleted(file, session)
    assert session.path() == []
    assert session.conversation is None
    session.say("the second")
    deleted(file, session)
    session.say(TEXT)
    assert [said.content for said in session.path()] == [TEXT]
    # also in the place of a message that is there no more
    (old,) = session.path()
    deleted(file, session)
    assert session.path() == []
    session.edit(old, "another")
    assert [said.content for said in session.path()] == ["another"]


async def test_it_is_deleted_before_the_model_is_asked(session: Session, file: Path) -> None:
    number = session.say(TEXT)
    deleted(file, session)
    assert session.path() == []  # which begins another
    with pytest.raises(HftermError, match="no longer there"):
        await session.answer(number, (), nothing, lambda _: None, lambda _: None)
    assert session.answering is None


async def test_it_is_deleted_before_another_way_of_it_is_looked_at(
    session: Session, file: Path
) -> None:
    session.say(TEXT)
    (said,) = session.path()
    deleted(file, session)
    assert session.path() == []
    with pytest.raises(HftermError, match="no longer there"):
        session.turn_to(said, 1)


@pytest.mark.parametrize("on_history", [True, False])
async def test_it_is_deleted_while_the_model_is_loaded(
    session: Session, file: Path, monkeypatch: pytest.MonkeyPatch, on_history: bool
) -> None:
    parent = session.say(TEXT)
    load = session.load

    async def load_and_lose(show: object) -> LlmInfo:
        info = await load(show)  # pyright: ignore[reportArgumentType]
        deleted(file, session)
        if on_history:
            session.new()
        return info

    monkeypatch.setattr(session, "load", load_and_lose)
    with pytest.raises(HftermError, match="no longer there"):
        await session.answer(parent, (), nothing, lambda _: None, lambda _: None)
    assert session.path() == []


@pytest.mark.parametrize("on_history", [True, False])
@pytest.mark.parametrize("fails", [True, False])
async def test_it_is_deleted_while_the_answer_comes(
    session: Session, file: Path, on_history: bool, fails: bool
) -> None:
    parent = session.say(TEXT)
    if fails:  # before anything came
        session.server.script = [refusal(400, {"error": {"message": "no"}})]  # pyright: ignore[reportAttributeAccessIssue]

    async def lose(_: int) -> None:
        deleted(file, session)
        if on_history:
            session.new()

    work = session.answer(parent, (), lose, lambda _: None, lambda _: None)
    if fails:
        with pytest.raises(HftermError) as caught:
            await work
        assert caught.value.kind != "gone", "why it failed is said, not what followed"
    else:
        assert (await work).tokens == 2
    assert session.path() == []
    assert session.store.list() == []
