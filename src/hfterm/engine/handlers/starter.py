"""Starter kit requests."""

from __future__ import annotations

from hfterm.engine import requests as ask
from hfterm.engine.handlers.models import describe_model
from hfterm.engine.handlers.registry import Registry
from hfterm.engine.model_requests import DescribeModel
from hfterm.hub.starter import STARTER, StarterStatus
from hfterm.hub.starter_fetch import install
from hfterm.job import Job
from hfterm.models.types import ModelSpec

HANDLERS = Registry()


@HANDLERS.answers(ask.InstallStarter)
def install_starter(request: ask.InstallStarter, job: Job) -> list[StarterStatus]:
    """Download, verify and unpack starter kit items, and look at the models' classes.

    An overview is remembered, so that the first question about a model is answered at once.
    """
    names = request.names or [item.name for item in STARTER]
    status = install(names, job)
    for item in status:
        if item.name in names and item.kind == "model":
            describe_model(DescribeModel(spec=ModelSpec(ref=item.name)), job)
    return status
