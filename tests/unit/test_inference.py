"""What heads say equals what plain torch and transformers say; what is awkward is said clearly."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from inference_fixtures import HOSTILE_LABELS, LONG, Shelf, models, shelf

from corpus import TEXTS
from hfterm.errors import Cancelled, HftermError
from hfterm.inference.generating import step_of
from hfterm.inference.loading import load_model, memory_errors
from hfterm.inference.options import ANSWER_EDGES, LONGEST_ANSWER, OVERLAP, TASKS, TaskOptions
from hfterm.inference.predicting import predict
from hfterm.inference.tagging import entities_of
from hfterm.inference.types import (
    Answering,
    Choosing,
    Classification,
    Embedding,
    Generation,
    MaskFilling,
    Seq2Seq,
    TaggedToken,
    Tagging,
    ZeroShot,
)
from hfterm.job import Job, Progress
from hfterm.models.opening import find, load_config
from hfterm.models.types import ModelSpec
from hfterm.widgets.prediction_tables import detail, tables

_ = models, shelf  # fixtures

TEXT = "The quick brown fox jumps over the lazy dog. 🤗 Café!"
PAIR = "Is it quick?"
CLASSIFICATION = "text-classification"


def plain(path: Path, auto: str) -> tuple[Any, Any]:
    """(model, tokenizer) as a script opens them, with no hfterm."""
    import transformers

    model = getattr(transformers, auto).from_pretrained(path).eval()
    return model, transformers.AutoTokenizer.from_pretrained(path)


def near(value: float, tolerance: float = 1e-6) -> Any:
    return pytest.approx(value, abs=tolerance, rel=tolerance)


def fails(shelf: Shelf, name: str, text: str, task: Any, **options: object) -> HftermError:
    with pytest.raises(HftermError) as caught:
        shelf.predict(name, text, task, **options)
    assert caught.value.message
    assert caught.value.remedy
    return caught.value


# -- text classification ---------------------------------------------------------------------


@pytest.mark.parametrize("pair", [None, PAIR])
@pytest.mark.parametrize("name", ["bert-labels", "bert-200", "multi", "regression"])
def test_logits_and_probabilities_are_torchs(shelf: Shelf, name: str, pair: str | None) -> None:
    import torch

    found = shelf.predict(name, TEXT, CLASSIFICATION, pair=pair)
    assert isinstance(found, Classification)
    model, tokenizer = plain(shelf.folders[name], "AutoModelForSequenceClassification")
    inputs = tokenizer(TEXT, pair, return_tensors="pt")
    with torch.no_grad():
        logits = model(**inputs).logits[0]
    shares = {
        "multi": torch.sigmoid(logits), "regression": logits,
    }.get(name, torch.softmax(logits, dim=0))  # fmt: skip
    assert len(found.scores) == model.config.num_labels
    for score, logit, share in zip(found.scores, logits.tolist(), shares.tolist(), strict=True):
        assert score.logit == near(logit)
        assert score.probability == near(share)
        assert score.label == model.config.id2label[score.id]
    assert found.best == int(logits.argmax())
    assert found.tokens == inputs.input_ids.shape[1]
    assert (found.windows, found.cut, found.loss) == (1, 0, None)
    assert found.activation == {"multi": "sigmoid", "regression": "none"}.get(name, "softmax")


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("bert-labels", "cross_entropy"),
        ("multi", "binary_cross_entropy_with_logits"),
        ("regression", "mse_loss"),
    ],
)
@pytest.mark.parametrize("pair", [None, PAIR])
def test_the_loss_both_ways_and_its_gradients(
    shelf: Shelf, name: str, function: str, pair: str | None
) -> None:
    import torch
    from torch.nn import functional

    label = 0 if name == "regression" else 2
    told = {"label": label, "backward": True, "pair": pair}
    found = shelf.predict(name, TEXT, CLASSIFICATION, **told)
    assert isinstance(found, Classification)
    loss = found.loss
    assert loss is not None
    assert loss.function == function
    model, tokenizer = plain(shelf.folders[name], "AutoModelForSequenceClassification")
    inputs = tokenizer(TEXT, pair, return_tensors="pt")
    logits = model(**inputs).logits
    by_hand = {
        "cross_entropy": lambda: functional.cross_entropy(logits, torch.tensor([label])),
        "mse_loss": lambda: (logits[0, 0] - label) ** 2,
        "binary_cross_entropy_with_logits": lambda: (
            -(
                functional.logsigmoid(logits[0, label])
                + sum(functional.logsigmoid(-logits[0, i]) for i in range(4) if i != label)
            )
            / 4
        ),
    }[function]()
    by_hand.backward()
    assert loss.by_hand == near(by_hand.item())
    assert loss.by_labels == near(by_hand.item())

    squares: dict[str, float] = {}
    for parameter, weight in model.named_parameters():
        parts = parameter.split(".")
        module = ".".join(parts[: parts.index("layer") + 2]) if "layer" in parts else None
        if module is None:
            module = ".".join(parts[:-1][:2])
        grad = weight.grad if weight.grad is not None else torch.zeros(1)
        squares[module] = squares.get(module, 0.0) + float((grad**2).sum())
    assert [g.module for g in loss.gradients] == list(squares)
    for gradient in loss.gradients:
        assert gradient.norm == near(squares[gradient.module] ** 0.5, 1e-5)
    assert loss.norm == near(sum(squares.values()) ** 0.5, 1e-5)
    assert sum(g.parameters for g in loss.gradients) == sum(p.numel() for p in model.parameters())
    # nothing of it is left on the model
    assert all(p.grad is None for p in shelf.open(name, CLASSIFICATION).model.parameters())


def test_a_loss_without_backward_has_no_gradients(shelf: Shelf) -> None:
    found = shelf.predict("bert-labels", TEXT, CLASSIFICATION, label=1)
    assert isinstance(found, Classification)
    assert found.loss is not None
    assert found.loss.gradients == ()
    assert len(tables(found)) == 1


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_there_is_not(shelf: Shelf, label: int) -> None:
    error = fails(shelf, "bert-labels", TEXT, CLASSIFICATION, label=label)
    assert error.kind == "no-label"
    assert "3" in error.message


def test_windows_average_their_logits(shelf: Shelf) -> None:
    import torch

    found = shelf.predict("bert-labels", LONG, CLASSIFICATION, long="window")
    assert isinstance(found, Classification)
    model, tokenizer = plain(shelf.folders["bert-labels"], "AutoModelForSequenceClassification")
    limit = model.config.max_position_embeddings
    ids = tokenizer(LONG, add_special_tokens=False).input_ids
    width, rows, start = limit - 2, [], 0
    while True:
        piece = [tokenizer.cls_token_id, *ids[start : start + width], tokenizer.sep_token_id]
        with torch.no_grad():
            rows.append(model(input_ids=torch.tensor([piece])).logits[0])
        if start + width >= len(ids):
            break
        start += width - limit // OVERLAP
    expected = torch.stack(rows).mean(dim=0).tolist()
    assert found.windows == len(rows) > 3
    assert [score.logit for score in found.scores] == [near(value, 1e-5) for value in expected]


def test_200_labels_are_all_in_the_table(shelf: Shelf) -> None:
    found = shelf.predict("bert-200", TEXT, CLASSIFICATION)
    (table,) = tables(found)
    assert len(table) == 200
    shares = [float(table.row(index)[4].text) for index in range(200)]
    assert shares == sorted(shares, reverse=True)
    assert table.row(0)[0].text == "▸"


def test_hostile_labels_are_displayable(shelf: Shelf) -> None:
    found = shelf.predict("hostile", TEXT, CLASSIFICATION)
    (table,) = tables(found)
    cells = [cell.text for index in range(len(table)) for cell in table.row(index)]
    shown = "".join(cells)
    assert not {"\x1b", "\x07"} & set(shown)
    assert "[red]x[/red]" in cells
    # exported as they are
    assert {table.values(index)[2] for index in range(4)} == set(HOSTILE_LABELS)


# -- token classification --------------------------------------------------------------------

NER = ["bert-ner", "roberta-ner"]


@pytest.mark.parametrize("name", NER)
@pytest.mark.parametrize("key", ["english", "emoji zwj", "chinese", "combining", "bert specials"])
def test_every_token_is_tagged_once(shelf: Shelf, name: str, key: str) -> None:
    import torch

    text = TEXTS[key]
    found = shelf.predict(name, text, "token-classification")
    assert isinstance(found, Tagging)
    model, tokenizer = plain(shelf.folders[name], "AutoModelForTokenClassification")
    encoding = tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
    with torch.no_grad():
        logits = model(input_ids=encoding.input_ids).logits[0]
    shares = torch.softmax(logits, dim=-1)
    # the tokenizer's own: first and last
    assert len(found.tokens) == encoding.input_ids.shape[1] - 2
    for index, token in enumerate(found.tokens):
        place = index + 1
        assert token.index == index
        assert token.token == tokenizer.convert_ids_to_tokens(int(encoding.input_ids[0, place]))
        assert [token.start, token.end] == encoding["offset_mapping"][0, place].tolist()
        assert token.label == model.config.id2label[int(shares[place].argmax())]
        assert token.probability == near(float(shares[place].max()))


@pytest.mark.parametrize("name", NER)
@pytest.mark.parametrize("text", [LONG, "🤗👩‍👩‍👧‍👦日本 " * 60], ids=["words", "emoji"])
def test_windows_tag_each_token_once_and_in_order(shelf: Shelf, name: str, text: str) -> None:
    found = shelf.predict(name, text, "token-classification", long="window")
    assert isinstance(found, Tagging)
    tokenizer = shelf.open(name, "token-classification").text
    encoding = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    assert found.windows > 1
    assert [token.token for token in found.tokens] == tokenizer.convert_ids_to_tokens(
        encoding["input_ids"]
    )
    assert [(token.start, token.end) for token in found.tokens] == encoding["offset_mapping"]
    assert [token.index for token in found.tokens] == list(range(len(found.tokens)))


def test_a_shared_token_is_taken_where_more_is_around_it(shelf: Shelf) -> None:
    import torch

    found = shelf.predict("bert-ner", LONG, "token-classification", long="window")
    assert isinstance(found, Tagging)
    model, tokenizer = plain(shelf.folders["bert-ner"], "AutoModelForTokenClassification")
    ids = tokenizer(LONG, add_special_tokens=False).input_ids
    width = 126
    step = width - 128 // OVERLAP
    ends = [tokenizer.cls_token_id], [tokenizer.sep_token_id]
    best: dict[int, tuple[int, float]] = {}
    for start in range(0, max(1, len(ids) - width + step), step):
        piece = ids[start : start + width]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ends[0] + piece + ends[1]])).logits[0, 1:-1]
        shares = torch.softmax(logits, dim=-1).max(dim=-1).values.tolist()
        for place, share in enumerate(shares):
            room = min(place, len(piece) - 1 - place)
            if start + place not in best or best[start + place][0] < room:
                best[start + place] = (room, share)
    assert [t.probability for t in found.tokens] == [
        near(best[index][1], 1e-5) for index in range(len(ids))
    ]


@pytest.mark.parametrize("name", NER)
def test_entities_are_pieces_of_the_text(shelf: Shelf, name: str) -> None:
    found = shelf.predict(name, TEXT, "token-classification")
    assert isinstance(found, Tagging)
    assert found.entities
    for entity in found.entities:
        assert entity.text == TEXT[entity.start : entity.end]
        inside = [t for t in found.tokens if t.start is not None and t.end is not None
                  and t.start >= entity.start and t.end <= entity.end]  # fmt: skip
        assert {t.label.removeprefix("B-").removeprefix("I-") for t in inside} == {entity.label}
    assert len(tables(found)) == 2


def test_neighbours_of_one_label_are_one_entity() -> None:
    text = "Ada Lovelace met Charles in London Paris"
    labels = ["B-PER", "I-PER", "O", "B-PER", "O", "B-LOC", "B-LOC"]
    tokens: list[TaggedToken] = []
    at = 0
    for index, (word, label) in enumerate(zip(text.split(), labels, strict=True)):
        start = text.index(word, at)
        at = start + len(word)
        tokens.append(TaggedToken(index, word, start, at, label, 0.5 + index / 100))
    entities = entities_of(tokens, text)
    assert [(e.label, e.text) for e in entities] == [
        ("PER", "Ada Lovelace"), ("PER", "Charles"), ("LOC", "London"), ("LOC", "Paris"),
    ]  # fmt: skip
    assert entities[0].probability == near(0.505)


# -- question answering ----------------------------------------------------------------------

CONTEXT = "The fox was quick. The dog was lazy, and the café in Cádiz was closed on Monday."
QUESTION = "Who was quick?"


def brute_force(
    model: Any, tokenizer: Any, question: str, context: str, *, edges: int, step: int | None = None
) -> tuple[dict[tuple[int, int], float], float]:
    """(score by span, no-answer score), every window cut by hand from the ids."""
    import torch

    asked = tokenizer(question, add_special_tokens=False).input_ids
    whole = tokenizer(context, add_special_tokens=False, return_offsets_mapping=True)
    limit = model.config.max_position_embeddings
    width = limit - len(asked) - 3
    spans: dict[tuple[int, int], float] = {}
    nothing = math.inf
    at = 0
    while True:
        piece = whole.input_ids[at : at + width]
        before = [tokenizer.cls_token_id, *asked, tokenizer.sep_token_id]
        ids = [*before, *piece, tokenizer.sep_token_id]
        types = [0] * len(before) + [1] * (len(piece) + 1)
        with torch.no_grad():
            output = model(torch.tensor([ids]), token_type_ids=torch.tensor([types]))
        starts = output.start_logits[0].tolist()
        ends = output.end_logits[0].tolist()
        nothing = min(nothing, starts[0] + ends[0])
        places = range(len(before), len(before) + len(piece))
        first = set(sorted(places, key=lambda i: -starts[i])[:edges])
        last = set(sorted(places, key=lambda i: -ends[i])[:edges])
        for i in first:
            for j in last:
                if i <= j < i + LONGEST_ANSWER:
                    a, b = at + i - len(before), at + j - len(before)
                    span = (whole["offset_mapping"][a][0], whole["offset_mapping"][b][1])
                    spans[span] = max(spans.get(span, -math.inf), starts[i] + ends[j])
        if step is None or at + width >= len(whole.input_ids):
            return spans, nothing
        at += width - step


@pytest.mark.parametrize("top", [1, 5, 12])
@pytest.mark.parametrize(
    ("context", "edges", "step"),
    [
        ("The fox was quick.", 10_000, None),
        (CONTEXT, ANSWER_EDGES, None),
        (LONG, ANSWER_EDGES, 128 // OVERLAP),
    ],
    ids=["short", "edges", "windows"],
)
def test_the_best_spans(shelf: Shelf, context: str, edges: int, step: int | None, top: int) -> None:
    found = shelf.predict("bert-qa", context, "question-answering", question=QUESTION, top=top)
    assert isinstance(found, Answering)
    model, tokenizer = plain(shelf.folders["bert-qa"], "AutoModelForQuestionAnswering")
    spans, nothing = brute_force(model, tokenizer, QUESTION, context, edges=edges, step=step)
    ranked = sorted(spans.items(), key=lambda item: -item[1])[:top]
    given = [a for a in found.answers if a.start is not None]
    assert [(a.start, a.end) for a in given] == [span for span, _ in ranked]
    assert [a.score for a in given] == [near(score, 1e-5) for _, score in ranked]
    assert found.no_answer == near(nothing, 1e-5)
    assert all(a.text == context[a.start : a.end] for a in given)

    # n-best and "no answer" together: shares of one softmax, best first
    assert len(found.answers) == len(ranked) + 1
    scores = [a.score for a in found.answers]
    assert scores == sorted(scores, reverse=True)
    total = sum(math.exp(score) for score in scores)
    assert [a.probability for a in found.answers] == [
        near(math.exp(score) / total, 1e-5) for score in scores
    ]
    assert found.windows == (1 if step is None else found.windows)
    assert step is None or found.windows > 2


def test_no_answer_may_be_the_best(shelf: Shelf) -> None:
    import torch

    opened = load_model(shelf.spec("bert-qa", "question-answering"))

    def hook(_: object, args: tuple[Any, ...], output: Any) -> Any:
        raised = torch.zeros_like(output)
        raised[:, 0] = 50.0  # the first token, [CLS]
        return output + raised

    model: Any = opened.model
    model.qa_outputs.register_forward_hook(hook)
    found = predict(opened, CONTEXT, TaskOptions(task="question-answering", question=QUESTION))
    assert isinstance(found, Answering)
    assert (found.answers[0].start, found.answers[0].text) == (None, "")
    assert found.answers[0].probability == near(1.0)
    assert tables(found)[0].row(0)[1].text == "no answer"


@pytest.mark.parametrize(
    ("text", "question", "kind"),
    [("  \n", QUESTION, "no-context"), (CONTEXT, " ", "no-question")],
)
def test_nothing_to_answer(shelf: Shelf, text: str, question: str, kind: str) -> None:
    assert fails(shelf, "bert-qa", text, "question-answering", question=question).kind == kind


@pytest.mark.parametrize("long", ["ask", "truncate", "window"])
def test_a_question_that_leaves_no_room(shelf: Shelf, long: str) -> None:
    asked = "who is the quick fox " * 40
    error = fails(shelf, "bert-qa", LONG, "question-answering", question=asked, long=long)
    assert error.kind == "too-long"
    assert "question" in error.message
    assert "128" in error.message


# -- fill-mask -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bert-mlm", "The [MASK] fox jumps."),
        ("bert-mlm", "The <mask> fox jumps."),
        ("roberta", "The <mask> fox jumps."),
        ("roberta", "The [MASK] fox jumps."),
        ("distilbert", "[MASK]"),
    ],
)
def test_masks_are_filled_as_the_pipeline_fills_them(shelf: Shelf, name: str, text: str) -> None:
    from transformers import pipeline

    found = shelf.predict(name, text, "fill-mask", top=7)
    assert isinstance(found, MaskFilling)
    model, tokenizer = plain(shelf.folders[name], "AutoModelForMaskedLM")
    pipe = pipeline("fill-mask", model=model, tokenizer=tokenizer)
    mask = tokenizer.mask_token
    expected = pipe(text.replace("[MASK]", mask).replace("<mask>", mask), top_k=7)
    assert [c.id for c in found.candidates] == [row["token"] for row in expected]
    assert [c.probability for c in found.candidates] == [near(row["score"]) for row in expected]
    assert [c.text for c in found.candidates] == [row["sequence"] for row in expected]


def test_two_masks_are_filled_each_by_itself(shelf: Shelf) -> None:
    found = shelf.predict("bert-mlm", "[MASK] fox [MASK]", "fill-mask", top=3)
    assert isinstance(found, MaskFilling)
    assert found.masks == 2
    assert [c.mask for c in found.candidates] == [0, 0, 0, 1, 1, 1]
    assert len({c.position for c in found.candidates}) == 2


@pytest.mark.parametrize(
    ("text", "options", "kind"),
    [
        ("no mask here", {}, "no-mask"),
        (f"{LONG} [MASK]", {"long": "truncate"}, "mask-cut"),
        (f"{LONG} [MASK]", {}, "too-long"),
    ],
)
def test_no_mask_to_fill(shelf: Shelf, text: str, options: dict[str, Any], kind: str) -> None:
    assert fails(shelf, "bert-mlm", text, "fill-mask", **options).kind == kind


def test_a_tokenizer_without_a_mask(shelf: Shelf) -> None:
    opened = shelf.open("gpt2", "text-generation")
    with pytest.raises(HftermError) as caught:
        predict(opened, "The [MASK]", TaskOptions(task="fill-mask"))
    assert caught.value.kind == "no-mask-token"


# -- text generation -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_greedy_is_generates(shelf: Shelf, name: str) -> None:
    import torch

    found = shelf.predict(name, TEXT, "text-generation", new_tokens=12)
    assert isinstance(found, Generation)
    model, tokenizer = plain(shelf.folders[name], "AutoModelForCausalLM")
    ids = tokenizer(TEXT, return_tensors="pt").input_ids
    whole = model.generate(ids, max_new_tokens=12, do_sample=False)[0]
    new = whole[ids.shape[1] :]
    assert [step.id for step in found.steps] == new.tolist()
    assert found.text == tokenizer.decode(new, skip_special_tokens=True)
    assert found.prompt_tokens == ids.shape[1]
    # each step's numbers from one pass over the whole
    with torch.no_grad():
        logits = model(whole[None, :-1]).logits[0, ids.shape[1] - 1 :]
    shares = torch.softmax(logits, dim=-1)
    for index, step in enumerate(found.steps):
        assert step.logit == near(float(logits[index, step.id]), 1e-4)
        assert step.probability == near(float(shares[index, step.id]), 1e-4)
        assert step.alternatives[0][1] == near(float(shares[index].max()), 1e-4)
        assert step.alternatives[0][0] == step.token


def test_sampling_is_the_same_for_the_same_seed(shelf: Shelf) -> None:
    def sample(seed: int) -> list[int]:
        found = shelf.predict(
            "gpt2", TEXT, "text-generation", new_tokens=12, temperature=1.5, top_p=0.9, seed=seed
        )
        assert isinstance(found, Generation)
        return [step.id for step in found.steps]

    assert sample(3) == sample(3)
    assert sample(3) != sample(4)


def test_a_cancel_takes_effect_at_the_next_token(shelf: Shelf) -> None:
    seen: list[Progress] = []
    job = Job(seen.append, lambda: len(seen) == 3)
    told = TaskOptions(task="text-generation", new_tokens=60)
    with pytest.raises(Cancelled):
        predict(shelf.open("gpt2", "text-generation"), TEXT, told, job)
    assert [(p.done, p.total) for p in seen] == [(1, 60), (2, 60), (3, 60)]


def test_a_generation_that_is_stopped_may_keep_its_tokens(shelf: Shelf) -> None:
    seen: list[Progress] = []
    job = Job(seen.append, lambda: len(seen) == 3)
    opened = shelf.open("gpt2", "text-generation")
    told = TaskOptions(task="text-generation", new_tokens=60)
    found = predict(opened, TEXT, told, job, partial=True)
    whole = predict(opened, TEXT, told)
    assert isinstance(found, Generation)
    assert isinstance(whole, Generation)
    assert job.partial
    assert found.ended == "you"
    assert found.steps == whole.steps[: len(found.steps)]
    assert len(found.steps) == 4  # the token that was there when the cancel was seen


def test_the_chat_template_is_applied(shelf: Shelf) -> None:
    found = shelf.predict("chat", "Hi", "text-generation", chat=True, new_tokens=3)
    assert isinstance(found, Generation)
    assert found.prompt == "<user>Hi<assistant>"
    tokenizer = shelf.open("chat", "text-generation").text
    assert found.prompt_tokens == len(tokenizer("<user>Hi<assistant>")["input_ids"])


def test_no_chat_template(shelf: Shelf) -> None:
    assert fails(shelf, "gpt2", "Hi", "text-generation", chat=True).kind == "no-template"


def test_generation_ends_where_the_context_does(shelf: Shelf) -> None:
    found = shelf.predict("gpt2", TEXT, "text-generation", new_tokens=500)
    assert isinstance(found, Generation)
    assert found.prompt_tokens + len(found.steps) == 128
    assert found.ended == "context full"


@pytest.mark.parametrize("long", ["truncate", "window"])
@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("new", [5, 500])
def test_a_long_prompt_loses_its_beginning(shelf: Shelf, long: str, chat: bool, new: int) -> None:
    found = shelf.predict("chat", LONG, "text-generation", long=long, chat=chat, new_tokens=new)
    assert isinstance(found, Generation)
    assert found.prompt_tokens == 128 - min(new, 64)
    tokenizer = shelf.open("chat", "text-generation").text
    whole = tokenizer(found.prompt)["input_ids"]
    kept = whole[-found.prompt_tokens :]
    model, _ = plain(shelf.folders["chat"], "AutoModelForCausalLM")
    import torch

    ids = torch.tensor([kept])
    expected = model.generate(ids, max_new_tokens=min(new, 64), do_sample=False)[0, len(kept) :]
    assert [step.id for step in found.steps] == expected.tolist()
    assert tokenizer.truncation_side == "right"


def test_a_config_without_a_padding_token(shelf: Shelf) -> None:
    assert not hasattr(load_config(find(str(shelf.folders["codegen"]), Job())), "pad_token_id")
    found = shelf.predict("codegen", TEXT, "text-generation", new_tokens=3)
    assert isinstance(found, Generation)
    assert len(found.steps) == 3


def test_a_prompt_with_no_room_for_a_token(shelf: Shelf) -> None:
    opened = shelf.open("gpt2", "text-generation")
    text = str(opened.text.decode(opened.text(LONG)["input_ids"][:128]))
    assert len(opened.text(text)["input_ids"]) == 128
    error = fails(shelf, "gpt2", text, "text-generation")
    assert error.kind == "too-long"
    assert "129" in error.message
    assert "128" in error.message


# -- feature extraction ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bert", "gpt2", "t5", "roberta"])
@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "last"])
@pytest.mark.parametrize("normalize", [True, False])
def test_pooling_is_computed_as_it_says(
    shelf: Shelf, name: str, pooling: str, normalize: bool
) -> None:
    import torch

    texts = ["The quick brown fox", "a dog", "Café jumps over the lazy dog, twice"]
    told = {"pooling": pooling, "normalize": normalize}
    found = shelf.predict(name, "\n".join(texts), "feature-extraction", **told)
    assert isinstance(found, Embedding)
    model, tokenizer = plain(shelf.folders[name], "AutoModel")
    vectors: list[torch.Tensor] = []
    for text in texts:  # one by one: no padding
        ids = tokenizer(text, return_tensors="pt").input_ids
        run = model.encoder if model.config.is_encoder_decoder else model
        with torch.no_grad():
            hidden = run(input_ids=ids).last_hidden_state[0]
        vectors.append(
            {"mean": hidden.mean(dim=0), "cls": hidden[0], "last": hidden[-1],
             "max": hidden.max(dim=0).values}[pooling]
        )  # fmt: skip
    for index, vector in enumerate(vectors):
        norm = float(vector.norm())
        assert found.norms[index] == near(norm, 1e-4)
        wanted = vector / norm if normalize else vector
        assert found.vectors[index] == near_all(wanted.tolist(), 1e-4)
        for other, more in enumerate(vectors):
            cosine = float(torch.nn.functional.cosine_similarity(vector, more, dim=0))
            assert found.similarity[index][other] == near(cosine, 1e-5)


def near_all(values: Sequence[float], tolerance: float) -> Any:
    return pytest.approx(values, abs=tolerance, rel=tolerance)


# -- zero-shot -------------------------------------------------------------------------------


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("labels", [("fox", "dog", "a lazy café"), ("fox",)])
@pytest.mark.parametrize("name", ["bert-nli", "entail-first"])
def test_zero_shot_is_the_pipelines(
    shelf: Shelf, name: str, labels: tuple[str, ...], multi_label: bool
) -> None:
    from transformers import pipeline

    template = "It is about {}!"
    found = shelf.predict(
        name, TEXT, "zero-shot", labels=labels, template=template, multi_label=multi_label
    )
    assert isinstance(found, ZeroShot)
    model, tokenizer = plain(shelf.folders[name], "AutoModelForSequenceClassification")
    pipe = pipeline("zero-shot-classification", model=model, tokenizer=tokenizer)
    expected: Any = pipe(TEXT, list(labels), hypothesis_template=template, multi_label=multi_label)
    assert [s.label for s in found.scores] == expected["labels"]
    assert [s.probability for s in found.scores] == near_all(expected["scores"], 1e-5)
    assert (found.entailment, found.note) == ("entailment", "")


def test_a_model_without_entailment_says_which_label_it_took(shelf: Shelf) -> None:
    found = shelf.predict("bert-labels", TEXT, "zero-shot", labels=("a", "b"))
    assert isinstance(found, ZeroShot)
    assert found.entailment == "positive"
    assert "positive" in found.note


@pytest.mark.parametrize(
    ("options", "kind"),
    [({"labels": ()}, "no-labels"), ({"labels": ("a",), "template": "x"}, "template")],
)
def test_zero_shot_lacks_something(shelf: Shelf, options: dict[str, Any], kind: str) -> None:
    assert fails(shelf, "bert-nli", TEXT, "zero-shot", **options).kind == kind


# -- multiple choice -------------------------------------------------------------------------


def test_choices_are_torchs(shelf: Shelf) -> None:
    import torch

    choices = ("It sleeps.", "It jumps over the lazy dog again.", "café")
    found = shelf.predict("chooser", TEXT, "multiple-choice", labels=choices)
    assert isinstance(found, Choosing)
    model, tokenizer = plain(shelf.folders["chooser"], "AutoModelForMultipleChoice")
    logits: list[float] = []
    for choice in choices:  # one by one: no padding
        inputs = tokenizer(TEXT, choice, return_tensors="pt")
        with torch.no_grad():
            logits.append(float(model(**{k: v[None] for k, v in inputs.items()}).logits[0, 0]))
    shares = torch.softmax(torch.tensor(logits), dim=0).tolist()
    assert [s.logit for s in found.scores] == near_all(logits, 1e-5)
    assert [s.probability for s in found.scores] == near_all(shares, 1e-5)
    assert found.best == logits.index(max(logits))
    assert [s.label for s in found.scores] == list(choices)


@pytest.mark.parametrize("choices", [(), ("one",), ("one", "  ")])
def test_one_choice_is_none(shelf: Shelf, choices: tuple[str, ...]) -> None:
    error = fails(shelf, "chooser", TEXT, "multiple-choice", labels=choices)
    assert error.kind == "no-choices"


@pytest.mark.parametrize("long", ["ask", "truncate", "window"])
def test_an_option_that_does_not_fit(shelf: Shelf, long: str) -> None:
    told = {"labels": ("a", LONG), "long": long}
    error = fails(shelf, "chooser", "Hm", "multiple-choice", **told)
    assert error.kind == "too-long"
    assert "option" in error.message


# -- encoder and decoder ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["t5", "bart"])
@pytest.mark.parametrize("new", [1, 12])
def test_step_by_step_is_generate(shelf: Shelf, name: str, new: int) -> None:
    import torch

    found = shelf.predict(name, TEXT, "seq2seq", new_tokens=new)
    assert isinstance(found, Seq2Seq)
    model, tokenizer = plain(shelf.folders[name], "AutoModelForSeq2SeqLM")
    inputs = tokenizer(TEXT, return_tensors="pt")
    told = {k: inputs[k] for k in ("input_ids", "attention_mask")}
    whole = model.generate(**told, max_new_tokens=new, do_sample=False, num_beams=1)[0]
    assert [step.id for step in found.steps] == whole[1:].tolist()
    assert found.same_as_generate
    assert found.start == tokenizer.convert_ids_to_tokens(int(whole[0]))
    with torch.no_grad():
        output = model(**told, decoder_input_ids=whole[None, :-1])
    shares = torch.softmax(output.logits[0], dim=-1)
    for index, step in enumerate(found.steps):
        assert step.probability == near(float(shares[index, step.id]), 1e-4)
        assert step.logit == near(float(output.logits[0, index, step.id]), 1e-4)
    states = output.encoder_last_hidden_state
    assert found.shape == tuple(states.shape)
    assert [t.norm for t in found.encoder] == near_all(states[0].norm(dim=1).tolist(), 1e-4)


def test_an_id_that_the_tokenizer_does_not_know_is_named(shelf: Shelf) -> None:
    """A t5 of the default sizes has 32,128 ids, MiniLM's tokenizer 30,522."""
    import torch

    opened = shelf.open("t5", "seq2seq", tokenizer="minilm")
    logits = torch.zeros(32128)
    logits[32000] = 9.0
    found = step_of(opened, 0, 32000, logits)
    assert found.token == "id 32000"
    assert found.alternatives[0][0] == "id 32000"


