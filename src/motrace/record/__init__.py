"""Runs inside the measured process. Imports the standard library, and nvtx when a profiler is attached."""
