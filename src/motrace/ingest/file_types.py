"""What a file is that no source recognises, and what to do: for refusals, and for what a walk of a folder passes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ..escape import encodable
from .source import HEAD_BYTES, Head

_MOST_KEYS = 4
_LONGEST = 60


class FileType(Enum):
    """What a refusal says; its fields in braces."""

    EMPTY = "empty: nothing was written into it, as py-spy does where it sampled nothing; record it again"
    QDREP = (
        "a report of Nsight Systems 2021.3 or older: run `nsys export -t sqlite -o {stem}.sqlite {name}` where Nsight "
        "Systems is installed, and analyse that file"
    )
    NCU = "a report of Nsight Compute, which is about single kernels: record the program with `nsys profile`"
    NVPROF = "a file of nvprof: record the program with `nsys profile`, its successor"
    CPROFILE = "a profile of cProfile, which has sums, no times: record the program with `py-spy record -f speedscope`"
    PERF = "a recording of perf: record the program with `py-spy record --native -f speedscope`"
    MEMRAY = "a recording of memray, which is about memory: record the program with `py-spy record -f speedscope`"
    PERFETTO = "a trace in Perfetto's own format: open it at ui.perfetto.dev; motrace reads what the profilers wrote"
    ARCHIVE = "an archive: unpack it first"
    DATABASE = "an SQLite database without tables of Nsight Systems"
    FLAME_GRAPH_EMPTY = "a flame graph in which nothing was sampled: profile for longer, or with --idle (py-spy)"
    FLAME_GRAPH = "a flame graph that is not py-spy's: record the program with `py-spy record`"
    PICTURE = "a picture"
    PAGE = "a web page: give the profiler's data file that it was made of (of Scalene, its JSON)"
    STACKS = "stacks with counts, but none of Python's: record the program with `py-spy record -f raw`"
    NOTHING_SEEN = "{{}}, which is what Scalene writes where it saw nothing: run it for longer, or with --profile-all"
    NO_SAMPLES = "[], which is what py-spy writes as chrometrace where it sampled nothing: profile for longer"
    SPEEDSCOPE = "a speedscope file of {maker}: only py-spy's are read; record with `py-spy record -f speedscope`"
    TRACE = (
        "a Chrome trace that neither torch.profiler nor VizTracer wrote: open it at ui.perfetto.dev, or record the "
        "program with one of them"
    )
    TRACE_EMPTY = "a Chrome trace without events: nothing was recorded; record it again"
    JSON = "JSON of no profiler that motrace reads ({keys})"
    OTHER = (
        "neither a folder, nor a report of Nsight Systems (.nsys-rep or an export of it), nor a file of py-spy, "
        "VizTracer, torch.profiler or Scalene"
    )


_COUNTED = {FileType.OTHER, FileType.PICTURE}
"""Files that lie anywhere: in a folder they are only counted."""
_ANYONE_S = {*_COUNTED, FileType.JSON, FileType.EMPTY, FileType.ARCHIVE, FileType.DATABASE, FileType.PAGE}
"""What need not come of a profiler: a run's own folder holds such files."""
_BY_SUFFIX = {
    ".qdrep": FileType.QDREP, ".ncu-rep": FileType.NCU, ".nvvp": FileType.NVPROF, ".nvprof": FileType.NVPROF,
    ".pstats": FileType.CPROFILE, ".pftrace": FileType.PERFETTO, ".perfetto-trace": FileType.PERFETTO,
}  # fmt: skip
_BY_MAGIC = {
    b"PERFILE": FileType.PERF, b"memray": FileType.MEMRAY, b"PK\x03\x04": FileType.ARCHIVE, b"7z\xbc": FileType.ARCHIVE,
    b"\xfd7zXZ": FileType.ARCHIVE, b"\x28\xb5\x2f\xfd": FileType.ARCHIVE, b"BZh": FileType.ARCHIVE,
    b"SQLite format 3": FileType.DATABASE, b"\x89PNG": FileType.PICTURE,
}  # fmt: skip
_BOX = re.compile(rb"<rect [^>]*\bfg:w=|<g[^>]*>\s*<title>")
_EXPORTER = re.compile(r'"exporter"\s*:\s*"([^"]*)"')
_KEY = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:')


@dataclass(frozen=True)
class PassedOver:
    """A file that is not read, and why; ``named``: by itself, not only counted; ``of_a_tool``: certainly."""

    path: Path
    why: str
    named: bool
    of_a_tool: bool


def passed_over(path: Path) -> PassedOver:
    """Why a file that no source recognises is not read. Never raises."""
    head = Head(path)
    kind = _type_of(head)
    name = encodable(path.name)
    maker = _EXPORTER.search(head.text)
    known = {"name": name, "stem": encodable(path.stem), "maker": maker[1][:_LONGEST] if maker else "another tool"}
    why = kind.value.format(**known, keys=_keys(head.text) if kind is FileType.JSON else "")
    return PassedOver(path, why, kind not in _COUNTED, kind not in _ANYONE_S)


def _type_of(head: Head) -> FileType:
    data, text = head.data, head.text
    if head.path.suffix.lower() in _BY_SUFFIX:
        return _BY_SUFFIX[head.path.suffix.lower()]
    found = next((kind for magic, kind in _BY_MAGIC.items() if data.startswith(magic)), None)
    if found is not None or b"ustar" in data[257:265]:
        return found or FileType.ARCHIVE
    if not text.strip():
        return FileType.EMPTY if head.is_regular and not data.strip() else FileType.OTHER
    if text.startswith(("{", "[")):
        return _json_type(head)
    start = text[:HEAD_BYTES].lower()
    if "<svg" in start:
        flames = re.search(r"flame ?graph|fg:|id=\"frames\"|py-spy", start)
        boxes = head.has(_BOX)
        return FileType.PICTURE if not flames else FileType.FLAME_GRAPH if boxes else FileType.FLAME_GRAPH_EMPTY
    if start.startswith(("<!doctype html", "<html")):
        return FileType.PAGE
    lines = [line for line in text.splitlines()[:20] if line.strip()]
    return FileType.STACKS if all(re.match(r"[^;]+;.* \d+$", line) for line in lines) else FileType.OTHER


def _json_type(head: Head) -> FileType:
    text = head.text
    bare = "".join(text.split())
    if bare in ("{}", "[]"):
        return FileType.NOTHING_SEEN if bare == "{}" else FileType.NO_SAMPLES
    if "www.speedscope.app" in text:
        return FileType.SPEEDSCOPE
    if head.has(re.compile(rb'"traceEvents"\s*:')):
        return FileType.TRACE if head.has(re.compile(rb'"ph"\s*:')) else FileType.TRACE_EMPTY
    return FileType.TRACE if text.startswith("[") and re.search(r'"ph"\s*:\s*"', text) else FileType.JSON


def _keys(text: str) -> str:
    """The first keys of an object, in words; of a long one, of what was read of it."""
    try:
        data = json.loads(text)
        keys = [str(key) for key in data] if isinstance(data, dict) else []
    except (ValueError, RecursionError):
        keys = [found[1] for found in _KEY.finditer(text)]
    shown = ", ".join(key[:_LONGEST] for key in dict.fromkeys(keys[:_MOST_KEYS]))
    return f"its first keys: {shown}" if shown else "without keys"
