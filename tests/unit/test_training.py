"""Training new tokenizers: saved whole, opened by AutoTokenizer, compared with a parent."""

from __future__ import annotations

import errno
import resource
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from transformers import AutoTokenizer

from corpus import CORPUS, PROSE
from hfterm.errors import HftermError
from hfterm.job import Cancelled, Job, Progress
from hfterm.tokenization import training
from hfterm.tokenization.detached import run_detached
from hfterm.tokenization.encoding import encode
from hfterm.tokenization.loading import LoadedTokenizer, load
from hfterm.tokenization.training import train
from hfterm.tokenization.views import TrainOptions

Opened = Callable[[str], LoadedTokenizer]
Algorithm = Literal["BPE", "WordPiece", "Unigram"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "texts.txt"
    file.write_text(PROSE * 30, encoding="utf-8")
    return file


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "made" / "new"


def nothing_left(out: Path) -> bool:
    return not out.exists() and (not out.parent.exists() or not list(out.parent.iterdir()))


@pytest.mark.parametrize("algorithm", ["BPE", "WordPiece", "Unigram"])
def test_trained_saved_and_opened_again(
    zoo: dict[str, Path], source: Path, out: Path, algorithm: Algorithm
) -> None:
    parent = str(zoo["wordpiece-uncased"])
    options = TrainOptions(algorithm=algorithm, vocab_size=500, parent=parent)
    trained = train(str(source), options, out, Job())
    assert {file.name for file in out.iterdir()} >= {"tokenizer.json", "tokenizer_config.json"}
    assert list(out.parent.iterdir()) == [out]
    assert trained.path == str(out)
    assert trained.info.model == algorithm
    assert trained.info.verified
    assert 200 < trained.info.vocab_size <= 500
    assert trained.texts == 360
    assert trained.characters == 30 * sum(map(len, PROSE.splitlines()))
    again = AutoTokenizer.from_pretrained(str(out), local_files_only=True)
    text = PROSE.splitlines()[0]
    assert again(text)["input_ids"] == list(encode(load(str(out)), text).column("ids"))
    assert len(again.tokenize(text)) < 0.7 * len(text), "it learnt nothing"
    assert again.decode(again(text)["input_ids"], skip_special_tokens=True).strip() == text
    # beside the parent
    new, old = set(again.get_vocab()), set(load(parent).rust().get_vocab())
    assert trained.parent == parent
    assert trained.shared == len(new & old)
    assert trained.only_new_total == len(new - old)
    assert trained.only_parent_total == len(old - new)
    assert set(trained.only_new) <= new - old
    assert set(trained.only_parent) <= old - new
    sample = PROSE * 30
    assert trained.sample_characters <= training.SAMPLE
    assert trained.sample_characters >= min(len(sample) - 500, training.SAMPLE - 500)
    assert trained.sample_tokens < 0.7 * trained.sample_characters
    assert trained.parent_sample_tokens > 0


def test_special_tokens_and_pairs(source: Path, tmp_path: Path) -> None:
    bert = tmp_path / "bert"
    train(str(source), TrainOptions(algorithm="WordPiece", vocab_size=300), bert, Job())
    auto = AutoTokenizer.from_pretrained(str(bert), local_files_only=True)
    pair = auto("the", "town", return_token_type_ids=True)
    tokens = auto.convert_ids_to_tokens(pair["input_ids"])
    assert tokens == ["[CLS]", "the", "[SEP]", "town", "[SEP]"]
    assert pair["token_type_ids"] == [0, 0, 0, 1, 1]
    assert (auto.pad_token, auto.mask_token) == ("[PAD]", "[MASK]")
    t5 = tmp_path / "t5"
    train(str(source), TrainOptions(algorithm="Unigram", vocab_size=300), t5, Job())
    auto = AutoTokenizer.from_pretrained(str(t5), local_files_only=True)
    assert auto.convert_ids_to_tokens(auto("the")["input_ids"])[-1] == "</s>"


def test_bpe_spells_anything(source: Path, out: Path) -> None:
    train(str(source), TrainOptions(vocab_size=400), out, Job())
    auto = AutoTokenizer.from_pretrained(str(out), local_files_only=True)
    for text in CORPUS:
        assert auto.decode(auto(text)["input_ids"], clean_up_tokenization_spaces=False) == text


@pytest.mark.parametrize("algorithm", ["BPE", "WordPiece", "Unigram"])
@pytest.mark.parametrize("lowercase", [True, False])
def test_lowercase(source: Path, out: Path, algorithm: Algorithm, lowercase: bool) -> None:
    options = TrainOptions(algorithm=algorithm, vocab_size=400, lowercase=lowercase)
    train(str(source), options, out, Job())
    rust = load(str(out)).rust()
    same = rust.encode("THE Town").ids == rust.encode("the town").ids
    assert same == lowercase


@pytest.mark.parametrize("name", ["stored", "gpt2", "t5", "llama", "word-level", "roberta"])
def test_the_parents_pipeline_with_a_new_vocabulary(
    zoo: dict[str, Path], opened: Opened, source: Path, out: Path, name: str
) -> None:
    options = TrainOptions(algorithm="parent", vocab_size=450, parent=str(zoo[name]))
    trained = train(str(source), options, out, Job())
    parent = opened(name).info
    assert trained.info.model == parent.model
    assert [part for part in trained.info.pipeline if part[0] != "post-processor"] == [
        part for part in parent.pipeline if part[0] != "post-processor"
    ]
    assert trained.info.vocab_size != parent.vocab_size
    assert trained.only_new_total + trained.only_parent_total > 0
    roles = {special.role: special.token for special in parent.special_tokens}
    mine = {special.role: special.token for special in trained.info.special_tokens}
    assert {k: v for k, v in mine.items() if k != "additional"} == {
        k: v for k, v in roles.items() if k != "additional"
    }
    # the parent's stored truncation would cut the child's texts unasked
    assert (trained.info.stored_truncation, trained.info.stored_padding) == (None, None)


def test_without_a_parent_nothing_is_compared(source: Path, out: Path) -> None:
    trained = train(str(source), TrainOptions(vocab_size=400), out, Job())
    assert (trained.parent, trained.shared, trained.only_new_total) == ("", 0, 0)
    assert trained.parent_sample_tokens == 0
    assert trained.sample_tokens > 0


def test_min_frequency(tmp_path: Path) -> None:
    file = tmp_path / "t.txt"
    file.write_text("often often often often rarity\n")
    sizes: list[int] = []
    for name, frequency in (("all", 1), ("often", 3)):
        options = TrainOptions(vocab_size=400, min_frequency=frequency)
        trained = train(str(file), options, tmp_path / name, Job())
        sizes.append(trained.info.vocab_size)
    assert sizes[0] > sizes[1]


# Progress and cancel


def test_progress_in_bytes_then_merging_then_saving(source: Path, out: Path) -> None:
    seen: list[Progress] = []
    train(str(source), TrainOptions(vocab_size=400), out, Job(seen.append))
    reading = [progress for progress in seen if progress.stage == "reading"]
    assert reading[-1].total == source.stat().st_size
    assert [p.done for p in reading] == sorted(p.done for p in reading)
    stages = [p.stage.split()[0] for p in seen]
    assert list(dict.fromkeys(stages)) == ["reading", "merging", "saving", "opening"]


@pytest.mark.parametrize("stage", ["reading", "merging", "saving"])
def test_a_cancel_leaves_nothing_behind(source: Path, out: Path, stage: str) -> None:
    seen: list[Progress] = []

    def cancelled() -> bool:
        return bool(seen) and seen[-1].stage.startswith(stage)

    with pytest.raises(Cancelled):
        train(str(source), TrainOptions(vocab_size=400), out, Job(seen.append, cancelled))
    assert seen[-1].stage.startswith(stage)
    assert nothing_left(out)


def test_a_cancel_stops_the_reading(tmp_path: Path, out: Path) -> None:
    file = tmp_path / "long.txt"
    file.write_text(PROSE * 500)
    seen: list[Progress] = []
    with pytest.raises(Cancelled):
        job = Job(seen.append, lambda: len(seen) >= 2)
        train(str(file), TrainOptions(vocab_size=400), out, job)
    assert len(seen) == 2
    assert seen[-1].done < file.stat().st_size


def test_a_cancel_does_not_wait_for_the_merging() -> None:
    """What can't be interrupted is left behind; here it lasts until it is let go."""
    busy, let_go = threading.Event(), threading.Event()

    def work() -> None:
        busy.set()
        let_go.wait()

    with pytest.raises(Cancelled):
        run_detached(work, Job(cancelled=busy.is_set), lambda: None)
    assert not let_go.is_set()
    let_go.set()


def test_what_the_detached_work_gives_or_raises() -> None:
    assert run_detached(lambda: 5, Job(), lambda: None) == 5
    with pytest.raises(HftermError, match="it broke"):
        run_detached(broken, Job(), lambda: None)


def broken() -> None:
    raise HftermError("x", "it broke")


# Refusals


def refusal(source: str | Path, options: TrainOptions, out: Path) -> HftermError:
    with pytest.raises(HftermError) as caught:
        train(str(source), options, out, Job())
    return caught.value


def test_an_existing_target_is_not_touched(source: Path, out: Path) -> None:
    out.mkdir(parents=True)
    (out / "mine.txt").write_text("mine")
    assert refusal(source, TrainOptions(), out).kind == "exists"
    assert (out / "mine.txt").read_text() == "mine"


def test_a_target_that_appears_meanwhile_is_not_touched(source: Path, out: Path) -> None:
    def report(progress: Progress) -> None:
        if progress.stage == "saving":
            out.mkdir()
            (out / "mine.txt").write_text("mine")

    with pytest.raises(HftermError) as caught:
        train(str(source), TrainOptions(vocab_size=400), out, Job(report))
    assert caught.value.kind == "exists"
    assert [file.name for file in out.parent.iterdir()] == [out.name]
    assert [file.name for file in out.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (TrainOptions(vocab_size=100), "vocab-too-small"),
        (TrainOptions(algorithm="Unigram", vocab_size=20), "training"),
        (TrainOptions(algorithm="WordPiece", vocab_size=3), "vocab-too-small"),
        (TrainOptions(algorithm="parent"), "no-parent"),
        (TrainOptions(min_frequency=-1), "bad-option"),
        (TrainOptions(parent="/no/such/folder"), "not-found"),
    ],
)
def test_impossible_options(source: Path, out: Path, options: TrainOptions, kind: str) -> None:
    assert refusal(source, options, out).kind == kind
    assert nothing_left(out)


