"""Tokens may come while a tab of Tokenize gets its widgets."""

from __future__ import annotations

import pytest
from textual.app import ComposeResult

from hfterm.screens.tokenize.audit import AuditPage
from hfterm.screens.tokenize.screen import TokenizeScreen
from pilot_app import go_to, ready
from screen_fixtures import MakeApp, make_app

_ = make_app  # a fixture


async def test_tokens_may_come_before_the_widgets_of_a_page(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, came = AuditPage.body, []

    def while_tokens_come(page: AuditPage) -> ComposeResult:
        screen = page.screen
        assert isinstance(screen, TokenizeScreen)
        came.append(screen.page)
        screen.tokens_panel.show(screen.subject)
        yield from body(page)

    monkeypatch.setattr(AuditPage, "body", while_tokens_come)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await go_to(pilot, "Audit")
        assert len(came) == 1
        assert not isinstance(came[0], AuditPage)
        assert isinstance(app.workbench.page, AuditPage)
