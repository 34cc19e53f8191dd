"""The sections of a report, made of its findings: each function takes a Report, or a part of it."""
