"""Models: which class, what is in it, what it costs. Typed results; usable from a notebook."""
