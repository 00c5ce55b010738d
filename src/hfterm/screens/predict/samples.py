"""What the Predict screen begins with, task by task."""

from __future__ import annotations

SAMPLES: dict[str, str] = {
    "text-classification": "One of the greatest family-oriented, fantasy-adventure movies ever.",
    "token-classification": "Hugging Face is a company based in New York City and Paris.",
    "question-answering": "Hugging Face is a company that develops open-source technologies. Its "
    "library Transformers gives access to models such as BERT, GPT and T5.",
    "fill-mask": "Hugging Face is a [MASK] for machine learning.",
    "text-generation": "The capital of France is",
    "feature-extraction": "A cat sat on the mat.\nA kitten rests on a rug.\nThe market fell today.",
    "zero-shot": "The central bank raised interest rates again.",
    "multiple-choice": "It is raining, so she takes",
    "seq2seq": "translate English to German: The house is wonderful.",
}
"""A text of each task to begin with."""

OPTIONS = {"zero-shot": "economy, sport, weather", "multiple-choice": "an umbrella, a sandwich"}
"""Options of the tasks that choose among some."""
