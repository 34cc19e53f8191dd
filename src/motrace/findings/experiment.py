"""The report of an experiment: what is computed of several runs together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import pyarrow as pa

from ..cautions import Caution, CautionCode, caution, recorded, shared
from ..dataset.facts import Environment, ExperimentManifest
from ..dataset.frames import FrameTimes
from ..dataset.tables import ExperimentKey
from .benchmark_rows import Findings, benchmark_rows
from .bottleneck import judge
from .compare import comparison, drifts, same_states
from .heaviest import with_heaviest
from .model import SCHEMA_VERSION, ClockAlignment, Report
from .pools import pool_runs
from .profile_model import UserProfile
from .profile_verdict import NO_PROFILE, of_profiles
from .profiler_overhead import profiler_overhead
from .run_model import RunSummary
from .run_summary import low_disk
from .triage import triage

NO_ENVIRONMENT = Environment(unknown={"environment": "no experiment.json"})


def experiment_report(
    key: ExperimentKey,
    manifest: ExperimentManifest,
    runs: Sequence[RunSummary],
    joined: Mapping[str, pa.Table],
    warnings: Iterable[Caution],
    profiles: Sequence[UserProfile],
) -> Report:
    """Everything that is computed of several runs, and what was recorded of all."""
    environment, command = manifest.environment or NO_ENVIRONMENT, manifest.command
    same, overhead = same_states(runs), profiler_overhead(runs)
    frames = FrameTimes.of(joined["frames"], joined["frame_phases"])
    pools = pool_runs(runs, frames, joined["episodes"], overhead)
    compared = comparison(runs)
    verdict = judge(runs, environment, pools, overhead) if runs else NO_PROFILE
    verdict = with_heaviest(of_profiles(verdict, runs, profiles), runs)
    answer = triage(runs, pools, compared, verdict, environment)
    about = Findings(runs, pools, compared, verdict, answer, environment, command)
    said = [
        *warnings,
        *([caution(CautionCode.STATES_DIFFER)] if same is False else []),
        *drifts(compared),
        *map(recorded, command.warnings if command is not None else ()),
        *low_disk(environment.disk_free_bytes),
        *shared((run.run_id, one) for run in runs for one in run.warnings),
    ]
    clocks = [{**row, "run_id": row["run"]} for row in joined["clocks"].to_pylist()]
    return Report(
        schema_version=SCHEMA_VERSION,
        experiment=key.name,
        experiment_id=key.id,
        created_utc=manifest.created_utc,
        environment=environment,
        command=command,
        runs=tuple(runs),
        pools=pools,
        same_states=same,
        comparison=compared,
        profiler_overhead=overhead,
        profiles=tuple(profiles),
        verdict=verdict,
        triage=answer,
        benchmark=benchmark_rows(about) if runs else (),
        clocks=msgspec.convert(clocks, tuple[ClockAlignment, ...]),
        warnings=tuple(said),
    )
