"""Which profiler wrote a file, by what is in it: the name says nothing, for users choose their own."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

PYSPY, SCALENE, TORCH = "py-spy", "Scalene", "torch.profiler"
HEAD_BYTES = 1 << 16
"""So much is looked at of a file whose first bytes do not rule it out."""

_FIRST_BYTES = 256
_GZIP = b"\x1f\x8b"
_SPEEDSCOPE = re.compile(r'"\$schema"\s*:\s*"https://www\.speedscope\.app/')
_CHROMETRACE = re.compile(r'^\s*\[\s*\{[^{}]*(\{[^{}]*\})?[^{}]*"cat"\s*:\s*"py-spy"')
_KINETO = re.compile(r'"(schemaVersion|deviceProperties|baseTimeNanoseconds|distributedInfo)"\s*:')


def recognise(path: Path) -> str | None:
    """PYSPY, SCALENE or TORCH if that tool wrote the regular file ``path``; None for any other, or cut too short.

    Looks at the first 64 KiB (more of a speedscope file, which names its maker at the end). Never raises: a file
    that can't be opened is none of theirs.
    """
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            first = file.read(_FIRST_BYTES)
            if not first.startswith(_GZIP) and b"\0" in first:
                return None
            head = first + file.read(HEAD_BYTES - len(first))
    except OSError:
        return None
    if head.startswith(_GZIP):
        return TORCH if _is_kineto(_inflated(head)) else None
    text = head.decode(errors="replace").lstrip("\ufeff").lstrip()
    if text.startswith("{"):
        return _of_object(text, path)
    if text.startswith("["):
        return PYSPY if _CHROMETRACE.match(text) else None
    if text.startswith(("<?xml", "<!DOCTYPE svg", "<svg")):
        return PYSPY if "py-spy" in text and 'fg:x="' in text else None
    return PYSPY if _is_raw(text, len(head) < HEAD_BYTES) else None


def _inflated(head: bytes) -> str:
    """The beginning of what was zipped; empty if it is no gzip."""
    try:
        return zlib.decompressobj(wbits=31).decompress(head, HEAD_BYTES).decode(errors="replace")
    except zlib.error:
        return ""


def _of_object(text: str, path: Path) -> str | None:
    """Who wrote a JSON object."""
    if _SPEEDSCOPE.search(text):
        # Others write this form too; py-spy names itself after the samples. Where the end is lost nobody does.
        whole = path.read_text(errors="replace")
        return PYSPY if re.search(r'"exporter"\s*:\s*"py-spy', whole) or not whole.rstrip().endswith("}") else None
    if _is_kineto(text):
        return TORCH
    if re.match(r'\{\s*"alloc_samples"\s*:', text) or '"elapsed_time_sec"' in text or '"n_cpu_percent_python"' in text:
        whole = path.read_text(errors="replace")  # its stacks may come before what is its own
        return SCALENE if '"elapsed_time_sec"' in whole and '"files"' in whole else None
    return None


def _is_kineto(text: str) -> bool:
    return text.lstrip().startswith("{") and '"traceEvents"' in text and _KINETO.search(text) is not None


def _is_raw(text: str, whole: bool) -> bool:
    """Whether the lines are stacks with a count, most of them with a frame ``function (file:line)`` of Python's."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not whole and len(lines) == 1:  # one stack, longer than what was read
        return re.match(r"(process|thread) .*;|[^;]+ \([^;()]+:\d+\);", lines[0]) is not None
    parts = [line.rpartition(" ") for line in (lines if whole else lines[:-1])]
    python = sum(re.search(r"(^|;)[^;]+ \([^;()]+:\d+\)(;|$)", frames) is not None for frames, _, _ in parts)
    return bool(parts) and all(count.isdecimal() for _, _, count in parts) and 2 * python > len(parts)