def test_a_config_that_says_no_start(shelf: Shelf) -> None:
    found = shelf.predict("t5-no-start", TEXT, "seq2seq", new_tokens=5)
    assert isinstance(found, Seq2Seq)
    assert found.start == "<pad>"
    assert found.same_as_generate


def test_a_decoder_stops_where_its_positions_do(shelf: Shelf) -> None:
    found = shelf.predict("bart", TEXT, "seq2seq", new_tokens=500)
    assert isinstance(found, Seq2Seq)
    assert found.same_as_generate
    assert len(found.steps) <= 128


def test_a_cancel_between_two_steps_of_the_decoder(shelf: Shelf) -> None:
    seen: list[Progress] = []
    told = TaskOptions(task="seq2seq", new_tokens=50)
    with pytest.raises(Cancelled):
        predict(shelf.open("t5", "seq2seq"), TEXT, told, Job(seen.append, lambda: len(seen) == 2))
    assert len(seen) == 2


def test_a_model_without_a_decoder(shelf: Shelf) -> None:
    opened = shelf.open("bert-labels", CLASSIFICATION)
    with pytest.raises(HftermError) as caught:
        predict(opened, TEXT, TaskOptions(task="seq2seq"))
    assert caught.value.kind == "no-encoder-decoder"


# -- what is awkward -------------------------------------------------------------------------

