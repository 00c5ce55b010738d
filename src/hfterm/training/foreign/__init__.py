"""Runs of other programs: their metrics are read where they lie, and never written to.

One module a format, each with a class that is a `CurveSource`; `detect` tells which a path is.
"""
