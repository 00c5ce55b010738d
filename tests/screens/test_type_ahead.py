"""Letters that are typed before the field is there go into the field."""

from __future__ import annotations

from hfterm.widgets.composer import Composer
from pilot_app import settled, shown
from screen_fixtures import MakeApp


async def test_what_is_typed_while_chat_is_made_is_the_message(make_app: MakeApp) -> None:
    app = make_app(mode="chat")
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press(*"long names", "enter", *"no")
        await settled(pilot, lambda: app.screen.query_one(Composer).message == "no")
        assert "long names" in shown(app)
        assert len(app.screen_stack) == 1


async def test_what_is_typed_after_a_screen_was_chosen_is_its_own(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("alt+6", *"long")
        await settled(pilot, lambda: app.screen.query_one(Composer).message == "long")
        assert len(app.screen_stack) == 1