MEMBER = {
    "text-classification": "bert-labels", "token-classification": "bert-ner",
    "question-answering": "bert-qa", "fill-mask": "bert-mlm", "text-generation": "gpt2",
    "feature-extraction": "bert", "zero-shot": "bert-nli", "multiple-choice": "chooser",
    "seq2seq": "bart",
}  # fmt: skip
NEEDS: dict[str, dict[str, object]] = {
    "question-answering": {"question": QUESTION},
    "zero-shot": {"labels": ("fox", "dog")},
    "multiple-choice": {"labels": ("fox", "dog")},
    "text-generation": {"new_tokens": 4},
    "seq2seq": {"new_tokens": 4},
}


@pytest.mark.parametrize("task", [task for task in TASKS if task != "question-answering"])
def test_too_long_names_both_numbers(shelf: Shelf, task: Any) -> None:
    name, text = MEMBER[task], f"[MASK] {LONG}"
    error = fails(shelf, name, text, task, **NEEDS.get(task, {}))
    assert error.kind == "too-long"
    tokenizer = shelf.open(name, task).text
    second = {"zero-shot": "This example is fox.", "multiple-choice": "fox"}.get(task)
    count = len(tokenizer(text, second)["input_ids"])
    if task == "text-generation":
        count += 1
    assert f"{count:,} tokens" in error.message
    assert "takes 128" in error.message


