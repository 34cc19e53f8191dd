"""UniLab's own eval, installed as its users install it, on the real Motrix renderer, with the shared assets."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from motrace.analysis import Analysis, load, write
from motrace.dataset.frames import wide
from motrace.errors import MotraceError, UsageError
from motrace.findings.benchmark_codes import BenchmarkItem
from motrace.findings.model import Report
from motrace.record.table import parse
from motrace.report.isaaclab.schema import PlayBundle
from motrace.report.say import say
from motrace.report.schema import decode
from motrace.workloads import unilab
from motrace.workloads.options import Options
from motrace.workloads.program import Interpreter
from motrace.workloads.video import probe
from tests.commands.test_record_errors import one_line
from tests.conftest import PROGRAMS, ROOT, SHARED
from tests.reports import phases, pools, said, segment_phases, segments

FRAMES, ENVS, SIZE = 3, 2, (128, 96)
BIN = Path(sys.executable).parent
PYTHON = ROOT / unilab.OWN_ENVIRONMENT / "bin" / "python"


def needs_unilab() -> None:
    """Skip where UniLab or what it needs offline is not here."""
    if not PYTHON.exists():
        pytest.skip("no .venv-unilab: run `make unilab`")
    if not (PYTHON.parent.parent / "work/logs").is_dir():
        pytest.skip(f"no run folder of UniLab's: {SHARED.name}/unilab was not there when `make unilab` ran")


def record(out: Path, *words: object, own: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Record UniLab's eval into out/x; ``words`` come before its own arguments."""
    sizes = ("--num-envs", ENVS, "--size", "x".join(map(str, SIZE)), "--workload", "unilab")
    own = ("--load-run", "tiny_motrix", "training.device=cpu", *own)
    command = [sys.executable, "-m", "tools.run_record", "--out", out, "--name", "x", *sizes, *words, "--", *own]
    return subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True, timeout=280)


def run_hopper(out: Path, **settings: object) -> subprocess.CompletedProcess[str]:
    """``make hopper`` into a folder, without its set-up."""
    own = {f"HOPPER_{name.upper()}": str(value) for name, value in settings.items()}
    small = {"HOPPER_SIZE": "x".join(map(str, SIZE)), "HOPPER_FRAMES": str(FRAMES), "HOPPER_BIN": str(BIN)}
    environment = {**os.environ, **small, "HOPPER_OUT": str(out), **own}
    command = ["sh", str(ROOT / "tools/hopper.sh")]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=560, env=environment)


@pytest.fixture(scope="module")
def hopper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``make hopper`` leaves: one batch, profiled."""
    needs_unilab()
    out = tmp_path_factory.mktemp("unilab") / "hopper"
    done = run_hopper(out, envs=ENVS, seconds=500, unilab_args="--load-run tiny_motrix training.device=cpu")
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def experiment(hopper: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of each mode: those that no profiler watched."""
    home = tmp_path_factory.mktemp("unprofiled") / "x"
    return Path(shutil.copytree(hopper / "e002", home, ignore=shutil.ignore_patterns("0[4-9]-*", "analysis")))


@pytest.fixture(scope="module")
def analysis(experiment: Path) -> Analysis:
    """It, analysed."""
    return load(experiment)


def manifest(experiment: Path, run_id: str) -> dict[str, Any]:
    """A run's manifest."""
    return json.loads((experiment / run_id / "run.json").read_text())


@pytest.mark.unilab
def test_three_rungs_do_the_same_work(experiment: Path, analysis: Analysis) -> None:
    """The baselines step as often as the recording, and end in the same state of the simulation."""
    assert [run.run_id for run in analysis.report.runs] == ["01-record", "02-capture", "03-none"]
    for run in analysis.report.runs:
        assert run.status == "completed" and run.frames == FRAMES
        assert manifest(experiment, run.run_id)["workload"]["envs"] == ENVS
        steps = analysis.tables["spans"].to_pandas().query(f"run == '{run.run_id}' and name == 'step'")
        assert len(steps) == FRAMES
    assert analysis.report.same_states is True
    steps = analysis.report.comparison.steps
    assert [(step.contrast.new, step.contrast.base) for step in steps] == [("capture", "none"), ("record", "capture")]
    assert {"submit", "wait", "take", "rgb"} <= set(steps[0].own_phases) and steps[0].own_ns.difference > 0
    assert {"copy", "encode.write"} <= set(steps[1].own_phases) <= {"copy", "encode", "encode.write", "encode.finish"}


