"""Models that several lanes of an engine build at once are what each alone would be."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from transformers import PreTrainedModel

from hfterm.building_lock import building
from hfterm.errors import Cancelled
from hfterm.inference.loading import load_model
from hfterm.job import Job
from hfterm.models.overview import overview
from hfterm.models.types import ModelSpec

ROUNDS = 4


def has_tied_head() -> bool:
    """What a chat model that is loaded now has."""
    model = load_model(ModelSpec(ref="smollm2", auto="AutoModelForCausalLM")).model
    return model.get_output_embeddings().weight is model.get_input_embeddings().weight


def look() -> bool:
    """What the model explorer does."""
    return all(overview(ref).classes for ref in ("minilm", "smollm2"))


@pytest.mark.usefixtures("starter_kit")
def test_models_built_at_once_are_tied_and_leave_the_library_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ties = PreTrainedModel.tie_weights
    monkeypatch.setattr(PreTrainedModel, "tie_weights", ties)  # put back if it fails
    with ThreadPoolExecutor(3) as lanes:
        work = [lanes.submit(each) for _ in range(ROUNDS) for each in (has_tied_head, look, look)]
    assert all(done.result() for done in work)
    assert PreTrainedModel.tie_weights is ties


def test_who_waits_for_another_model_can_be_cancelled() -> None:
    unwanted = threading.Event()

    def wait() -> None:
        with building(Job(cancelled=unwanted.is_set)):
            pass

    with building(), ThreadPoolExecutor(1) as lane:
        waiter = lane.submit(wait)
        unwanted.set()
        with pytest.raises(Cancelled):
            waiter.result()
