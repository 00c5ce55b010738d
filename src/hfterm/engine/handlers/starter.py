"""Starter kit requests."""

from __future__ import annotations

from hfterm.engine import requests as ask
from hfterm.engine.handlers.registry import Registry
from hfterm.hub.starter import STARTER, StarterStatus
from hfterm.hub.starter_fetch import install
from hfterm.job import Job

HANDLERS = Registry()


@HANDLERS.answers(ask.InstallStarter)
def install_starter(request: ask.InstallStarter, job: Job) -> list[StarterStatus]:
    """Download, verify and unpack starter kit items."""
    return install(request.names or [item.name for item in STARTER], job)