@pytest.mark.parametrize("long", ["truncate", "window"])
@pytest.mark.parametrize("task", TASKS)
def test_every_task_takes_a_long_text(shelf: Shelf, task: Any, long: str) -> None:
    text = f"[MASK] {LONG}"
    found = shelf.predict(MEMBER[task], text, task, long=long, **NEEDS.get(task, {}))
    assert all(len(table) for table in tables(found))
    assert detail(found)
    if long == "truncate" and isinstance(found, Classification | Tagging | MaskFilling | Embedding):
        count = len(shelf.open(MEMBER[task], task).text(text)["input_ids"])
        assert found.cut == count - 128
    elif long == "window" and isinstance(found, Classification | Tagging | Answering):
        assert found.windows > 1
    if not (isinstance(found, Classification | Tagging | Answering) and long == "window"):
        assert found.cut > 0  # where there are no windows, the text is cut, and that is said
        assert any(f"{found.cut:,}" in line and "cut off" in line for line in detail(found))
    elif isinstance(found, Answering):
        assert f"{found.windows} windows, their best spans kept" in detail(found)[0]


def test_how_much_of_a_long_text_was_cut(shelf: Shelf) -> None:
    def tokens(name: str, task: Any, *texts: str) -> int:
        return len(shelf.open(name, task).text(*texts)["input_ids"])

    labels = ("fox", "a quick brown dog")
    zero = shelf.predict("bert-nli", LONG, "zero-shot", labels=labels, long="truncate")
    assert isinstance(zero, ZeroShot)
    assert zero.cut == tokens("bert-nli", "zero-shot", LONG, f"This example is {labels[1]}.") - 128
    chosen = shelf.predict("chooser", LONG, "multiple-choice", labels=labels, long="window")
    assert isinstance(chosen, Choosing)
    assert chosen.cut == tokens("chooser", "multiple-choice", LONG, labels[1]) - 128
    going = shelf.predict("gpt2", LONG, "text-generation", new_tokens=9, long="truncate")
    assert isinstance(going, Generation)
    assert going.cut == tokens("gpt2", "text-generation", LONG) - going.prompt_tokens
    read = shelf.predict("bart", LONG, "seq2seq", new_tokens=2, long="window")
    assert isinstance(read, Seq2Seq)
    assert read.cut == tokens("bart", "seq2seq", LONG) - 128
    short = shelf.predict("bert-nli", TEXT, "zero-shot", labels=labels, long="truncate")
    assert isinstance(short, ZeroShot)
    assert short.cut == 0
    assert not any("cut off" in line for line in detail(short))


