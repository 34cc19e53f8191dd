"""One run with what profilers recorded of it: every file's tables on the run's clock."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..attribution.interval_evidence import StatesFrom
from ..attribution.windows import Trace
from ..dataset.event_store import EventStore, kinds_of, state_source
from ..errors import left_out
from ..readers.recording import RunRecording, read_recording
from ..timeline.clocks import ClockFit
from ..vocabulary import OWN_WAITS, Tool
from .discover import RunSources
from .registry import NSYS, SOURCES
from .source import Part, ProfilerFile

NO_REASONS_WARNING = "its events do not say why a thread left its core: waiting for a core counts as blocked"


def read_run(source: RunSources, scratch: Path, phases: str | None = None) -> tuple[RunRecording | None, Trace | None]:
    """A run and what profilers recorded of it, if any did; no run for a profile that belongs to none.

    ``scratch`` receives the event tables. ``phases`` (DOMAIN or DOMAIN:THREAD) chooses the ranges that are the phases
    of a run that only a profiler recorded.

    Raises MotraceError where nothing can be read, UsageError for bad ``phases``.
    """
    if source.is_trace:
        (only,) = source.files
        alone, its = only.source.alone(only, source.experiment, scratch / "own0", phases)
        pids = None if alone is None else frozenset(alone.pids)
        return alone, _joined(alone, [(only, its)], pids)
    run = read_recording(source.path)
    run.run_id, run.experiment = source.run_id or run.run_id, source.experiment
    parts: list[tuple[ProfilerFile, Part]] = []
    for number, file in enumerate(sorted(source.files, key=_order)):
        with left_out(file.name, run.warnings):
            part = file.source.read(file, run, scratch / f"part{number}", number)
            if part is not None:
                parts.append((file, part))
            if part is not None and part.profile is not None:
                run.manifest = replace(run.manifest, profiler_attached=True)  # whatever the launcher knew of it
    return run, _joined(run, parts) if parts else None


def _order(file: ProfilerFile) -> tuple[bool, bool, int]:
    """Traces first, for their names and clocks come first; then what our collectors wrote, then the user's own."""
    order = [source.name for source in SOURCES]
    return file.source.name != NSYS.name, not file.collected, order.index(file.source.name) if file.collected else 0


def _joined(
    run: RunRecording | None, files: list[tuple[ProfilerFile, Part]], pids: frozenset[int] | None = None
) -> Trace:
    """What was collected of a run, on its clock; ``pids`` as in ``Trace``."""
    names: dict[tuple[int, int], str] = {}
    clocks: dict[str, ClockFit] = {}
    tools: set[Tool] = set()
    parts = [part for _, part in files]
    for file, part in files:
        names = {**part.names, **names}
        tool = file.source.tool
        if tool is not None and (file.collected or part.clock is not None):
            tools.add(tool)
        if part.clock is not None:
            name = tool.value if file.collected and tool is not None else file.source.name
            name = name if name not in clocks else f"{name} {file.name}"
            clocks[name if name not in clocks else f"{name} {len(clocks)}"] = part.clock
    covered = [part.covered_ns for part in parts if part.covered_ns is not None]
    store = EventStore(tuple(part.folder for part in parts))
    source = state_source(store)
    sampled = next((part for file, part in files if file.source.tool == source), None)
    only_running = source is not None and store.words("thread_states", "state") == {"running"}
    if run is not None and run.cpu_log is None and only_running:
        run.warnings.append(f"{source}: {NO_REASONS_WARNING}")
    return Trace(
        store=store,
        covered_ns=(max(edge[0] for edge in covered), min(edge[1] for edge in covered)) if covered else (0, 0),
        clocks=clocks,
        tools=frozenset(tools),
        names=names,
        gpu_kinds=kinds_of(store, pids),
        state_source=source,
        states_from=sampled.states_from if sampled is not None else StatesFrom.SCHEDULING,
        step_ns=sampled.step_ns if sampled is not None else 0,
        hidden=_hidden(store, sampled is not None and sampled.states_from is StatesFrom.SAMPLES),
        stacks=next((part.stacks for part in parts if part.stacks is not None), None),
        profiles=tuple(part.profile for part in parts if part.profile is not None),
        pids=pids,
    )


def _hidden(store: EventStore, sampled: bool) -> frozenset[str]:
    """Which of the loop thread's own waits nothing in a store shows.

    Samples of states name what is waited for; a wait for the interpreter lock only where the sampler knew the lock,
    which its word shows. Calls name sleeps; a read's or a write's name does not say of what.
    """
    words = store.words("thread_states", "waits_on") | store.words("api_calls", "waits_on")
    seen = {"pipe", "io", "pacing"} if sampled else {"pacing"} if store.rows("api_calls") else set()
    return OWN_WAITS - seen - ({"gil"} & words)
