"""report.json and sweep.json: their JSON Schema, and the one way in and out of JSON."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from ..dataset.facts import RunManifest
from ..dataset.typed_json import Json
from ..errors import MotraceError
from ..findings.model import SCHEMA_VERSION, Report
from ..findings.sweep_model import Sweep

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SIGNED = {"offset_ns", "residual_ns", "gap_mean_ns"}
"""Times that may be below 0."""
Known = TypeVar("Known", Report, Sweep)
Record = TypeVar("Record", Report, Sweep, RunManifest)


def rewritten(document: Record, *changes: Callable[[Json], Json]) -> Record:
    """A document whose JSON was changed (credentials, paths), checked again. Raises ValueError."""
    data: Json = msgspec.to_builtins(document)
    for change in changes:
        data = change(data)
    return msgspec.convert(data, type(document))


def encode(document: Report | Sweep) -> str:
    """As JSON text, which reads back as the same. Raises MotraceError where its schema does not hold."""
    text = msgspec.json.format(msgspec.json.encode(document), indent=2)
    try:
        same = msgspec.json.decode(text, type=type(document)) == document
    except msgspec.ValidationError as error:
        raise MotraceError(f"the report would break its schema ({error}). Please report this") from error
    if not same:
        raise MotraceError("the report does not read back as it was written. Please report this")
    return text.decode() + "\n"


def decode(text: str | bytes, name: str, kind: type[Known]) -> Known:
    """The document of a JSON text; ``name`` is the file's. Raises MotraceError."""
    try:
        found = msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, ValueError) as error:
        raise MotraceError(f"{name} can't be read ({error}): analyse the recording again") from error
    if found.schema_version != SCHEMA_VERSION:
        raise MotraceError(
            f"{name} is of schema {found.schema_version}, not {SCHEMA_VERSION}: analyse the recording again"
        )
    return found


def json_schema() -> str:
    """The JSON Schema of report.json, as docs/report.schema.json holds it: of this version, without other keys."""
    (types,), parts = msgspec.json.schema_components([Report], ref_template="#/$defs/{name}")
    for part in parts.values():
        if "properties" in part:
            part["additionalProperties"] = False
            for name, value in part["properties"].items():
                kinds = value.get("anyOf", [value])
                is_count = {kind.get("type") for kind in kinds} <= {"integer", "null"}
                for kind in kinds if (is_count or name.endswith("ns")) and name not in SIGNED else ():
                    kind |= {"minimum": 0} if kind.get("type") in ("integer", "number") else {}
    parts["Report"]["properties"]["schema_version"] = {"type": "string", "pattern": rf"^{re.escape(SCHEMA_VERSION)}$"}
    head = {"$schema": DIALECT, "$id": f"urn:motrace:report:{SCHEMA_VERSION}", "title": "report.json of motrace"}
    return msgspec.json.format(msgspec.json.encode({**head, **types, "$defs": parts}), indent=1).decode() + "\n"