@pytest.mark.unilab
def test_no_renderer_is_made_in_mode_none(experiment: Path, analysis: Analysis) -> None:
    assert "AdapterInfo" not in (experiment / "03-none/log.txt").read_text()
    assert "bevy" not in (experiment / "03-none/log.txt").read_text()
    found = set(phases(pools(analysis.report)["none"]))
    assert {"policy", "step", "physics"} <= found <= {"policy", "step", "physics", "reset", "glue"}
    assert manifest(experiment, "01-record")["adapter"]["backend"] == "Vulkan"


@pytest.mark.unilab
def test_every_phase_is_there_and_every_nanosecond(analysis: Analysis) -> None:
    for run in analysis.report.runs:
        assert run.residual_ns == 0 and sum(segments(run).values()) == run.run_wall_ns
        assert segments(run)["loop"] > 0 and "warmup" not in segments(run)
    record, capture = pools(analysis.report)["record"], pools(analysis.report)["capture"]
    loop = {"policy", "step", "physics", "capture", "submit", "wait", "take", "rgb"}
    assert loop | {"copy", "glue"} <= set(phases(record)) and loop <= set(phases(capture))
    assert "copy" not in phases(capture)
    assert {phases(record)[leaf].parent for leaf in ("submit", "wait", "take", "rgb")} == {"capture"}
    assert {"encode", "encode.write", "encode.finish"} <= set(segment_phases(record, "drain"))
    assert "encode" not in segment_phases(capture, "drain")
    startup = set(segment_phases(record, "startup"))
    assert {"imports", "environment", "checkpoint", "export", "renderer", "reset"} <= startup


@pytest.mark.unilab
def test_the_video_holds_every_frame(experiment: Path) -> None:
    facts = probe(experiment / "01-record/play_video.mp4")
    assert (facts.frames, facts.width, facts.height, facts.fps) == (FRAMES, *SIZE, 50)
    assert facts.blank_first_frames == 1, "UniLab does not warm up: its first picture is blank"
    for run_id in ("02-capture", "03-none"):
        assert not (experiment / run_id / "play_video.mp4").exists()


@pytest.mark.unilab
def test_one_command_answers_every_line_of_the_request(hopper: Path) -> None:
    """Each row of the request has its value or a reason; the profiled passes and the archive are there."""
    report = decode((hopper / "e002/analysis/report.json").read_bytes(), "report.json", Report)
    runs = [run.run_id for run in report.runs if run.status == "completed"]
    assert runs[:3] == ["01-record", "02-capture", "03-none"] and runs[-1].endswith("-pyspy")
    unknown = {row.item for row in report.benchmark if row.value is None}
    open_ = {BenchmarkItem.OWNER, BenchmarkItem.LEADING_BUCKET} if report.verdict.doubt is not None else set()
    assert unknown <= {BenchmarkItem.GPU, BenchmarkItem.GPU_DRIVER, BenchmarkItem.CUDA_DRIVER} | open_
    assert all(row.remark is not None for row in report.benchmark if row.value is None and row.item.group != "triage")
    page = (hopper / "hopper.md").read_text()
    assert all(say(item) in page for item in BenchmarkItem if item is not BenchmarkItem.ENV_VIDEOS)
    assert "| vulkan | done |" in page and "| e002 | done |" in page and "Vulkan adapter" in page
    archive = hopper.with_name("hopper.tar.xz")
    assert archive.stat().st_size < 16e6
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        texts = {name: tar.extractfile(name).read().decode(errors="replace") for name in names if "report.json" in name}
    assert {"hopper/hopper.html", "hopper/e002/01-record/run.json", "hopper/steps.tsv"} <= set(names)
    assert not any(name.endswith((".mp4", ".nsys-rep", ".qdstrm")) for name in names)
    assert texts and not any(str(ROOT) in text or str(hopper) in text for text in texts.values())


