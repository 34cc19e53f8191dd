"""The report as the rows of a benchmark report: what the original request asks for, each an item with its value.

Every row is always there; a value that is not known is None, and the note says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .compare import NO_MODES, usable
from .triage import HERE, judgement

Json = dict[str, Any]
Row = Json

LOOP_PARTS = {"step": "Simulation step", "policy": "Policy", "capture": "Capture", "copy": "Copy, accumulation",
              "encode": "Encode", "env_videos": "Videos of single environments"}  # fmt: skip
OPTIONAL = ("env_videos",)
CUSTOM = "custom"
RESULT, BREAKDOWN, BASELINE, VIDEO, JUDGEMENT, ENVIRONMENT, COMMAND = (
    "Result", "Time per frame, drain included", "Against the baseline", "Video", "Judgement", "Environment", "Command",
)  # fmt: skip


def benchmark_rows(report: Json) -> list[Row]:
    """Rows of ``group``, ``item``, ``value``, ``unit`` (s, ms, FPS, B, x, 1 or empty for text) and ``note``.

    Over the quiet completed runs of ``benchmark_mode``; ``report`` is complete but for these rows.
    """
    parts: tuple[Callable[[Json], Iterator[Row]], ...] = (
        _result, _breakdown, _baseline, _video, _judgement, _machine, _software, _command,
    )  # fmt: skip
    return [row for part in parts for row in part(report)]


def _row(group: str, item: str, value: Any, unit: str = "", note: str | None = None) -> Row:
    return {"group": group, "item": item, "value": value, "unit": unit, "note": note}


def _recorded(report: Json) -> tuple[list[Json], Json | None, str | None]:
    """The quiet completed runs that the rows are over, their pool, and why there is none."""
    mode = benchmark_mode(report["runs"])
    runs = usable(report["runs"], mode)
    return (runs, report["modes"][mode], None) if runs else ([], None, "no completed run of mode record")


def benchmark_mode(runs: list[Json]) -> str:
    """The mode that the rows are over: record; of a program that has but its own, custom."""
    own = bool(runs) and all(run["mode"] == CUSTOM for run in runs)
    return CUSTOM if own and usable(runs, CUSTOM) else "record"


def _result(report: Json) -> Iterator[Row]:
    runs, pool, why = _recorded(report)
    count = len(runs) or 1
    segments = pool["segments_mean_ns"] if pool else {}
    spread = f"mean of {len(runs)} runs" if len(runs) > 1 else None

    def seconds(ns: float | None) -> float | None:
        return ns / 1e9 if pool and ns is not None else None

    playback = pool["recording_wall_ns"] / count if pool else None
    yield _row(
        RESULT, "Wall-clock of the whole run", seconds(pool["run_wall_mean_ns"] if pool else None), "s", why or spread
    )
    yield _row(RESULT, "Total playback time", seconds(playback), "s", why or "the loop, and the encoding after it")
    yield _row(RESULT, "Start-up before it", seconds(segments.get("startup", 0)), "s", why)
    yield _row(RESULT, "Effective capture FPS", pool and pool["effective_fps"], "FPS", why or "frames / playback time")
    yield _row(RESULT, "FPS of the loop alone", pool and pool["loop_fps"], "FPS", why)
    yield _row(
        RESULT,
        "Frames",
        pool and pool["frames"] // count,
        "1",
        why or (f"in each of {count} runs" if count > 1 else None),
    )
    told = pool["episodes"] if pool else None
    resets = told["resets_per_frame"] if told else None
    unknown = why or "the program tells of no episodes"
    yield _row(RESULT, "Resets per frame", resets, "1", _of_resets(told) if told else unknown)


def _of_resets(told: Json) -> str:
    """What a reset costs."""
    slow, plain = told["step"]["with_reset"], told["step"]["without_reset"]
    if slow is None or plain is None:
        return f"{told['resets']} environments were reset"
    with_one, without = (entry["p50_ns"] / 1e6 for entry in (slow, plain))
    return f"median step {with_one:.2f} ms in frames with a reset, {without:.2f} ms in the others"


def _breakdown(report: Json) -> Iterator[Row]:
    """Per frame, over loop and drain; these parts add up to the whole."""
    _, pool, why = _recorded(report)
    wall, frames = (pool["recording_wall_ns"], pool["frames"]) if pool else (0, 0)
    rest = wall

    def row(item: str, ns: int) -> Row:
        share = f"{ns / wall:.1%}" if wall else why
        return _row(BREAKDOWN, item, ns / frames / 1e6 if frames else None, "ms", share)

    for phase, label in LOOP_PARTS.items():
        segments = (pool["segment_phases"].get(name, {}) for name in ("loop", "drain")) if pool else ()
        ns = sum(found.get(phase, {}).get("total_ns", 0) for found in segments)
        rest -= ns
        if ns or phase not in OPTIONAL:
            yield row(label, ns)
    yield row("Everything else", rest)
    yield _row(BREAKDOWN, "Sum", wall / frames / 1e6 if frames else None, "ms", why)


def _baseline(report: Json) -> Iterator[Row]:
    comparison, own = report["comparison"], benchmark_mode(report["runs"]) == CUSTOM
    unknown = NO_MODES if own else comparison["unknown"]
    entry = {} if unknown else comparison["frame_with_drain_ns"]

    def row(item: str, ns: float | None, note: str | None) -> Row:
        return _row(BASELINE, item, None if ns is None else ns / 1e6, "ms", note)

    yield row("The same steps without a renderer (mode none)", entry.get("base"), unknown)
    yield row("Recording adds", entry.get("difference"), unknown or _interval(entry, comparison))
    ratio = entry.get("ratio")
    yield _row(BASELINE, "Recorded against it", ratio, "x", unknown)
    rungs = {(rung["new"], rung["base"]): rung for rung in comparison["rungs"]}
    why = NO_MODES if own else "no completed run of mode capture; use --mode all"
    for new, base, label in (("capture", "none", "Making each picture and dropping it adds"),
                             ("record", "capture", "Keeping and encoding them adds")):  # fmt: skip
        rung = rungs.get((new, base))
        found = rung["frame_with_drain_ns"] if rung else {}
        yield row(label, found.get("difference"), _interval(found, rung) if rung else why)


def _interval(entry: Json, comparison: Json) -> str:
    if entry["lo"] is None:
        return "one run of a mode has no spread: no interval"
    new, base = comparison["repeats"]
    return f"95 %: {entry['lo'] / 1e6:+,.3f} to {entry['hi'] / 1e6:+,.3f}, {new} against {base} runs"


def _video(report: Json) -> Iterator[Row]:
    runs, pool, why = _recorded(report)
    run = next((run for run in runs if run["video"]), None)
    video = run["video"] if run else {}
    why = why or (None if run else (runs[0]["video_unknown"] if runs else None) or "no video, not known why")
    path = f"{run['run_id']}/{video['path']}" if run else None
    picture = f"{video['width']}x{video['height']}" if run else None
    yield _row(VIDEO, "Frames of the video", video.get("frames"), "1", why or _blank(video))
    yield _row(VIDEO, "Video duration", video.get("duration_s"), "s", why)
    yield _row(VIDEO, "Video FPS", video.get("fps"), "FPS", why)
    yield _row(VIDEO, "Video path", path, "", why or "below the experiment's folder")
    yield _row(VIDEO, "Video size", video.get("bytes"), "B", why)
    yield _row(VIDEO, "Picture", picture, "", why)
    playback = pool["recording_wall_ns"] / 1e9 / len(runs) if pool and runs else None
    ratio = playback / video["duration_s"] if playback and video.get("duration_s") else None
    yield _row(VIDEO, "Playback time per video time", ratio, "x", why or "1 is real time")


def _blank(video: Json) -> str | None:
    return f"{video['blank_frames']} of them blank" if video.get("blank_frames") else None


def _judgement(report: Json) -> Iterator[Row]:
    judged = judgement(report)
    yield _row(JUDGEMENT, "Is the slowness expected?", judged["answer"], "", judged["reason"])
    verdict = report["verdict"]
    sure = verdict["bucket"] and f"{verdict['lo']:.1%} to {verdict['hi']:.1%}"
    share = verdict["bucket"] and f"{verdict['label']}, {verdict['share']:.1%} of loop and drain"
    note = verdict["why"] if verdict["abstains"] else f"{sure}; {verdict['sentence']}"
    yield _row(JUDGEMENT, "Where the time goes", share, "", note)
    setup = "it is the set-up of this machine, which is neither the application's nor the renderer's to change"
    yield _row(JUDGEMENT, "Owner", judged["owner"], "", setup if judged["answer"] == HERE else None)
    yield _row(JUDGEMENT, "Recommended next action", judged["action"])


def _known(environment: Json, key: str, show: Callable[[Any], str] = str) -> tuple[str | None, str | None]:
    """A value of the environment in words, or why it is not known."""
    value = environment.get(key)
    unknown = environment.get("unknown", {})
    if value is None or value == []:
        return None, unknown.get(key) or unknown.get("environment") or "there is none"
    return show(value), None


def _machine(report: Json) -> Iterator[Row]:
    environment = report["environment"]
    for label, key, show in (
        ("OS", "os", str),
        ("Kernel", "kernel", str),
        ("CPU", "cpu_model", lambda name: f"{name}, {environment.get('cpu_logical_cores')} usable cores"),
        ("GPU", "gpus", lambda gpus: "; ".join(gpu["name"] for gpu in gpus)),
        ("GPU driver", "gpu_driver", str),
        ("CUDA (driver)", "cuda_driver", str),
    ):
        value, note = _known(environment, key, show)
        yield _row(ENVIRONMENT, label, value, "", note)
    run = next((run for run in report["runs"] if run["adapter"]), None)
    adapter = run["adapter"] if run else None
    words = adapter and f"{adapter['name']} ({adapter['device_type']}, {adapter['driver']} {adapter['driver_info']})"
    why = next((run["adapter_unknown"] for run in report["runs"] if run["adapter_unknown"]), "not recorded")
    yield _row(ENVIRONMENT, "Vulkan adapter", words, "", None if words else why)


def _software(report: Json) -> Iterator[Row]:
    environment = report["environment"]
    foreign = environment.get("unilab") or environment.get("program") or environment
    packages = foreign.get("packages") or {}
    yield _row(ENVIRONMENT, "Python", *_pair(_known(foreign, "python")))
    build = foreign.get("motrixsim_build")
    words = build and f"{build['version']}, build id {build['build_id']}"
    yield _row(ENVIRONMENT, "Motrix", words, "", None if words else "motrixsim's library was not found")
    unilab = packages.get("unilab")
    commit = (foreign.get("commits") or {}).get("unilab")
    note = None if unilab else "UniLab was not run"
    yield _row(ENVIRONMENT, "UniLab", f"{unilab}, commit {commit}" if commit else unilab, "", note)
    checkpoint = next((run["workload"]["checkpoint"] for run in report["runs"] if run["workload"]["checkpoint"]), None)
    why = None if checkpoint else "no run told of one"
    digest = f"sha256 {checkpoint['sha256']}" if checkpoint else why
    yield _row(ENVIRONMENT, "Checkpoint", checkpoint and checkpoint["path"], "", digest)
    folders = checkpoint["path"].split("/")[:-1] if checkpoint else []
    run_id = folders[-1] if folders and unilab else None
    yield _row(ENVIRONMENT, "UniLab run id", run_id, "", None if run_id else note or why or "not in the path")
    yield _row(ENVIRONMENT, "Runs of this benchmark", ", ".join(run["run_id"] for run in report["runs"]))
    encoder = _known(environment, "h264_encoder")
    yield _row(ENVIRONMENT, "H.264 encoder", *_pair(encoder))
    project = environment.get("motrace")
    yield _row(ENVIRONMENT, "motrace", project and f"{project['version']}, commit {project.get('commit')}")


def _pair(known: tuple[str | None, str | None]) -> tuple[str | None, str, str | None]:
    return known[0], "", known[1]


def _command(report: Json) -> Iterator[Row]:
    command, unilab = report["command"], report["environment"].get("unilab") or {}
    options = command.get("options") or {}
    why = None if command else "no experiment.json"
    yield _row(COMMAND, "Exact command", " ".join(command["argv"]) if command.get("argv") else None, "", why)
    program = " ".join(unilab["command"]) if unilab else None
    note = None if unilab else "UniLab was not run"
    yield _row(COMMAND, "UniLab's command", program, "", note)
    yield _row(COMMAND, "Hydra overrides", " ".join(unilab["overrides"]) if unilab else None, "", note)
    for label, key in (("Environments", "num_envs"), ("Seed", "seed")):
        known = options.get(key)
        yield _row(COMMAND, label, known, "1", None if known is not None else why or "not an option of the program")
