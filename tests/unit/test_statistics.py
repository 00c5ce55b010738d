"""Statistics of a whole file against counts made the plain way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from corpus import CORPUS, PROSE
from hfterm.errors import HftermError
from hfterm.job import Cancelled, Job, Progress
from hfterm.tokenization import statistics as module
from hfterm.tokenization.loading import LoadedTokenizer
from hfterm.tokenization.statistics import statistics
from zoo import NAMES

Opened = Callable[[str], LoadedTokenizer]


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    file = tmp_path / "lines.txt"
    texts = [*PROSE.splitlines() * 20, *(t for t in CORPUS if "\n" not in t and "\x00" not in t)]
    file.write_text("\n".join(texts), encoding="utf-8", newline="")
    return file


@pytest.mark.parametrize("name", NAMES)
def test_statistics_are_those_of_the_lines(opened: Opened, lines: Path, name: str) -> None:
    loaded = opened(name)
    auto = loaded.transformers()
    texts = [
        line.removesuffix("\r") for line in lines.read_bytes().decode().split("\n") if line.strip()
    ]
    rows = [auto(text, truncation=False, padding=False)["input_ids"] for text in texts]
    found = statistics(loaded, str(lines), Job())
    lengths = sorted(map(len, rows))
    counts = Counter(id_ for row in rows for id_ in row)
    assert found.texts == len(texts)
    assert found.characters == sum(map(len, texts))
    assert found.utf8_bytes == sum(len(text.encode()) for text in texts)
    assert found.tokens == sum(lengths)
    assert found.unknown == counts[loaded.info.unk_id]
    assert found.distinct == len(counts)
    assert found.lengths["minimum"] == lengths[0]
    assert found.lengths["maximum"] == lengths[-1]
    assert found.lengths["median"] == np.median(lengths)
    assert found.lengths["mean"] == pytest.approx(np.mean(lengths))
    for name_, share in (("p95", 95), ("p99", 99)):
        assert found.lengths[name_] == np.percentile(lengths, share, method="inverted_cdf")
    assert sum(texts_ for _, texts_ in found.histogram) == found.texts
    low = 0
    for bound, count in found.histogram:
        assert count == sum(1 for n in lengths if low < max(n, 1) <= bound)
        low = bound
    assert [count for _, count in found.top] == [c for _, c in counts.most_common(module.TOP)]
    limit = loaded.info.model_max_length
    assert found.limit == limit
    assert found.over_limit == (None if limit is None else sum(n > limit for n in lengths))


def test_an_empty_file(opened: Opened, tmp_path: Path) -> None:
    file = tmp_path / "empty.txt"
    file.touch()
    found = statistics(opened("gpt2"), str(file), Job())
    assert (found.texts, found.tokens, found.lengths, found.histogram) == (0, 0, {}, ())


def test_batches_do_not_change_the_counts(
    opened: Opened, lines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = opened("wordpiece-uncased")
    whole = statistics(loaded, str(lines), Job())
    monkeypatch.setattr(module, "BATCH", 3)
    monkeypatch.setattr(module, "BATCH_CHARACTERS", 100)
    parts = statistics(loaded, str(lines), Job())
    assert (parts.tokens, parts.lengths, parts.top) == (whole.tokens, whole.lengths, whole.top)


def test_progress_in_bytes_and_cancel(
    opened: Opened, lines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 16)
    seen: list[Progress] = []
    statistics(opened("gpt2"), str(lines), Job(seen.append))
    done = [progress.done for progress in seen]
    assert len(done) > 5
    assert done == sorted(done)
    assert done[-1] == seen[-1].total == lines.stat().st_size
    assert {progress.unit for progress in seen} == {"bytes"}
    few: list[Progress] = []
    with pytest.raises(Cancelled):
        statistics(opened("gpt2"), str(lines), Job(few.append, lambda: len(few) >= 2))
    assert len(few) == 2


def test_memory_holds_one_batch(
    opened: Opened, lines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No call is given more texts, or more characters and a text, than a batch."""
    sizes: list[int] = []
    real = module._ids

    def watched(loaded: LoadedTokenizer, batch: list[str]) -> list[list[int]]:
        sizes.append(len(batch))
        assert sum(map(len, batch[:-1])) < 500
        return real(loaded, batch)

    monkeypatch.setattr(module, "BATCH", 10)
    monkeypatch.setattr(module, "BATCH_CHARACTERS", 500)
    monkeypatch.setattr(module, "_ids", watched)
    found = statistics(opened("gpt2"), str(lines), Job())
    assert max(sizes) <= 10
    assert sum(sizes) == found.texts


def test_missing_file(opened: Opened, tmp_path: Path) -> None:
    with pytest.raises(HftermError) as caught:
        statistics(opened("gpt2"), str(tmp_path / "no.txt"), Job())
    assert caught.value.kind == "not-found"
