"""What a model attends to: weights, metrics of heads, hidden states. Usable from a notebook."""