def test_one_command_goes_on_where_a_step_fails(tmp_path: Path) -> None:
    """Steps without time, and steps that fail, are listed with their reason; nothing came of it: status 1."""
    done = run_hopper(tmp_path / "late", seconds=60)
    assert done.returncode == 1 and "e016: left out: the time is used up" in done.stdout
    assert "no experiment could be analysed" in done.stderr
    done = run_hopper(tmp_path / "wrong", envs="1 2", unilab_args="--render-mode none")
    page = (tmp_path / "wrong/hopper.md").read_text()
    assert str(tmp_path) not in page and "Benchmark report" not in page
    assert done.returncode == 1 and page.count("status 2: run_record: ") == 2


@pytest.mark.unilab
def test_episodes_are_told(analysis: Analysis) -> None:
    """The same ones in each mode, with UniLab's own rewards."""
    table = analysis.tables["episodes"].to_pandas()
    rows = [group.drop(columns="run").reset_index(drop=True) for _, group in table.groupby("run", observed=True)]
    assert len(rows) == 3 and all(group.equals(rows[0]) for group in rows)
    assert rows[0]["length"].sum() == FRAMES * ENVS and rows[0]["return"].notna().all()
    told = analysis.report.runs[0].episodes
    assert told is not None and (told.envs, told.success_rule) == (ENVS, "truncated")
    assert told.reward_per_step is not None and told.reward_per_step > 0


@pytest.mark.unilab
def test_robots_that_lose_the_motion_are_reset_in_the_frame_that_says_so(tmp_path: Path) -> None:
    needs_unilab()
    done = record(tmp_path, "--mode", "none", "--frames", 60)
    assert done.returncode == 0, done.stderr
    analysis = load(tmp_path / "x")
    told = pools(analysis.report)["none"].episodes
    assert told is not None and told.terminated == told.resets >= 1 and told.success_rate == 0.0
    frames = wide(analysis.tables["frames"], analysis.tables["frame_phases"]).to_pandas()
    ended = analysis.tables["episodes"].to_pandas().query("reason == 'terminated'")
    assert set(ended["end_step"]) == set(frames[frames["reset"] > 0]["frame"]), "the span of UniLab's own reset"
    with_reset = frames[frames["reset"] > 0]
    assert (with_reset["step"] > with_reset["reset"]).all(), "the reset is a part of its step"
    assert told.step.with_reset is not None
    assert told.step.with_reset.p50_ns == round(with_reset["step"].median())


@pytest.mark.unilab
def test_it_is_told_what_was_measured_and_with_what(experiment: Path) -> None:
    found = manifest(experiment, "01-record")
    assert found["instrument"]["warnings"] == []
    (table,) = (parse(layout.table, "unilab.toml") for layout in unilab.layouts() if layout.name == "1.5")
    assert set(found["instrument"]["measured"]) == set(table.names())
    checkpoint = found["workload"]["checkpoint"]
    assert checkpoint["path"] == "logs/rsl_rl_ppo/G1MotionTracking/tiny_motrix/model_1.pt" and checkpoint["sha256"]
    facts = json.loads((experiment / "experiment.json").read_text())["environment"]["unilab"]
    assert facts["packages"]["unilab"] == "1.5.2" and facts["packages"]["unisim-core"]
    assert len(facts["motrixsim_build"]["build_id"]) == 40
    assert facts["command"][0] == "eval" and f"training.play_steps={FRAMES}" in facts["overrides"]
    assert str(ROOT) not in json.dumps(facts)


