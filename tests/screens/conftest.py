"""Makes the fixture `make_app` available to the tests of the screens."""

from __future__ import annotations

from screen_fixtures import make_app

__all__ = ["make_app"]
