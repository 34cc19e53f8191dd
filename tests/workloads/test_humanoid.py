"""The embedded workload on the real Motrix renderer, small."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from motrace import run_folder
from motrace.analysis import Analysis, load, write
from motrace.commands.record import modes_in_order
from motrace.findings.codes import SetupCode
from motrace.vocabulary import SEGMENTS
from motrace.workloads.video import probe
from tests.reports import buckets, phases, pools, said, segment_phases, segments

pytestmark = pytest.mark.motrix
FRAMES, WARMUP, ENVS = 8, 3, 2


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """record, none, none, record; 2 environments at 128x72, 8 frames."""
    import subprocess
    import sys

    from tests.conftest import ROOT

    out = tmp_path_factory.mktemp("traces")
    words = ("--frames", FRAMES, "--warmup", WARMUP, "--num-envs", ENVS, "--size", "128x72", "--repeat", 2, "--seed", 3)
    command = [sys.executable, "-m", "tools.run_record", "--out", out, "--name", "small", *words]
    done = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Vulkan adapter: " in done.stdout and "preset " in done.stdout
    return out / "small"


@pytest.fixture(scope="module")
def analysis(experiment: Path) -> Analysis:
    return load(experiment)


def manifests(experiment: Path) -> dict[str, dict[str, Any]]:
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(experiment.glob("*/run.json"))}


def test_runs_alternate_so_that_drift_cancels(experiment: Path) -> None:
    assert list(manifests(experiment)) == ["01-record", "02-none", "03-none", "04-record"]


def test_the_manifest_says_what_was_done(experiment: Path) -> None:
    for run_id, manifest in manifests(experiment).items():
        assert manifest["status"] == "completed" and manifest["exit_code"] == 0
        assert manifest["options"]["frames"] == FRAMES and manifest["options"]["seed"] == 3
        checkpoint = manifest["workload"]["checkpoint"]
        assert checkpoint["sha256"] == run_folder.sha256_of(experiment / run_id / checkpoint["path"])
        for artifact in manifest["artifacts"]:
            path = experiment / run_id / artifact["path"]
            assert path.stat().st_size == artifact["bytes"] and run_folder.sha256_of(path) == artifact["sha256"]
        kinds = {Path(artifact["path"]).suffix for artifact in manifest["artifacts"]}
        assert {".bin", ".txt", ".pt"} <= kinds
        clocks = manifest["clocks"]
        assert clocks["exit_monotonic_ns"] > clocks["spawn_monotonic_ns"]


def test_the_adapter_is_the_renderers_own_word(experiment: Path) -> None:
    for run_id, manifest in manifests(experiment).items():
        if manifest["mode"] == "none":
            assert manifest["adapter"] is None and "no renderer" in manifest["adapter_unknown"]
        else:
            assert manifest["adapter"]["backend"] == "Vulkan" and manifest["adapter"]["name"]
            assert manifest["adapter"]["name"] in (experiment / run_id / "log.txt").read_text()


def test_the_environment_is_known_or_says_why_not(experiment: Path) -> None:
    environment = json.loads((experiment / "experiment.json").read_text())["environment"]
    for key in ("os", "kernel", "cpu_model", "cpu_logical_cores", "memory_bytes", "python", "ffmpeg", "h264_encoder"):
        assert environment[key], key
    for key, value in environment.items():
        if value is None:
            assert environment["unknown"][key], f"{key} is null without a reason"
    assert environment["packages"]["motrixsim-core"] == environment["motrixsim_build"]["version"]
    assert len(environment["motrixsim_build"]["build_id"]) == 40


def test_nothing_of_the_machine_is_in_the_manifests(experiment: Path) -> None:
    import getpass
    import os
    import socket

    for path in (experiment / "experiment.json", *experiment.glob("*/run.json")):
        text = path.read_text()
        for secret in (socket.gethostname(), os.path.expanduser("~"), str(Path.cwd()), os.environ.get("PATH", "")):
            if len(secret) > 3 and secret != "localhost":
                assert secret not in text, (path.name, secret)
        assert f'"{getpass.getuser()}"' not in text


def test_the_video_holds_the_frames_of_the_loop(experiment: Path) -> None:
    for run_id, manifest in manifests(experiment).items():
        path = experiment / run_id / "play_video.mp4"
        if manifest["mode"] == "none":
            assert not path.exists()
            continue
        facts = probe(path)
        assert facts.frames == FRAMES, "warm-up frames are kept out"
        assert (facts.width, facts.height, facts.fps) == (128, 72, 50)
        assert facts.blank_frames == 0
        assert facts.distinct_frames > FRAMES // 2, "the robots move"
        assert manifest["video"] == facts.as_json()


def test_warmup_takes_in_the_blank_frames(experiment: Path) -> None:
    for manifest in manifests(experiment).values():
        workload = manifest["workload"]
        assert workload["frames"] == FRAMES
        assert workload["warmup_frames"] >= WARMUP
        if manifest["mode"] == "record":
            assert workload["blank_warmup_frames"] >= 1, "Motrix's first picture is blank: the rule is there for it"


def test_one_seed_gives_one_state_sequence(experiment: Path, analysis: Analysis) -> None:
    digests = {manifest["workload"]["state_sha256"] for manifest in manifests(experiment).values()}
    assert len(digests) == 1
    assert analysis.report.same_states is True


def test_every_nanosecond_is_attributed(analysis: Analysis) -> None:
    for run in analysis.report.runs:
        assert run.residual_ns == 0
        assert sum(segments(run).values()) == run.run_wall_ns
        assert [one.segment for one in run.segments] == list(SEGMENTS)
        assert sum(one.time.ns for one in run.buckets) == run.recording_wall_ns
        assert sum(one.time.ns for one in run.causes) == run.recording_wall_ns
        assert run.unexplained_ns == 0


def test_phases_are_those_of_the_loop_and_add_up(analysis: Analysis) -> None:
    record, none = pools(analysis.report)["record"], pools(analysis.report)["none"]
    assert {"policy", "step", "capture", "submit", "wait", "take", "copy", "glue"} <= set(phases(record))
    assert {phase for phase in phases(none) if phase not in ("reset",)} == {"policy", "step", "glue"}
    assert {"encode", "encode.write", "encode.finish"} <= set(segment_phases(record, "drain"))
    assert {"imports", "environment", "checkpoint", "renderer"} <= set(segment_phases(record, "startup"))
    for leaf in ("submit", "wait", "take"):
        assert phases(record)[leaf].parent == "capture"
    for pool in (record, none):
        leaves = sum(one.self_ns for run in analysis.report.runs_named(pool.runs) for one in run.phases)
        assert leaves == pool.frame.total_ns
        loop = [one for one in pool.segment_phases if one.segment == "loop"]
        assert sum(one.self_ns for one in loop) == pool.loop_wall_ns


def test_threads_bear_roles(analysis: Analysis) -> None:
    threads = analysis.tables["threads"].to_pandas()
    record = threads[threads["run"] == "01-record"]
    roles = set(record["role"])
    assert {"loop", "renderer", "task_pool", "sim_pool", "encoder"} <= roles
    software = analysis.report.runs[0].software
    if software:
        raster = record[record["role"] == "raster"]["name"].tolist()
        assert any(name.startswith("llvmpipe-") for name in raster)
        assert "python" in raster or "python3" in raster, "lavapipe's queue thread bears the program's name"


def test_a_software_rasterizer_is_said_before_any_number(analysis: Analysis) -> None:
    if not analysis.report.runs[0].software:
        pytest.skip("this machine draws on a GPU")
    software = (SetupCode.SOFTWARE_ADAPTER, SetupCode.SOFTWARE_ADAPTER_DESPITE_GPU)
    assert analysis.report.verdict.setup[0].finding in software
    assert any("software adapter" in text for text in said(analysis.report))
    assert buckets(pools(analysis.report)["record"])["renderer_gpu"].time.ns > 0


def test_episodes_are_told_and_the_same_in_both_modes(analysis: Analysis, tmp_path: Path) -> None:
    """Warm-up ends with a reset of everything; all steps of all environments are in an episode."""
    table = analysis.tables["episodes"].to_pandas()
    assert table["length"].sum() == sum(ENVS * (run.frames + run.warmup_frames) for run in analysis.report.runs)
    kept = table[~table["warmup"]].drop(
        columns=["start_step", "end_step", "episode"]
    )  # warm-up lasts as long as it must
    by_run = [group.drop(columns="run").reset_index(drop=True) for _, group in kept.groupby("run", observed=True)]
    assert len(by_run) == 4 and all(group.equals(by_run[0]) for group in by_run)
    assert set(table[table["warmup"]]["reason"].astype(str)) == {"reset"}
    for pool in pools(analysis.report).values():
        told = pool.episodes
        assert told is not None and told.episodes == told.ended + told.cut_off
        assert told.reward_per_step is not None and 0.9 < told.reward_per_step <= 1.0
        assert told.frames_with_reset is not None and told.frames_with_reset <= told.resets
    write(analysis, tmp_path)
    assert pq.read_table(tmp_path / "episodes.parquet").num_rows == len(table)
    assert "## Episodes" in (tmp_path / "report.md").read_text()


def test_record_is_compared_with_none(analysis: Analysis) -> None:
    comparison = analysis.report.comparison
    contrast = comparison.record_against_none
    assert contrast is not None and (contrast.new_runs, contrast.base_runs) == (2, 2)
    for entry in (contrast.frame_ns, contrast.frame_with_drain_ns):
        assert entry.lo is not None and entry.hi is not None and entry.lo <= entry.difference <= entry.hi
        assert entry.difference == pytest.approx(entry.new - entry.base)
    assert contrast.frame_ns.difference > 0
    assert {one.phase: one.time_ns.base for one in contrast.phases}["capture"] == 0


def test_effective_fps_counts_the_drain(analysis: Analysis) -> None:
    for run in analysis.report.runs:
        assert run.loop_fps == pytest.approx(FRAMES / (run.loop_wall_ns / 1e9))
        wall = segments(run)["loop"] + segments(run)["drain"]
        assert run.effective_fps == pytest.approx(FRAMES / (wall / 1e9))
        if run.mode == "record":
            assert run.effective_fps < run.loop_fps


def test_tables_are_written_as_declared(analysis: Analysis, tmp_path: Path) -> None:
    write(analysis, tmp_path)
    for name in ("spans", "thread_cpu", "threads", "clocks", "segments", "frames", "attribution"):
        table = pq.read_table(tmp_path / f"{name}.parquet")
        assert table.num_rows == analysis.tables[name].num_rows
        assert table.schema.field("run") is not None
    spans = pq.read_table(tmp_path / "spans.parquet").to_pandas()
    loop = spans[(spans["name"] == "wait") & spans["closed"]]
    assert (loop["cpu_ns"] + loop["runq_ns"] <= loop["end_ns"] - loop["start_ns"]).all()
    assert np.isfinite(loop["cpu_ns"]).all()


def test_two_analyses_print_the_same_bytes(experiment: Path, tmp_path: Path) -> None:
    for folder, jobs in (("a", 1), ("b", 2)):
        write(load(experiment, jobs=jobs), tmp_path / folder)
    for name in ("report.json", "report.md", "report.html", "attribution.parquet", "spans.parquet"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_a_checkpoint_of_ours_can_be_given_again(experiment: Path, run_program: Callable, tmp_path: Path) -> None:
    checkpoint = experiment / "02-none" / "policy.pt"
    words = ("--mode", "none", "--frames", FRAMES, "--warmup", WARMUP, "--num-envs", ENVS, "--seed", 3)
    run_program("-m", "tools.run_record", "--out", tmp_path, "--name", "x", *words, "--checkpoint", checkpoint)
    (manifest,) = manifests(tmp_path / "x").values()
    assert manifest["workload"]["checkpoint"]["origin"] == "given"
    assert manifest["workload"]["state_sha256"] == manifests(experiment)["02-none"]["workload"]["state_sha256"]


def test_another_seed_gives_another_state(experiment: Path, run_program: Callable, tmp_path: Path) -> None:
    words = ("--mode", "none", "--frames", FRAMES, "--warmup", WARMUP, "--num-envs", ENVS, "--seed", 4)
    run_program("-m", "tools.run_record", "--out", tmp_path, "--name", "x", *words)
    (manifest,) = manifests(tmp_path / "x").values()
    assert manifest["workload"]["state_sha256"] != manifests(experiment)["02-none"]["workload"]["state_sha256"]


def test_pictures_can_be_made_and_dropped(run_program: Callable, tmp_path: Path) -> None:
    """Mode capture: the rung between none and record."""
    words = ("--mode", "capture", "--frames", FRAMES, "--warmup", WARMUP, "--num-envs", ENVS, "--size", "128x72")
    run_program("-m", "tools.run_record", "--out", tmp_path, "--name", "x", *words, "--seed", 3)
    report = load(tmp_path / "x").report
    (run,) = report.runs
    assert run.mode == "capture" and run.frames == FRAMES and run.residual_ns == 0
    assert {"capture", "submit", "wait", "take"} <= set(phases(run)) and "copy" not in phases(run)
    assert run.video is None and run.video_unknown == "mode capture records nothing"
    assert run.adapter is not None and run.adapter.backend == "Vulkan"
    assert (run.workload.blank_warmup_frames or 0) >= 1
    assert not any("no video" in text for text in said(run))


def test_the_order_of_modes_cancels_drift() -> None:
    assert modes_in_order("both", 3) == ["record", "none", "none", "record", "record", "none"]
    assert modes_in_order("all", 2) == ["record", "capture", "none", "none", "capture", "record"]
    assert modes_in_order("capture", 2) == ["capture"] * 2