@pytest.mark.parametrize("task", TASKS)
def test_every_prediction_has_displayable_tables(shelf: Shelf, task: Any) -> None:
    text = TEXTS["control"] + " [MASK] \x1b[2J [red]"
    found = shelf.predict(MEMBER[task], text, task, **NEEDS.get(task, {}))
    for table in tables(found):
        for index in range(len(table)):
            cells = table.row(index)
            assert len(cells) == len(table.columns)
            assert not {"\x1b", "\x00", "\x07", "\n"} & set("".join(cell.text for cell in cells))
            assert len(table.values(index)) == len(table.columns)


@pytest.mark.parametrize("text", ["", " \n\t"])
@pytest.mark.parametrize("task", TASKS)
def test_an_empty_text(shelf: Shelf, task: Any, text: str) -> None:
    error = fails(shelf, MEMBER[task], text, task, **NEEDS.get(task, {}))
    assert error.kind == ("no-context" if task == "question-answering" else "empty")


def test_a_text_without_tokens(shelf: Shelf, zoo: dict[str, Path]) -> None:
    """A tokenizer may leave nothing of a text: this one adds no special tokens."""
    from hfterm.inference.classification import classify

    opened = shelf.open("bert-labels", CLASSIFICATION, tokenizer=str(zoo["characters"]))
    with pytest.raises(HftermError) as caught:
        classify(opened, "")
    assert caught.value.kind == "empty"