def test_a_python_backend_is_no_parent_to_train_from(
    zoo: dict[str, Path], source: Path, out: Path
) -> None:
    options = TrainOptions(algorithm="parent", parent=str(zoo["byt5"]))
    assert refusal(source, options, out).kind == "python-backend"


def test_a_python_backend_can_be_compared_with(
    zoo: dict[str, Path], source: Path, out: Path
) -> None:
    options = TrainOptions(vocab_size=400, parent=str(zoo["byt5"]))
    trained = train(str(source), options, out, Job())
    assert trained.parent_sample_tokens >= trained.sample_characters


@pytest.mark.parametrize("data", ["", "\n \n"])
@pytest.mark.parametrize("algorithm", ["BPE", "WordPiece", "Unigram"])
def test_no_texts(tmp_path: Path, out: Path, data: str, algorithm: Algorithm) -> None:
    file = tmp_path / "t.txt"
    file.write_text(data)
    assert refusal(file, TrainOptions(algorithm=algorithm), out).kind == "empty"
    assert nothing_left(out)


def test_missing_and_binary_sources(tmp_path: Path, out: Path) -> None:
    assert refusal(tmp_path / "no.txt", TrainOptions(), out).kind == "not-found"
    binary = tmp_path / "b.txt"
    binary.write_bytes(b"a\x00")
    assert refusal(binary, TrainOptions(), out).kind == "binary"
    assert nothing_left(out)


