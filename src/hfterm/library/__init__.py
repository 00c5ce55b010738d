"""What is on this box: models, adapters, tokenizers, data sets, and what they take."""