def test_not_finite_names_the_weight_and_the_next_model_works(shelf: Shelf) -> None:
    error = fails(shelf, "nan", TEXT, CLASSIFICATION)
    assert error.kind == "not-finite"
    assert "bert.encoder.layer.1.output.dense.weight" in error.message
    assert "1 weight holds NaN" in error.message
    assert "float32" not in error.remedy  # which it is
    assert "damaged" in error.remedy
    narrow = shelf.open("nan", CLASSIFICATION, dtype="bfloat16")
    with pytest.raises(HftermError) as caught:
        predict(narrow, TEXT, TaskOptions(task=CLASSIFICATION))
    assert "Load it in float32" in caught.value.remedy
    good = shelf.predict("bert-labels", TEXT, CLASSIFICATION)
    assert isinstance(good, Classification)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_not_finite_while_generating(shelf: Shelf, temperature: float) -> None:
    error = fails(shelf, "nan-gpt2", TEXT, "text-generation", temperature=temperature)
    assert error.kind == "not-finite"
    assert "transformer.ln_f.weight" in error.message


def test_an_id_beyond_the_models_vocabulary(shelf: Shelf, starter_kit: Path) -> None:
    opened = shelf.open("bert-labels", CLASSIFICATION, tokenizer="minilm")
    with pytest.raises(HftermError) as caught:
        predict(opened, "quick fox", TaskOptions(task=CLASSIFICATION))
    assert caught.value.kind == "vocabulary"
    assert "1,024" in caught.value.message
    assert f"{max(opened.text('quick fox')['input_ids']):,}" in caught.value.message


