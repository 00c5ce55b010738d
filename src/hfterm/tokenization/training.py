"""Train a new tokenizer on a file or data set, save it whole or not at all, and open it again."""

from __future__ import annotations

import errno
import shutil
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hfterm.errors import HftermError
from hfterm.hub.texts import TextSource
from hfterm.job import Job
from hfterm.paths import expanded
from hfterm.tokenization.detached import run_detached
from hfterm.tokenization.loading import LoadedTokenizer, load
from hfterm.tokenization.recipes import ROLES, blank
from hfterm.tokenization.views import Trained, TrainOptions

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

BATCH = 256
"""Texts handed to the Rust side at once, and at most a megabyte of them."""
BATCH_CHARACTERS = 1 << 20
MERGING = "merging"
SAMPLE = 50_000
"""Characters of the texts on which the new tokenizer and its parent are compared."""
LISTED = 200
"""Tokens that only one of the two has, listed; all are counted."""


def train(source: str, options: TrainOptions, out: Path, job: Job) -> Trained:
    """Train on the texts of `source` and save into the new folder `out`.

    A cancel is honoured at once. (The library's merging after the reading can't be interrupted:
    it is left to end by itself, and its result dropped.) `options.parent` is compared with, and
    needed by the algorithm ``parent``; empty for none. `out` appears complete, or not at all.

    Raises:
        HftermError: `out` exists or can't be written, no texts, impossible options, disk full.
        Cancelled: nothing is left behind.
    """
    out = expanded(out).absolute()
    _refuse(options, out)
    parent = load(options.parent, job) if options.parent else None
    if options.algorithm == "parent" and parent is not None:
        parent.rust()  # a Python backend can't be trained: its error says so
    began = time.perf_counter()
    feed = _Feed(TextSource(source), job)
    with _made_whole(out) as folder:
        tokenizer = _fit(feed, options, parent)
        job.progress("saving")
        tokenizer.save_pretrained(str(folder))
        job.check()
    seconds = time.perf_counter() - began
    job.progress("opening it again")
    return _describe(load(str(out)), parent, feed, seconds)


def _refuse(options: TrainOptions, out: Path) -> None:
    if out.exists() or out.is_symlink():
        raise HftermError(
            "exists", f"There is already something at {out}.", "Choose another name or delete it."
        )
    if options.algorithm == "parent" and not options.parent:
        raise HftermError(
            "no-parent", "No parent is named to take the pipeline from.", "Name a tokenizer."
        )
    least = 300 if options.algorithm == "BPE" else 10
    if options.vocab_size < least:
        why = "its 256 bytes come first" if options.algorithm == "BPE" else "specials come first"
        raise HftermError(
            "vocab-too-small",
            f"A vocabulary of {options.vocab_size:,} is too small for {options.algorithm}: {why}.",
            f"Ask for {least:,} or more.",
        )
    if options.min_frequency < 0:
        raise HftermError("bad-option", "min_frequency can't be negative.", "Use 0 or more.")


@dataclass
class _Feed:
    """What the trainer reads: batches of texts, counted on their way."""

    source: TextSource
    job: Job
    texts: int = 0
    characters: int = 0
    sample: list[str] = field(default_factory=lambda: [])
    read: bool = False
    _sampled: int = 0

    def __iter__(self) -> Iterator[list[str]]:
        batch: list[str] = []
        size = 0
        for text in self.source:
            batch.append(text)
            size += len(text)
            if len(batch) >= BATCH or size >= BATCH_CHARACTERS:
                yield self._counted(batch, size)
                batch, size = [], 0
        if batch:
            yield self._counted(batch, size)
        self.job.progress(MERGING)
        self.read = True

    def busy(self) -> None:
        """Show that the merging goes on; the library does not say how far it is."""
        if self.read:
            self.job.progress(MERGING)

    def _counted(self, batch: list[str], size: int) -> list[str]:
        self.texts += len(batch)
        self.characters += size
        for text in batch:
            if self._sampled < SAMPLE:
                self.sample.append(text[: SAMPLE - self._sampled])
                self._sampled += len(self.sample[-1])
        self.job.progress("reading", self.source.done, self.source.size, "bytes")
        return batch


