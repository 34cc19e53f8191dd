"""Thin commands: ``python -m tools.NAME``."""
