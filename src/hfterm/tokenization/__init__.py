"""Tokenizers: load, encode, look inside, compare, train. Plain functions and typed results."""
