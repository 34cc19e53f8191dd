"""Watches a measured process from outside: one module per tool."""
