"""The body of the Steps tab's script: the stages one by one, with the libraries alone."""

from __future__ import annotations

STEPS_LIMIT = 2000
"""Characters of each sequence that the Steps tab and its script look into."""

IMPORTS = """\
from tokenizers import AddedToken, PreTokenizedString, Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoTokenizer
"""

PIPELINE = '''
backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())  # a copy to look into
backend.no_truncation()
backend.no_padding()


def normalize(text):
    return backend.normalizer.normalize_str(text) if backend.normalizer else text


def split(text, normalized):
    """Cut a text at its added tokens, as the Rust library does before anything else."""
    probe = Tokenizer(WordLevel({"rest": 2**32 - 1}, unk_token="rest"))
    known = {}
    for id_, token in sorted(backend.get_added_tokens_decoder().items()):
        if token.normalized == normalized:
            content = normalize(token.content) if normalized else token.content
            flags = {name: getattr(token, name) for name in ("single_word", "lstrip", "rstrip")}
            probe.add_tokens([AddedToken(content, normalized=False, **flags)])
            known[probe.token_to_id(content)] = id_
    found = probe.encode(text)
    return [(text[a:b], known.get(own)) for own, (a, b) in zip(found.ids, found.offsets)]


for sequence in sequences:
    print("text", repr(sequence))
    parts = split(sequence, normalized=False)
    print("added tokens", parts)
    cut = [[(p, id_)] if id_ is not None else split(normalize(p), True) for p, id_ in parts]
    parts = [part for inner in cut for part in inner]
    normalized = "".join(part for part, _ in parts)
    print("normalizer", repr(normalized))
    words, end = [], 0
    for part, id_ in parts:
        start, end = end, end + len(part)
        if id_ is None and backend.pre_tokenizer:
            piece = PreTokenizedString(normalized)
            piece.split(lambda _, whole: [whole.slice((start, end))])
            backend.pre_tokenizer.pre_tokenize(piece)
            words += [(word, span) for word, span, _ in piece.get_splits("original")]
        else:
            words.append((part, (start, end)))
    print("pre-tokenizer", words)
    encoding = backend.encode(sequence, add_special_tokens=False)
    print("model", list(zip(encoding.tokens, encoding.ids, encoding.offsets)))
encoding = backend.encode(*sequences)
print("post-processor", encoding.tokens)
print("ids", encoding.ids)
print("decoded", repr(tokenizer.decode(encoding.ids)))
print("decoded", repr(tokenizer.decode(encoding.ids, skip_special_tokens=True)))
'''

TUTORIAL = """
for sequence in sequences:
    tokens = tokenizer.tokenize(sequence)
    print("tokenize", tokens)
    print("convert_tokens_to_ids", tokenizer.convert_tokens_to_ids(tokens))
ids = tokenizer(*[[sequence] for sequence in sequences])["input_ids"][0]
print("add specials", ids)
print("decode", repr(tokenizer.decode(ids)))
"""
