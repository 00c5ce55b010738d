"""What is on this machine: models, adapters, tokenizers, data sets, and what they take."""