@pytest.mark.unilab
def test_the_report_is_a_benchmark_report(analysis: Analysis, tmp_path: Path) -> None:
    """Every row that UniLab's maintainers asked for is known here, but for those of a GPU and of repeats."""
    values = {row.item: row.value for row in analysis.report.benchmark}
    unknown = {item for item, value in values.items() if value is None}
    open_ = {BenchmarkItem.OWNER, BenchmarkItem.LEADING_BUCKET} if analysis.report.verdict.doubt is not None else set()
    assert unknown <= {BenchmarkItem.GPU, BenchmarkItem.GPU_DRIVER, BenchmarkItem.CUDA_DRIVER} | open_
    assert (values[BenchmarkItem.UNILAB], values[BenchmarkItem.UNILAB_RUN]) == ("1.5.2", "tiny_motrix")
    command = str(values[BenchmarkItem.UNILAB_COMMAND])
    assert command.startswith("eval --algo ppo --task g1_motion_tracking --sim motrix")
    assert f"training.play_steps={FRAMES}" in str(values[BenchmarkItem.OVERRIDES])
    assert analysis.report.triage.application == "UniLab"
    write(analysis, tmp_path)
    bundle = PlayBundle.from_json(json.loads((tmp_path / "play.json").read_text()))
    assert bundle.run.framework == "rsl_rl" and bundle.run.task == "g1_motion_tracking"
    assert bundle.runtime.iterations_completed == FRAMES and bundle.run.num_envs == ENVS
    assert "training.play_only=true" in bundle.run.config.presets and bundle.versions.rsl_rl


@pytest.mark.unilab
def test_nothing_is_left_of_the_measuring(experiment: Path) -> None:
    """The patches live in the measured process alone: UniLab's files are as they were installed."""
    done = subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True, text=True)
    assert done.returncode == 0
    script = (
        "import unisim.backend.motrix.backend as b, motrixsim.render as r\n"
        "assert type(b.RenderApp) is type and type(r.Image.__dict__['pixels']).__name__ == 'getset_descriptor'\n"
        "assert not hasattr(b.MotrixBackend.capture_video_frame, '__wrapped__')\n"
        "import importlib.util; assert importlib.util.find_spec('motrace') is None\n"
    )
    subprocess.run([PYTHON, "-c", script], check=True, cwd="/")


@pytest.mark.unilab
def test_a_playback_that_fails_is_a_crash(tmp_path: Path) -> None:
    """UniLab swallows it and exits with 0; here a camera that it can't make sense of."""
    needs_unilab()
    done = record(tmp_path, "--mode", "none", "--frames", 2, own=("training.cam_distance=far",))
    told = manifest(tmp_path / "x", "01-none")
    assert told["exit_code"] == 0 and told["status"] == "crashed" and done.returncode == 1
    assert "UniLab made 0 of 2 frames and went on as if it had; its log says: " in one_line(done)
    assert "ValueError" in one_line(done)
    (run,) = load(tmp_path / "x").report.runs
    assert run.residual_ns == 0


def test_without_its_environment_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MotraceError, match="run `make unilab`, or name UniLab's own interpreter with --python PATH"):
        unilab.prepare(Options(workload="unilab"))


def test_an_interpreter_without_unilab(run_program: Callable, tmp_path: Path) -> None:
    words = ("--workload", "unilab", "--python", sys.executable, "--out", tmp_path)
    done = run_program("-m", "tools.run_record", *words, check=False)
    assert done.returncode == 1
    assert f"--python {sys.executable}: UniLab is not installed there" in one_line(done)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--sim", "mujoco"), "invalid choice: 'mujoco'"),
        (("--render-mode", "none"), "invalid choice: 'none'"),
    ],
)
def test_arguments_that_it_can_not_take(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError) as error:
        unilab.prepare(Options(workload="unilab", python=sys.executable, workload_args=words))
    assert message in str(error.value) and "give what `eval` takes after `--`" in str(error.value)


@pytest.mark.unilab
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--task", "no_such_task"), "No owner config exists for algo=ppo, task=no_such_task"),
        (("--load-run", "a/path"), "--load-run must be `-1` or a run directory name"),
        (("training.play_steps=3",), "training.play_steps is set by --num-envs, --frames and --seed"),
    ],
)
def test_what_unilab_refuses_it_says_itself(words: tuple[str, ...], message: str) -> None:
    needs_unilab()
    with pytest.raises(UsageError) as error:
        unilab.prepare(Options(workload="unilab", python=str(PYTHON), workload_args=words)).overrides()
    assert message in str(error.value)


def test_every_table_makes_sense() -> None:
    for layout in unilab.layouts():
        parsed = parse(layout.table, layout.name)
        assert {change.name for change in parsed.changes} <= set(parsed.names())
        assert {phase.phase for phase in parsed.phases} >= {"policy", "step", "capture", "submit", "wait", "take"}


