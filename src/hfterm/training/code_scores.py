"""The functions of a training script that score an evaluation, as `scoring` does it; text only."""

from __future__ import annotations

from hfterm.training.data_files import local_files
from hfterm.training.recipe import Recipe

MACRO_F1 = '''
def macro_f1(predicted, true):
    """The mean F1 of the classes that occur."""
    found = []
    for kind in np.union1d(predicted, true):
        hit = np.sum((predicted == kind) & (true == kind))
        found.append(2 * hit / (np.sum(predicted == kind) + np.sum(true == kind)))
    return float(np.mean(found)) if found else 0.0


'''
CLASSES = """
def score(found):
    predicted, true = found.predictions, found.label_ids
    return {"accuracy": float(np.mean(predicted == true)), "f1": macro_f1(predicted, true)}


"""
TAGS = """
def score(found):
    predicted, true = found.predictions, found.label_ids
    kept = true != -100
    accuracy = float(np.mean(predicted[kept] == true[kept]))
    return {"accuracy": accuracy, "f1": macro_f1(predicted[kept], true[kept])}


"""
ENTITIES = '''
def entities(tags):
    """Kind, start and end of each entity."""
    found = set()
    kind, start = "", 0
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, name = tag.partition("-")
        if kind and (prefix != "I" or name != kind):
            found.add((kind, start, place))
            kind = ""
        if prefix in ("B", "I") and not kind:
            kind, start = name, place
    return found


def score(found):
    predicted, true = found.predictions, found.label_ids
    kept = true != -100
    accuracy = float(np.mean(predicted[kept] == true[kept]))
    hit = claimed = wanted = 0
    for guess, right in zip(predicted, true):
        ours, theirs = (
            entities([labels[tag] for tag in tags[right != -100]]) for tags in (guess, right)
        )
        hit += len(ours & theirs)
        claimed += len(ours)
        wanted += len(theirs)
    return {"accuracy": accuracy, "f1": 2 * hit / max(1, claimed + wanted)}


'''
EITHER = """
def entity_or_macro(found):
    marked = any(label.startswith(("B-", "I-")) for label in labels)
    return score(found) if marked else macro_score(found)


"""
ANSWERS = '''
def best_span(start, end):
    """First and last token of the likeliest span of at most 30 tokens."""
    sums = start[:, None] + end[None, :]
    allowed = np.triu(np.ones_like(sums)) - np.triu(np.ones_like(sums), 30)
    place = int(np.where(allowed > 0, sums, -np.inf).argmax())
    return place // sums.shape[1], place % sums.shape[1]


def score(found):
    """Over windows and tokens: the whole texts are not here."""
    exact = overlap = 0
    rows = list(zip(*found.predictions[:2], *found.label_ids[:2]))
    for start, end, a, b in rows:
        first, last = best_span(start, end)
        exact += first == a and last == b
        shared = max(0, min(last, b) - max(first, a) + 1)
        overlap += 2 * shared / (last - first + 1 + b - a + 1)
    return {"exact_match": float(exact / len(rows)), "f1": float(overlap / len(rows))}


'''
FILLED = """
def score(found):
    predicted, true = found.predictions, found.label_ids
    kept = true != -100
    return {"accuracy": float(np.mean(predicted[kept] == true[kept]))}


"""
BEST = '''
def best(logits, labels):
    """The most likely class: keeping all logits would fill the memory."""
    return (logits[0] if isinstance(logits, tuple) else logits).argmax(dim=-1)


'''


def score_lines(recipe: Recipe) -> str:
    """``score``, and ``best`` where logits are reduced; nothing where the loss says it all."""
    if recipe.task == "text-classification":
        return BEST + MACRO_F1 + CLASSES
    if recipe.task == "token-classification":
        return BEST + _tags(recipe)
    return {"question-answering": ANSWERS, "masked-lm": BEST + FILLED}.get(recipe.task, "")


def _tags(recipe: Recipe) -> str:
    if any(label.startswith(("B-", "I-")) for label in recipe.data.labels):
        return ENTITIES
    files = local_files(recipe.data.ref)
    if recipe.data.labels or (files and not files[0].lower().endswith(".parquet")):
        return MACRO_F1 + TAGS
    # the data set may name its tags, and only it knows
    return MACRO_F1 + TAGS.replace("def score", "def macro_score") + ENTITIES + EITHER


def score_arguments(recipe: Recipe) -> list[str]:
    """What Trainer is told of them."""
    body = score_lines(recipe)
    if not body:
        return []
    name = "entity_or_macro" if "def entity_or_macro" in body else "score"
    told = [f"compute_metrics={name}"]
    return [*told, "preprocess_logits_for_metrics=best"] if "def best(" in body else told
