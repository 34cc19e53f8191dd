"""Known programs with an oracle of their own, and what motrace says of them: ``python -m benchmarks.truth``."""