def test_a_broken_row_in_mid_file_is_named(tmp_path: Path, out: Path) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text('{"text": "fine"}\n' * 400 + "broken\n")
    error = refusal(file, TrainOptions(), out)
    assert (error.kind, "line 401" in error.message) == ("bad-row", True)
    assert nothing_left(out)


def test_a_full_disk(source: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words of the Rust side for ENOSPC, which it raises as a bare Exception."""

    def full(*_: object, **__: object) -> None:
        raise Exception(f"No space left on device (os error {errno.ENOSPC})")

    monkeypatch.setattr("transformers.PreTrainedTokenizerFast._save_pretrained", full)
    assert refusal(source, TrainOptions(vocab_size=400), out).kind == "disk-full"
    assert nothing_left(out)


def test_a_write_that_really_fails(source: Path, out: Path) -> None:
    """A limit on file sizes stops the real write of tokenizer.json half way."""
    import signal

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def report(progress: Progress) -> None:
        if progress.stage == "saving":
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))

    try:
        with pytest.raises(HftermError) as caught:
            train(str(source), TrainOptions(vocab_size=400), out, Job(report))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert caught.value.kind in {"unwritable", "disk-full"}
    assert str(out) in caught.value.message
    assert nothing_left(out)


def test_a_folder_that_cannot_be_made(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    error = refusal(source, TrainOptions(vocab_size=400), tmp_path / "file" / "new")
    assert error.kind == "unwritable"
