"""Requests to a loaded model. An engine holds one at a time."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TYPE_CHECKING

from hfterm.engine import model_requests as ask
from hfterm.engine.handlers.registry import Registry
from hfterm.inference.types import BatchTable, Prediction
from hfterm.job import Job
from hfterm.models.types import LoadedInfo, ModelSpec

if TYPE_CHECKING:
    from hfterm.inference.loading import OpenModel

HANDLERS = Registry()


class ModelHolder:
    """The model that is loaded."""

    def __init__(self) -> None:
        self._opened: OpenModel | None = None
        self.leaving: list[Callable[[], None]] = []
        """Called before another model is loaded, by whoever keeps something of the first."""

    def get(self, spec: ModelSpec, job: Job) -> OpenModel:
        """The model that `spec` says, loaded unless it is."""
        from hfterm.inference.loading import load_model

        if self._opened is None or self._opened.info.spec != spec:
            self._opened = None
            for forget in self.leaving:
                forget()
            gc.collect()  # what was loaded makes room first
            self._opened = load_model(spec, job)
        return self._opened


HOLDER = ModelHolder()
"""An engine holds one model, whatever is asked of it."""


@HANDLERS.answers(ask.LoadModel)
def load_model(request: ask.LoadModel, job: Job) -> LoadedInfo:
    """Load it."""
    return HOLDER.get(request.spec, job).info


@HANDLERS.answers(ask.PredictText)
def predict_text(request: ask.PredictText, job: Job) -> Prediction:
    """Predict one text."""
    from hfterm.inference.predicting import predict

    opened = HOLDER.get(request.spec, job)
    return predict(opened, request.text, request.options, job, partial=True)


@HANDLERS.answers(ask.PredictRows)
def predict_rows(request: ask.PredictRows, job: Job) -> BatchTable:
    """Predict a file."""
    from hfterm.inference.batch import check_rows
    from hfterm.inference.batch import predict_rows as run

    check_rows(request.source, request.options, request.batch, job)
    opened = HOLDER.get(request.spec, job)
    return run(opened, request.source, request.options, request.batch, job, partial=True)
