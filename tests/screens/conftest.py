"""Makes `make_app` available to the tests of the screens, which paint when looked at."""

from __future__ import annotations

from painting import painted_when_looked_at
from screen_fixtures import make_app

__all__ = ["make_app", "painted_when_looked_at"]
