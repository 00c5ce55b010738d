"""How a handler is tied to its request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

from hfterm.engine.protocol import Lane, Request
from hfterm.job import Job

Q = TypeVar("Q", bound=Request[object])


@dataclass(frozen=True)
class Handler:
    """A request type, the lane it runs in, and the function that answers it."""

    request: type[Request[object]]
    lane: Lane
    run: Callable[[Request[object], Job], object]


class Registry(dict[str, Handler]):
    """Handlers by the name of their request."""

    def answers(
        self, request: type[Q]
    ) -> Callable[[Callable[[Q, Job], object]], Callable[[Q, Job], object]]:
        """Register a function as the answer to `request`."""

        def register(function: Callable[[Q, Job], object]) -> Callable[[Q, Job], object]:
            self[request.__name__] = Handler(
                request, request.LANE, cast("Callable[[Request[object], Job], object]", function)
            )
            return function

        return register