@pytest.mark.unilab
def test_the_layout_of_may_2026_on_a_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That UniLab can't be installed: tried is a program of its shape, on the real Motrix, rsl_rl and mediapy."""
    if not PYTHON.exists():
        pytest.skip("no .venv-unilab: run `make unilab`")
    asked = (PYTHON, "-c", "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())")
    ffmpeg = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    (tmp_path / "ffmpeg").symlink_to(ffmpeg)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", f"{PROGRAMS / 'unilab_may'}:{os.environ.get('PYTHONPATH', '')}")
    steps = 26  # the spheres reach the floor with the 24th
    done = record(tmp_path, "--mode", "both", "--frames", steps, own=("--work", str(tmp_path)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is laid out as in 2026-05" in done.stdout and "never tried" in done.stdout
    analysis = load(tmp_path / "x")
    assert any("never tried" in text for text in said(analysis.report))
    video = probe(tmp_path / "x/01-record/play_video.mp4")
    assert (video.frames, video.width, video.height) == (steps, *SIZE)
    loop = {"policy", "step", "physics", "reset"}
    names = {mode: set(phases(pool)) for mode, pool in pools(analysis.report).items()}
    assert names["record"] == loop | {"capture", "submit", "wait", "take", "rgb", "copy", "glue"}
    assert names["none"] == loop | {"glue"}
    pool = pools(analysis.report)["record"]
    assert {"imports", "environment", "checkpoint", "renderer", "reset"} <= set(segment_phases(pool, "startup"))
    assert {"encode", "encode.write", "encode.finish"} <= set(segment_phases(pool, "drain"))
    for run in analysis.report.runs:
        assert (run.frames, run.residual_ns, run.status) == (steps, 0, "completed")
        found = manifest(tmp_path / "x", run.run_id)
        assert found["instrument"]["warnings"] == [] or run.mode == "none"
        assert found["workload"]["envs"] == ENVS and found["workload"]["checkpoint"]["path"] == "model_0.pt"
        assert run.episodes is not None and run.episodes.lengths is not None
        assert run.episodes.terminated == ENVS and run.episodes.lengths.mean == 24
    assert analysis.report.same_states is True
    assert "+env.seed" not in str(json.loads((tmp_path / "x/experiment.json").read_text())["environment"]["unilab"])


def test_a_version_that_was_never_tried_is_told() -> None:
    """By its layout's table: nothing to say of the version that was tried."""
    (known,) = (layout for layout in unilab.layouts() if layout.tried)

    def warnings(version: str) -> tuple[str, ...]:
        found = Interpreter((3, 11, 0), {"unilab": version}, {}, ())
        return unilab.Eval("python", Path(), "script", (), (), known, found).warnings()

    assert warnings(unilab.TESTED) == () and known.tried == unilab.TESTED
    assert "UniLab 1.3.0 was never tried, 1.5.2 was" in warnings("1.3.0")[0]


@pytest.mark.unilab
def test_warm_up_turns_are_marked_and_stay_in_the_video(tmp_path: Path) -> None:
    needs_unilab()
    done = record(tmp_path, "--mode", "record", "--frames", 2, "--warmup", 1)
    assert done.returncode == 0, done.stderr
    (run,) = load(tmp_path / "x").report.runs
    assert run.video is not None and (run.frames, run.warmup_frames, run.video.frames) == (2, 1, 3)
    assert segments(run)["warmup"] > 0 and run.residual_ns == 0
    assert "they are in its video" in str(run.workload.warmup_rule)
    assert not any("the video holds" in text for text in said(run))


@pytest.mark.parametrize(
    ("function", "status"),
    [
        ("def other(): pass", 1),
        ("def build_command(mode): pass", 1),
        ("def build_command(**given): raise ValueError('Import no TypeError here')", 2),
    ],
)
def test_what_unilab_says_does_not_decide_the_exit_status(tmp_path: Path, function: str, status: int) -> None:
    (tmp_path / "unilab").mkdir()
    (tmp_path / "unilab/cli.py").write_text(function)
    with pytest.raises(MotraceError) as error:
        unilab._ask_unilab(sys.executable, "9", {"task": "any"}, tmp_path)
    assert error.value.exit_status == status
