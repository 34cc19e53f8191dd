"""Exports and streams of Nsight Systems."""
