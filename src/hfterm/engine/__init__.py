"""Processes that hold tokenizers and models, and the protocol to talk to them."""
