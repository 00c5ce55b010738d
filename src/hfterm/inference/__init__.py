"""Heads on real text: typed results of forward passes; usable from a notebook."""
