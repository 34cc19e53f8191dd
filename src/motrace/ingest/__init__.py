"""Brings files in: finds them, matches them to runs, aligns their clocks."""