def _fit(
    feed: _Feed, options: TrainOptions, parent: LoadedTokenizer | None
) -> PreTrainedTokenizerBase:
    """Train; the Rust trainer passes an exception of the feed on as it is."""

    def fit() -> PreTrainedTokenizerBase:
        if options.algorithm == "parent" and parent is not None:
            return _train_as_parent(feed, options, parent)
        return _train_blank(feed, options)

    try:
        tokenizer = run_detached(fit, feed.job, feed.busy)
    except ValueError as error:
        raise HftermError("training", f"Training failed: {error}", "F8 shows the log.") from error
    except Exception as error:
        # the Rust trainer raises bare Exception; all else (HftermError, Cancelled) goes through
        if type(error) is not Exception:
            raise
        raise HftermError(
            "training",
            f"Training on {feed.source.path} failed: {error}.",
            "Ask for a larger vocabulary."
            if "not large enough" in str(error)
            else "Try another algorithm or other texts.",
        ) from error
    if feed.characters == 0:
        raise HftermError("empty", f"{feed.source.path} holds no text.", "Choose another file.")
    feed.job.check()  # it may have been cancelled while it merged
    return tokenizer


def _train_blank(feed: _Feed, options: TrainOptions) -> PreTrainedTokenizerBase:
    from transformers import PreTrainedTokenizerFast

    recipe = blank(options)
    recipe.tokenizer.train_from_iterator(iter(feed), recipe.trainer)
    recipe.finish()
    return PreTrainedTokenizerFast(tokenizer_object=recipe.tokenizer, **ROLES[recipe.algorithm])


def _train_as_parent(
    feed: _Feed, options: TrainOptions, parent: LoadedTokenizer
) -> PreTrainedTokenizerBase:
    auto = cast("PreTrainedTokenizerFast", parent.transformers())
    more: dict[str, object] = {"show_progress": False}
    if parent.info.model != "Unigram":  # its trainer has no such option
        more["min_frequency"] = options.min_frequency
    new = auto.train_new_from_iterator(iter(feed), options.vocab_size, **more)
    rust = new.backend_tokenizer
    # what the parent's file happens to store would silently cut and pad the child's texts
    rust.no_truncation()
    rust.no_padding()
    return new


@contextmanager
def _made_whole(out: Path) -> Generator[Path]:
    """A temporary folder beside `out` that becomes `out` at the end, or vanishes."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        # "exists" here means that a parent of `out` is a file
        number = None if error.errno == errno.EEXIST else error.errno
        raise _not_written(out, number, f"{out.parent}: {error.strerror or error}") from error
    try:
        yield folder
        folder.chmod(0o755)
        folder.rename(out)
    except OSError as error:
        raise _not_written(out, error.errno, str(error.strerror or error)) from error
    except Exception as error:
        # tokenizers reports a failed write as a bare Exception with the words of the system
        if type(error) is Exception and "os error" in str(error):
            full = errno.ENOSPC if f"os error {errno.ENOSPC}" in str(error) else None
            raise _not_written(out, full, str(error)) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _not_written(out: Path, number: int | None, reason: str) -> HftermError:
    if number in {errno.ENOSPC, errno.EDQUOT}:
        return HftermError(
            "disk-full",
            f"The disk of {out.parent} is full: the tokenizer was not saved.",
            "Free some space, or save it elsewhere.",
        )
    if number in {errno.EEXIST, errno.ENOTEMPTY}:
        return HftermError(
            "exists", f"There is already something at {out}.", "Choose another name or delete it."
        )
    return HftermError(
        "unwritable", f"{out} can't be written: {reason}.", "Choose a folder you may write to."
    )


def _vocabulary(loaded: LoadedTokenizer) -> set[str]:
    if loaded.fast is not None:
        return set(loaded.fast.get_vocab())
    return set(loaded.transformers().get_vocab())


def _count(loaded: LoadedTokenizer, texts: list[str]) -> int:
    if loaded.fast is not None:
        encodings = loaded.fast.encode_batch_fast(texts, add_special_tokens=False)
        return sum(len(encoding) for encoding in encodings)
    auto = loaded.transformers()
    return sum(len(auto.tokenize(text)) for text in texts)


def _describe(
    loaded: LoadedTokenizer, parent: LoadedTokenizer | None, feed: _Feed, seconds: float
) -> Trained:
    """The new tokenizer, as AutoTokenizer opens it, beside its parent."""
    new = _vocabulary(loaded)
    old: set[str] = _vocabulary(parent) if parent is not None else set()
    only_new = sorted(new - old) if parent is not None else []
    only_parent = sorted(old - new)
    return Trained(
        path=loaded.info.path,
        info=loaded.info,
        seconds=seconds,
        texts=feed.texts,
        characters=feed.characters,
        parent=parent.info.ref if parent is not None else "",
        shared=len(new & old),
        only_new=tuple(only_new[:LISTED]),
        only_parent=tuple(only_parent[:LISTED]),
        only_new_total=len(only_new),
        only_parent_total=len(only_parent),
        sample_characters=sum(map(len, feed.sample)),
        sample_tokens=_count(loaded, feed.sample),
        parent_sample_tokens=_count(parent, feed.sample) if parent is not None else 0,
    )
