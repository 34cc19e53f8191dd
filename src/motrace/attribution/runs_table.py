"""The table ``runs`` of a run: what it was asked, how it ended, where it ran."""

from __future__ import annotations

import json

import pyarrow as pa

from ..dataset import tables
from ..dataset.facts import Environment, RunManifest
from ..dataset.typed_json import JsonScalar
from .run import RunAnalysis


def runs_table(analysis: RunAnalysis, manifest: RunManifest, environment: Environment) -> pa.Table:
    """One row. ``manifest`` is its own, as it may be shown; ``environment`` its experiment's.

    Whether it is pooled depends on the other runs; findings say it.
    """
    asked, adapter, used = manifest.options, manifest.adapter, manifest.resources
    env = manifest.environment if manifest.environment.python else environment
    packages = env.measured.packages or {}
    recording = analysis.recording
    row = {
        "mode": analysis.mode,
        "profilers": list(manifest.profilers),
        "collectors": manifest.collectors,
        "pooled": False,
        "profiled": manifest.observer,
        "profiler_attached": manifest.profiler_attached,
        "status": analysis.status,
        "status_reason": manifest.status_reason,
        "adapter": adapter.name if adapter is not None else None,
        "adapter_type": adapter.device_type if adapter is not None else None,
        "software_adapter": adapter.is_software if adapter is not None else None,
        **{name: _whole(asked.get(name)) for name in ("num_envs", "width", "height")},
        "frames_asked": manifest.frames_asked,
        "options": json.dumps(asked),
        "motrixsim": packages.get("motrixsim-core"),
        "torch": packages.get("torch"),
        "python": env.measured.python,
        "motrace_commit": env.motrace.commit if env.motrace is not None else None,
        "start_utc": recording.utc_ns // 1000 if recording.utc_ns is not None else None,
        "origin_ns": recording.origin_ns,
        "run_wall_ns": analysis.segments[-1].end_ns,
        "contention_ns": used.contention_ns if used is not None else 0,
    }
    return tables.make(tables.SCHEMAS["runs"], {**analysis.key.columns(1), **{name: [row[name]] for name in row}})


def _whole(value: JsonScalar | list[JsonScalar] | dict[str, JsonScalar]) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
