"""Tokenization requests: find the tokenizer, call the domain.

What the first table does not need is imported by the request that does.
"""

from __future__ import annotations

from pathlib import Path

from hfterm import paths
from hfterm.engine import requests as ask
from hfterm.engine.handlers.registry import Registry
from hfterm.engine.handlers.store import TokenizerStore
from hfterm.hub import starter
from hfterm.hub.refs import cached_models
from hfterm.hub.text_document import TextDocument
from hfterm.job import Job
from hfterm.paths import expanded
from hfterm.sizes import size_text
from hfterm.tokenization import encoding, types, views

HANDLERS = Registry()
_store = TokenizerStore()


@HANDLERS.answers(ask.ListModels)
def list_models(_: ask.ListModels, job: Job) -> list[ask.KnownModel]:
    """Starter kit, tokenizers trained here, hub cache."""
    found = [
        ask.KnownModel(
            item.name,
            "starter"
            if starter.starter_path(item.name)
            else f"starter, to be fetched ({size_text(item.wheel_size)})",
            item.about,
        )
        for item in starter.STARTER
        if item.kind == "model"
    ]
    job.check()
    trained = paths.tokenizers_dir().glob("*/tokenizer.json")
    found += [ask.KnownModel(str(f.parent), "trained here", f.parent.name) for f in sorted(trained)]
    found += [ask.KnownModel(ref, "hub cache", "") for ref in cached_models()]
    return found


@HANDLERS.answers(ask.OpenTokenizer)
def open_tokenizer(request: ask.OpenTokenizer, job: Job) -> types.TokenizerInfo:
    """The verified description."""
    return _store.get(request.ref, job).info


@HANDLERS.answers(ask.PeekTokenizer)
def peek_tokenizer(request: ask.PeekTokenizer, job: Job) -> types.TokenizerInfo:
    """The description that is to be had at once."""
    return _store.get(request.ref, job, provisional=True).info


@HANDLERS.answers(ask.EncodeText)
def encode_text(request: ask.EncodeText, job: Job) -> types.Encoding:
    """Tokenize a text."""
    loaded = _store.get(request.ref, job, provisional=request.provisional)
    return encoding.encode(
        loaded,
        request.text,
        request.pair,
        add_special_tokens=request.add_special_tokens,
        job=job,
    )


@HANDLERS.answers(ask.EncodeFile)
def encode_file(request: ask.EncodeFile, job: Job) -> ask.FileEncoding:
    """Read and tokenize a file."""
    from hfterm.hub import documents

    document = documents.open_document(Path(request.path), job)
    loaded = _store.get(request.ref, job, provisional=request.provisional)
    encoded = encoding.encode(
        loaded, document.text, add_special_tokens=request.add_special_tokens, job=job
    )
    return ask.FileEncoding(document, encoded)


@HANDLERS.answers(ask.ReadDocument)
def read_document(request: ask.ReadDocument, job: Job) -> TextDocument:
    """Read a file."""
    from hfterm.hub import documents

    return documents.open_document(Path(request.path), job)


@HANDLERS.answers(ask.ShowSteps)
def show_steps(request: ask.ShowSteps, job: Job) -> views.Steps:
    """The stages of the pipeline."""
    from hfterm.tokenization import stages

    return stages.steps(_store.get(request.ref, job), request.text, request.pair, job)


@HANDLERS.answers(ask.EncodeBatch)
def encode_batch(request: ask.EncodeBatch, job: Job) -> views.BatchResult:
    """A padded batch."""
    from hfterm.tokenization import batch

    return batch.encode_batch(
        _store.get(request.ref, job), request.texts, request.pairs, request.options, job
    )


@HANDLERS.answers(ask.SearchVocabulary)
def search_vocabulary(request: ask.SearchVocabulary, job: Job) -> views.VocabularyPage:
    """Vocabulary entries."""
    from hfterm.tokenization import vocabulary

    return vocabulary.search(
        _store.get(request.ref, job, provisional=True),
        request.query,
        request.mode,
        request.offset,
        request.limit,
        job=job,
    )


@HANDLERS.answers(ask.DecodeIds)
def decode_ids(request: ask.DecodeIds, job: Job) -> views.Decoded:
    """Ids to text."""
    from hfterm.tokenization import vocabulary

    return vocabulary.decode_ids(_store.get(request.ref, job), request.ids)


@HANDLERS.answers(ask.RenderTemplate)
def render_template(request: ask.RenderTemplate, job: Job) -> views.Rendered:
    """A chat, rendered and tokenized."""
    from hfterm.tokenization import template

    return template.render(
        _store.get(request.ref, job),
        request.messages,
        request.add_generation_prompt,
        request.continue_final_message,
        name=request.name,
        job=job,
    )


@HANDLERS.answers(ask.CompareTokenizers)
def compare_tokenizers(request: ask.CompareTokenizers, job: Job) -> views.Comparison:
    """Tokenizers side by side."""
    from hfterm.tokenization import compare

    return compare.compare_refs(request.refs, lambda ref: _store.get(ref, job), request.text, job)


@HANDLERS.answers(ask.SlowAgainstFast)
def slow_against_fast(request: ask.SlowAgainstFast, job: Job) -> views.SlowFast:
    """A tokenizer against its Python twin."""
    from hfterm.tokenization import slow

    return slow.slow_against_fast(_store.get(request.ref, job), request.text, job)


@HANDLERS.answers(ask.TrainTokenizer)
def train_tokenizer(request: ask.TrainTokenizer, job: Job) -> views.Trained:
    """A new tokenizer."""
    from hfterm.tokenization import training

    return training.train(request.source, request.options, expanded(request.out), job)


@HANDLERS.answers(ask.AuditText)
def audit_text(request: ask.AuditText, job: Job) -> views.Audit:
    """What to look out for in an encoding."""
    from hfterm.hub import documents
    from hfterm.tokenization import audit

    loaded = _store.get(request.ref, job)
    text = documents.open_document(Path(request.path), job).text if request.path else request.text
    found = encoding.encode(loaded, text, add_special_tokens=request.add_special_tokens, job=job)
    return audit.audit(loaded, text, found, job)


@HANDLERS.answers(ask.CountFile)
def count_file(request: ask.CountFile, job: Job) -> views.Statistics:
    """Statistics of a file."""
    from hfterm.tokenization import statistics

    return statistics.statistics(_store.get(request.ref, job), request.source, job)
