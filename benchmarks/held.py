"""Figures that were asked for and are no matter of speed: which test holds each of them.

A test of the tests looks for every name, so that none is left here that is gone.
"""

from __future__ import annotations

from typing import NamedTuple


class Held(NamedTuple):
    """What was asked, what the test asks, and where it is."""

    asked: str
    holds: str
    test: str


HELD = (
    Held("the tokens of AutoTokenizer, of ten more tokenizers", "every text of the zoo of them",
         "tests/unit/test_encoding.py::test_every_text_equals_auto_tokenizer"),
    Held("an 8B and a 70B Llama from their config: no memory", "< 300 MB, Python's libraries in it",
         "tests/unit/test_model_details.py::test_a_model_of_70_billion_costs_no_memory"),
    Held("the dry run reports what loading reports, 20 pairs", "35 pairs",
         "tests/unit/test_models.py::test_the_dry_run_reports_what_loading_reports"),
    Held("a cancel within a batch", "the batch that is under way is the last",
         "tests/unit/test_batch_predict.py::test_a_cancel_stops_within_a_batch"),
    Held("attention equal to the model's own: 1e-6 in full, 1/255 in 8 bits",
         "the same, of six architectures; beside it MiniLM, SmolLM2 and five more",
         "tests/unit/test_attention.py::test_other_architectures"),
    Held("four known heads and an induction head", "previous, first, self, separator, induction",
         "tests/unit/test_attention.py::test_known_heads_are_found"),
    Held("kill -9 of a run: no logged row lost, the loss as uninterrupted to 1e-4",
         "3 kills a method; 20 at random moments with HFTERM_KILLS=20",
         "tests/faults/test_run_faults.py::test_kills_lose_no_row_and_change_no_result"),
    Held("stop: a checkpoint at the next step, and on as never stopped",
         "the same curve to 1e-4, three kinds of run",
         "tests/faults/test_run_stops.py::test_stopped_and_resumed_is_as_never_stopped"),
    Held("gradients of nf4 after an evaluation", "equal to those before",
         "tests/unit/test_train_quantized.py::test_an_evaluation_leaves_the_gradients_of_nf4_alone"),
    Held("two processes, and the global batch they make", "the steps and batch of both",
         "tests/faults/test_run_several.py::test_it_trains_stops_and_goes_on"),
    Held("twelve bad recipes", "each said with cause and remedy",
         "tests/unit/test_bad_recipes.py::test_rows_are_refused"),
    Held("greedy answers equal to generate's, 50 prompts a way", "51 in float32, every sixth else",
         "tests/unit/test_chat_generation.py::test_greedy_is_generate_itself"),
    Held("stop within a token", "the token it was stopped at is the last",
         "tests/unit/test_chat_generation.py::test_it_stops_at_a_token_and_goes_on_from_it"),
    Held("a crash loses at most the token in flight", "3 kills of each kind",
         "tests/faults/test_conversation_crash.py::test_every_token_that_was_kept_outlives_the_process"),
    Held("a paste of a megabyte", "kept whole, one line in sight",
         "tests/screens/test_chat_screen.py::test_a_paste_of_a_megabyte_is_kept_whole"),
    Held("an idle screen writes nothing", "< 1 kB in 3 s: the load of the machine may change",
         "tests/e2e/test_e2e_workbench.py::test_an_idle_screen_is_silent"),
)  # fmt: skip


def section() -> list[str]:
    """The lines of the page."""
    return [
        "", "## Held by tests", "",
        "What was asked for beside speed; `make test` fails where it does not hold.", "",
        "| asked | what the test asks | test |", "|---|---|---|",
        *(f"| {one.asked} | {one.holds} | `{one.test}` |" for one in HELD),
    ]  # fmt: skip
