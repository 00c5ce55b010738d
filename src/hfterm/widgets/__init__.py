"""Widgets that take plain data and know no screen."""
