"""Chat with a causal language model: loading, prompting, streaming, measuring, keeping."""
