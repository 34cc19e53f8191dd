"""Rows of the benchmark report about the machine, its software and the command."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from ..cautions import Value
from ..dataset.facts import Command, Environment, ProgramEnvironment
from .benchmark_codes import BenchmarkItem, Note
from .model import BenchmarkRow, Remark
from .run_model import RunSummary


def _note(note: Note, **values: Value) -> Remark:
    return Remark(note, values)


NO_UNILAB = _note(Note.NO_UNILAB)


def environment_rows(environment: Environment, runs: Sequence[RunSummary]) -> Iterator[BenchmarkRow]:
    """The machine, then its software."""
    yield from _machine(environment)
    yield _adapter(runs)
    yield from _software(environment, runs)


def _known(
    item: BenchmarkItem, value: str | None, field: str, environment: Environment, note: Remark | None = None
) -> BenchmarkRow:
    """A value of the environment, or why it is not known."""
    if value:
        return BenchmarkRow(item, value, "", note)
    why = environment.unknown.get(field) or environment.unknown.get("environment")
    return BenchmarkRow(item, None, "", _note(Note.RECORDED, text=why) if why else _note(Note.NONE_THERE))


def _machine(environment: Environment) -> Iterator[BenchmarkRow]:
    cores = environment.cpu_logical_cores
    known = None if cores is None else _note(Note.CORES, cores=cores)
    yield _known(BenchmarkItem.OS, environment.os, "os", environment)
    yield _known(BenchmarkItem.KERNEL, environment.kernel, "kernel", environment)
    yield _known(BenchmarkItem.CPU, environment.cpu_model, "cpu_model", environment, known)
    yield _known(BenchmarkItem.GPU, "; ".join(environment.gpu_names), "gpus", environment)
    yield _known(BenchmarkItem.GPU_DRIVER, environment.gpu_driver, "gpu_driver", environment)
    yield _known(BenchmarkItem.CUDA_DRIVER, environment.cuda_driver, "cuda_driver", environment)


def _adapter(runs: Sequence[RunSummary]) -> BenchmarkRow:
    adapter = next((run.adapter for run in runs if run.adapter is not None), None)
    if adapter is None:
        why = next((run.adapter_unknown for run in runs if run.adapter_unknown), None)
        note = _note(Note.RECORDED, text=why) if why else _note(Note.NOT_RECORDED)
        return BenchmarkRow(BenchmarkItem.ADAPTER, None, "", note)
    driver = _note(Note.DRIVER, device_type=adapter.device_type, driver=adapter.driver, driver_info=adapter.driver_info)
    return BenchmarkRow(BenchmarkItem.ADAPTER, adapter.name, "", driver)


def _software(environment: Environment, runs: Sequence[RunSummary]) -> Iterator[BenchmarkRow]:
    measured = environment.measured
    yield _known(BenchmarkItem.PYTHON, measured.python, "python", environment)
    build = measured.motrixsim_build
    about = _note(Note.MOTRIX_NOT_FOUND) if build is None else _note(Note.BUILD, build_id=build.build_id or "")
    yield BenchmarkRow(BenchmarkItem.MOTRIX, None if build is None else build.version, "", about)
    unilab = (measured.packages or {}).get("unilab")
    commit = measured.commits.get("unilab") if isinstance(measured, ProgramEnvironment) else None
    note = NO_UNILAB if not unilab else _note(Note.COMMIT, commit=commit) if commit else None
    yield BenchmarkRow(BenchmarkItem.UNILAB, unilab, "", note)
    yield from _checkpoint(runs, bool(unilab))
    yield BenchmarkRow(BenchmarkItem.RUNS, ", ".join(run.run_id for run in runs))
    yield _known(BenchmarkItem.H264_ENCODER, environment.h264_encoder, "h264_encoder", environment)
    project = environment.motrace
    note = None if project is None or project.commit is None else _note(Note.COMMIT, commit=project.commit)
    yield BenchmarkRow(BenchmarkItem.MOTRACE, None if project is None else project.version, "", note)


def _checkpoint(runs: Sequence[RunSummary], unilab: bool) -> Iterator[BenchmarkRow]:
    checkpoint = next((run.workload.checkpoint for run in runs if run.workload.checkpoint is not None), None)
    if checkpoint is None:
        missing = _note(Note.NO_CHECKPOINT)
        yield BenchmarkRow(BenchmarkItem.CHECKPOINT, None, "", missing)
        yield BenchmarkRow(BenchmarkItem.UNILAB_RUN, None, "", missing if unilab else NO_UNILAB)
        return
    digest = None if checkpoint.sha256 is None else _note(Note.DIGEST, sha256=checkpoint.sha256)
    yield BenchmarkRow(BenchmarkItem.CHECKPOINT, checkpoint.path, "", digest)
    folders = checkpoint.path.split("/")[:-1]
    run_id = folders[-1] if folders and unilab else None
    note = None if run_id else _note(Note.NOT_IN_PATH) if unilab else NO_UNILAB
    yield BenchmarkRow(BenchmarkItem.UNILAB_RUN, run_id, "", note)


def command_rows(command: Command | None, environment: Environment) -> Iterator[BenchmarkRow]:
    """What was asked for."""
    unilab = environment.unilab
    why = _note(Note.NO_EXPERIMENT_FILE) if command is None else None
    argv = shlex.join(command.argv) if command is not None and command.argv else None
    yield BenchmarkRow(BenchmarkItem.COMMAND, argv, "", why)
    note = NO_UNILAB if unilab is None else None
    yield BenchmarkRow(BenchmarkItem.UNILAB_COMMAND, shlex.join(unilab.command) if unilab else None, "", note)
    yield BenchmarkRow(BenchmarkItem.OVERRIDES, " ".join(unilab.overrides) if unilab else None, "", note)
    for item, key in ((BenchmarkItem.NUM_ENVS, "num_envs"), (BenchmarkItem.SEED, "seed")):
        value = None if command is None else command.options.get(key)
        known = value if isinstance(value, int) else None
        yield BenchmarkRow(item, known, "1", None if known is not None else why or _note(Note.NOT_AN_OPTION))
