"""Puts what different clocks saw on one clock, and computes with intervals. Pure."""
