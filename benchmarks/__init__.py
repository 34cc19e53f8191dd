"""Benchmarks: run as ``python -m benchmarks.NAME``; each compares two ways in turn, in one process."""