def test_a_class_that_does_not_name_its_embeddings(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = shelf.open("bert-labels", CLASSIFICATION)

    def unnamed() -> None:
        raise NotImplementedError

    expected = predict(opened, TEXT, TaskOptions(task=CLASSIFICATION))
    monkeypatch.setattr(opened.model, "get_input_embeddings", unnamed)
    assert predict(opened, TEXT, TaskOptions(task=CLASSIFICATION)) == expected


def test_a_token_type_beyond_the_models(shelf: Shelf) -> None:
    """BERT's tokenizer counts the second text as type 1; this RoBERTa was made with one type."""
    from transformers import RobertaConfig

    opened = shelf.open("roberta-ner", "token-classification", tokenizer=str(shelf.folders["bert"]))
    assert isinstance(opened.model.config, RobertaConfig)
    kinds = opened.model.config.type_vocab_size
    try:
        opened.model.config.type_vocab_size = 1
        with pytest.raises(HftermError) as caught:
            predict(opened, TEXT, TaskOptions(task=CLASSIFICATION, pair=PAIR))
    finally:
        opened.model.config.type_vocab_size = kinds
    assert caught.value.kind == "vocabulary"


@pytest.mark.parametrize("task", TASKS)
def test_a_model_without_tokenizer(shelf: Shelf, task: Any) -> None:
    opened = shelf.open("bare", CLASSIFICATION)
    assert (opened.tokenizer, opened.info.tokenizer) == (None, "")
    with pytest.raises(HftermError) as caught:
        predict(opened, TEXT, TaskOptions(task=task, **NEEDS.get(task, {})))  # pyright: ignore
    # a BERT has no decoder, whatever its tokenizer
    assert caught.value.kind == ("no-encoder-decoder" if task == "seq2seq" else "no-tokenizer")
    if task != "seq2seq":
        assert "F7" in caught.value.remedy
        assert "--tokenizer" in caught.value.remedy


def test_a_lone_tokenizer_folder_may_be_named(shelf: Shelf, tmp_path: Path) -> None:
    for file in shelf.folders["bert"].glob("*token*"):
        shutil.copy(file, tmp_path)
    opened = load_model(shelf.spec("bare", CLASSIFICATION, tokenizer=str(tmp_path)))
    here = predict(opened, TEXT, TaskOptions(task=CLASSIFICATION))
    there = shelf.predict("bert-labels", TEXT, CLASSIFICATION)
    assert isinstance(here, Classification)
    assert isinstance(there, Classification)
    assert here.scores == there.scores


@pytest.mark.parametrize("name", ["byt5", "bert-legacy"])
def test_a_python_tokenizer_cuts_but_makes_no_windows(
    shelf: Shelf, zoo: dict[str, Path], name: str
) -> None:
    opened = shelf.open("bert-labels", CLASSIFICATION, tokenizer=str(zoo[name]))
    cut = predict(opened, LONG, TaskOptions(task=CLASSIFICATION, long="truncate"))
    assert isinstance(cut, Classification)
    assert cut.cut == cut.tokens - 128
    with pytest.raises(HftermError) as caught:
        predict(opened, LONG, TaskOptions(task=CLASSIFICATION, long="window"))
    assert caught.value.kind == "no-windows"
    with pytest.raises(HftermError) as caught:
        predict(opened, LONG, TaskOptions(task="question-answering", question="Who?"))
    assert caught.value.kind == "no-offsets"


MEMORY = """
import json, resource, sys
from pathlib import Path
from hfterm.errors import HftermError
from hfterm.inference.batch import predict_rows
from hfterm.inference.loading import load_model, memory_errors
from hfterm.inference.options import BatchOptions, TaskOptions
from hfterm.inference.predicting import predict
from hfterm.models.types import ModelSpec

limit, file = sys.argv[1:]
opened = load_model(ModelSpec(ref="minilm", auto="AutoModelForSequenceClassification"))
simple = TaskOptions(task="text-classification")


def small():
    return [score.logit for score in predict(opened, "hi", simple).scores]


long = "word " * 400
Path(file).write_text("\\n".join([long] * 600))
found = {"before": small()}


def leave(megabytes):
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    used = int(status["VmSize" if limit == "RLIMIT_AS" else "VmData"].split()[0]) * 1024
    most = used + megabytes * 2**20
    resource.setrlimit(getattr(resource, limit), (most, resource.RLIM_INFINITY))


backward = TaskOptions(task="text-classification", label=1, backward=True)
for name, megabytes, work in (
    # enough for the tokenizer, and not for 600 x 402 x 384 floats
    ("batch", 250, lambda: predict_rows(opened, file, simple, BatchOptions(size=600))),
    ("backward", 40, lambda: predict(opened, long, backward)),
):
    leave(megabytes)
    try:
        work()
    except HftermError as error:
        found[name] = [error.kind, error.message]
    found["after " + name] = small()
print(json.dumps(found))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_memory_that_runs_out_is_one_error(starter_kit: Path, limit: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, limit, str(tmp_path / "rows.txt")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["batch"] == ["memory", "Memory ran out with a batch of 600."]
    assert found["backward"] == ["memory", "Memory ran out with the backward pass."]
    assert found["after batch"] == found["after backward"] == found["before"]


def test_memory_errors_are_found_in_what_they_became() -> None:
    """transformers makes a ValueError of one while it pads, which is its cause."""
    with pytest.raises(HftermError) as caught, memory_errors("a test"):
        try:
            raise MemoryError
        except MemoryError as error:
            raise ValueError("Unable to create tensor") from error
    assert (caught.value.kind, caught.value.message) == ("memory", "Memory ran out with a test.")
    with pytest.raises(ValueError, match="another"), memory_errors("a test"):
        raise ValueError("another")


# -- loading ---------------------------------------------------------------------------------


@pytest.mark.parametrize("quantization", ["int8", "nf4"])
def test_minilm_with_a_new_head_quantized(
    shelf: Shelf, starter_kit: Path, quantization: str
) -> None:
    import torch

    opened = shelf.open("minilm", CLASSIFICATION, quantization=quantization, num_labels=4)
    assert "classifier" in opened.info.skipped
    assert opened.info.verdict == "new head"
    assert opened.info.dtype == quantization
    whole = shelf.open("minilm", CLASSIFICATION, num_labels=4)
    # it is smaller, stands for as many, and its head is that of the whole model
    assert opened.info.parameters == whole.info.parameters
    assert opened.info.footprint < whole.info.footprint
    head: Any = opened.model.classifier
    other: Any = whole.model.classifier
    assert type(head) is torch.nn.Linear
    assert torch.allclose(head.weight.float(), other.weight, atol=1e-3)
    found = predict(opened, TEXT, TaskOptions(task=CLASSIFICATION, label=1, backward=True))
    exact = predict(whole, TEXT, TaskOptions(task=CLASSIFICATION))
    assert isinstance(found, Classification)
    assert isinstance(exact, Classification)
    assert [s.logit for s in found.scores] == near_all([s.logit for s in exact.scores], 0.05)
    assert found.loss is not None
    assert found.loss.gradients == ()  # quantized weights take none
    assert found.loss.by_labels == near(found.loss.by_hand, 1e-2)


@pytest.mark.parametrize("quantization", ["int8", "nf4"])
def test_smollm2_quantized_goes_on_as_before(
    shelf: Shelf, starter_kit: Path, quantization: str
) -> None:
    text = "The capital of France is"
    opened = load_model(shelf.spec("smollm2", "text-generation", quantization=quantization))
    assert "lm_head" in opened.info.skipped
    found = predict(opened, text, TaskOptions(task="text-generation", new_tokens=4))
    assert isinstance(found, Generation)
    assert "Paris" in found.text


def test_random_weights_are_those_of_the_seed(shelf: Shelf) -> None:
    import torch

    def weights(**more: object) -> Any:
        spec = shelf.spec("bert-labels", CLASSIFICATION, random=True, num_labels=5, **more)
        opened = load_model(spec)
        assert opened.info.verdict == "random"
        assert len(opened.info.labels) == 5
        model: Any = opened.model
        return model.bert.encoder.layer[0].output.dense.weight

    assert torch.equal(weights(), weights())
    assert not torch.equal(weights(), weights(seed=1))


def test_an_architecture_by_name_with_another_tokenizer(shelf: Shelf, starter_kit: Path) -> None:
    spec = ModelSpec(
        ref="distilbert", auto="AutoModelForSequenceClassification", tokenizer="minilm"
    )
    opened = load_model(spec)
    found = predict(opened, TEXT, TaskOptions(task=CLASSIFICATION))
    assert isinstance(found, Classification)
    assert opened.info.verdict == "random"


def test_random_and_quantized_exclude_each_other(shelf: Shelf) -> None:
    with pytest.raises(HftermError) as caught:
        load_model(shelf.spec("bert-labels", CLASSIFICATION, random=True, quantization="nf4"))
    assert caught.value.kind == "random-quantized"


@pytest.mark.parametrize("device", ["cuda:0", "cuda:99", "banana", "cpu:x", "mps", "meta", ""])
def test_a_device_there_is_not(shelf: Shelf, device: str) -> None:
    import torch

    if device in ("cuda:0", "mps") and torch.accelerator.is_available():
        pytest.skip("it is there")
    with pytest.raises(HftermError) as caught:
        load_model(shelf.spec("bert-labels", CLASSIFICATION, device=device))
    assert caught.value.kind == "no-device"
    assert device in caught.value.message


@pytest.mark.parametrize(
    ("name", "task", "labels"),
    [("lora-labels", CLASSIFICATION, 3), ("lora-causal", "text-generation", None)],
)
def test_an_adapter_is_pefts(shelf: Shelf, name: str, task: Any, labels: int | None) -> None:
    import torch
    import transformers
    from peft import PeftModel

    opened = shelf.open(name, task, **({"num_labels": labels} if labels else {}))
    assert opened.info.verdict == "complete"
    base_path = opened.info.source.base
    if labels:
        base = transformers.AutoModelForSequenceClassification.from_pretrained(
            base_path, num_labels=labels
        )
    else:
        base = transformers.AutoModelForCausalLM.from_pretrained(base_path)
    adapted = PeftModel.from_pretrained(base, shelf.folders[name]).eval()
    ids = opened.text(TEXT, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        expected = adapted(input_ids=ids).logits
        plainly = base.base_model(input_ids=ids)[0]
        found = opened.model(input_ids=ids).logits
    assert plainly.shape[1] == ids.shape[1]
    assert torch.allclose(found, expected, atol=1e-6)
    with adapted.disable_adapter(), torch.no_grad():
        assert not torch.allclose(adapted(input_ids=ids).logits, expected, atol=1e-3)
    if labels:
        shown = predict(opened, TEXT, TaskOptions(task=CLASSIFICATION))
        assert isinstance(shown, Classification)
        assert [s.logit for s in shown.scores] == near_all(expected[0].tolist(), 1e-6)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('{"0": "ham", "1": "spam", "2": "[b]?"}', ["ham", "spam", "[b]?"]),
        ('{"0": "ham", "1": "spam"}', None),
        ('{"0": "ham", "1": "spam", "7": "?"}', None),
        ('["ham", "spam", "?"]', None),
        ('{"0": "ham", "1":', None),
        (None, None),
    ],
)
def test_an_adapter_brings_its_labels(
    shelf: Shelf, tmp_path: Path, written: str | None, expected: list[str] | None
) -> None:
    folder = shutil.copytree(shelf.folders["lora-labels"], tmp_path / "adapter")
    if written is not None:
        (folder / "id2label.json").write_text(written)
    opened = load_model(ModelSpec(ref=str(folder), auto="AutoModelForSequenceClassification"))
    assert opened.info.verdict == "complete"
    assert list(opened.info.labels) == (expected or ["LABEL_0", "LABEL_1", "LABEL_2"])
    assert opened.model.config.label2id == {n: i for i, n in enumerate(opened.info.labels)}
