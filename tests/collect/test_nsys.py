"""The installed Nsight Systems: its options, its importer, its exports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from motrace.collect import nsys_session
from motrace.collect.nsys import INSTALLED, Nsys, NsysOptions, missing_libraries, version_numbers
from motrace.collect.nsys_pass import (
    TRIES,
    NsysCollector,
    check_args,
    option_of,
    perf_events,
    profile_flags,
    without_perf_events,
)
from motrace.errors import MotraceError, UsageError
from tests.collect.nsys_help import installed
from tests.conftest import wait_for


def listed(**options: str) -> NsysOptions:
    """A help text with these options and the words that their descriptions hold."""
    return NsysOptions.parse(
        "".join(f"\n\t--{name.replace('_', '-')}=\n\n\t   {words}\n" for name, words in options.items())
    )


OLD = listed(trace="'cuda', 'nvtx', 'osrt', 'vulkan'", sample="none", cpuctxsw="none", force_overwrite="")
NEW = listed(
    trace="'cuda', 'nvtx', 'osrt', 'vulkan', 'vulkan-annotations', 'python-gil'",
    sample="none",
    cpuctxsw="none",
    force_overwrite="",
    wait="",
    vulkan_gpu_workload="'individual', 'batch'",
    python_sampling="",
)
ARM = listed(trace="'cuda', 'nvtx', 'osrt'", sample="none", cpuctxsw="none")


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        (OLD, ["--trace=nvtx,osrt,cuda,vulkan", "--sample=none", "--cpuctxsw=none", "--force-overwrite=true"]),
        (
            NEW,
            [
                "--trace=nvtx,osrt,cuda,vulkan-annotations",
                "--sample=none",
                "--cpuctxsw=none",
                "--wait=primary",
                "--force-overwrite=true",
                "--vulkan-gpu-workload=individual",
            ],
        ),
        (ARM, ["--trace=nvtx,osrt,cuda", "--sample=none", "--cpuctxsw=none"]),
    ],
)
def test_flags_are_those_that_the_version_has(options: NsysOptions, flags: list[str]) -> None:
    assert profile_flags(options, []) == flags
    assert not perf_events(flags)


def test_an_option_with_a_short_name_is_found_by_its_long_one() -> None:
    options = NsysOptions.parse("\n\t-t, --trace=\n\n\t   'nvtx' or 'none'\n\n\t-y, --delay=\n\n\t   In seconds.\n")
    assert set(options.words) == {"--trace", "--delay"}
    assert options.has("--trace", "nvtx") and not options.has("--trace", "seconds") and not options.has("--no", "nvtx")


@pytest.mark.parametrize("args", [["-t", "nvtx"], ["--trace=nvtx"], ["-tnvtx"], ["--trace", "nvtx"]])
def test_the_users_flags_take_the_place_of_ours(args: list[str]) -> None:
    flags = profile_flags(NEW, args)
    assert [option_of(word) for word in flags].count("--trace") == 1
    assert flags[-len(args) :] == args


@pytest.mark.parametrize(
    ("args", "on"),
    [
        ([], False),
        (["--cpuctxsw=process-tree"], True),
        (["--cpuctxsw", "process-tree"], True),
        (["-s", "process-tree", "--trace=nvtx"], True),
        (["-sprocess-tree"], True),
        (["-s", "none"], False),
        (["--sample=none", "--python-sampling=true"], False),
    ],
)
def test_perf_events_are_seen_and_taken_out(args: list[str], on: bool) -> None:
    assert perf_events(profile_flags(NEW, args)) is on
    calm = without_perf_events(args)
    assert not perf_events(profile_flags(NEW, calm))
    assert [word for word in calm if "trace" in word or "python" in word] == [
        word for word in args if "trace" in word or "python" in word
    ]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-o", "elsewhere"], "--output is set by run_record"),
        (["--session-new=mine"], "--session-new is set by run_record"),
        (["--python-backtrace=cuda"], "this version of nsys has no --python-backtrace"),
        (["nvtx"], "nvtx is not an option"),
    ],
)
def test_flags_that_can_not_work_are_refused(args: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_args(args, NEW)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("2022.4.2.1-df9881f", (2022, 4, 2, 1)),
        ("2025@6@1@190-256137052384v0", (2025, 6, 1, 190)),
        ("no version", ()),
    ],
)
def test_versions_are_compared_as_numbers(text: str, numbers: tuple[int, ...]) -> None:
    assert version_numbers(text) == numbers
    assert version_numbers("2023.10.1") > version_numbers("2023.4.4")


@pytest.mark.parametrize(
    ("types", "chosen"),
    [
        ("sqlite, hdf, text, arrow, json, info", ["sqlite"]),
        ("sqlite, parquetdir, arrow, arrowdir", ["parquetdir", "sqlite"]),
        ("arrow, json", ["arrow"]),
        ("json, info", []),
    ],
)
def test_the_best_export_type_comes_first(types: str, chosen: list[str]) -> None:
    nsys = Nsys(Path("nsys"), "2024.6.1")
    nsys.__dict__["export_options"] = listed(type=types)
    assert nsys.export_types == chosen


@pytest.mark.nsys
def test_the_installed_version_has_what_we_rely_on() -> None:
    nsys = installed()
    assert nsys.version >= (2020,)
    for option in ("--trace", "--sample", "--cpuctxsw", "--session-new", "--output", "--force-overwrite"):
        assert option in nsys.profile_options, option
    assert "--trace=nvtx,osrt" in profile_flags(nsys.profile_options, [])[0]
    assert nsys.export_types


@pytest.mark.nsys
def test_a_broken_report_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    report = tmp_path / "x.nsys-rep"
    report.write_bytes(b"this is not a report")
    with pytest.raises(MotraceError, match=r"x\.nsys-rep could not be exported by nsys \d{4}") as caught:
        installed().export(report, tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [report]


@pytest.mark.nsys
def test_a_broken_stream_is_refused_and_kept(tmp_path: Path) -> None:
    stream = tmp_path / "x.qdstrm"
    stream.write_bytes(b"this is not a stream")
    with pytest.raises(MotraceError, match=r"x\.qdstrm"):
        installed().import_stream(stream, tmp_path / "x.nsys-rep")
    assert list(tmp_path.iterdir()) == [stream]


@pytest.mark.nsys
def test_an_installation_without_importer_says_what_to_do(tmp_path: Path) -> None:
    alone = tmp_path / "bin" / "nsys"
    alone.parent.mkdir()
    alone.write_bytes(installed().path.resolve().read_bytes())
    stream = tmp_path / "x.qdstrm"
    stream.write_bytes(b"a stream")
    with pytest.raises(MotraceError, match=r"comes without QdstrmImporter.*same version"):
        Nsys(alone, "2022.4.2").import_stream(stream, tmp_path / "x.nsys-rep")
    assert stream.exists()


def test_libraries_that_the_loader_does_not_find_are_named(tmp_path: Path) -> None:
    """A program of ours that needs a library which is gone by the time it is asked for."""
    import shutil
    import subprocess

    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    (tmp_path / "lib.c").write_text("int f(void) { return 1; }")
    (tmp_path / "main.c").write_text("int f(void); int main(void) { return f(); }")
    library, program = tmp_path / "libgone.so.1", tmp_path / "main"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, tmp_path / "lib.c"], check=True)
    subprocess.run([compiler, "-o", program, tmp_path / "main.c", library], check=True)
    assert missing_libraries(program) == []
    library.unlink()
    (missing,) = missing_libraries(program)
    assert missing.endswith("libgone.so.1")


def test_without_nsys_there_is_one_warning(tmp_path: Path, run_program: Callable) -> None:
    if any((folder / "nsys").exists() for place in INSTALLED for folder in Path("/").glob(place.removeprefix("/"))):
        pytest.skip("this machine has nsys where it is found without PATH")
    words = ("--out", tmp_path, "--name", "x", "--mode", "none", "--frames", 50)
    words = (*words, "--workload", "tests.programs.workloads:Plain", "--collect", "nsys")
    done = run_program("-m", "tools.run_record", *words, PATH=str(tmp_path))
    assert done.returncode == 0 and done.stderr == ""
    (warning,) = [line for line in done.stdout.splitlines() if line.startswith("warning")]
    assert "--collect nsys: no nsys on PATH" in warning and "make nsys" in warning
    experiment = json.loads((tmp_path / "x/experiment.json").read_text())
    assert [one["run_id"] for one in experiment["runs"]] == ["01-none"] and experiment["status"] == "completed"
    assert experiment["command"]["warnings"] == [warning.removeprefix("warning: ")]


SESSION = "motrace-made-up"
SPINS = "while True: pass"
WRITES = """import sys, time
end = time.monotonic() + 2
with open(sys.argv[1], 'wb', 0) as file:
    while time.monotonic() < end: file.write(bytes(9)), sum(range(20_000))
"""


@pytest.mark.parametrize(("agent", "hangs"), [(SPINS, True), (WRITES, False)])
def test_an_agent_that_spins_and_writes_nothing_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agent: str, hangs: bool
) -> None:
    """Two processes that look like those of nsys: a tool that waits, and its agent, both busy in vain or at work."""
    monkeypatch.setattr(nsys_session, "SPIN_S", 1.0)
    monkeypatch.setattr(nsys_session, "LINGER_S", 0.2)
    tool = f"import time; time.sleep({3600 if hangs else 2})"
    words = (
        ("-c", tool, f"--session-new={SESSION}"),
        ("-c", agent, str(tmp_path / "x.qdstrm"), f"--session-name={SESSION}"),
    )
    processes = [subprocess.Popen([sys.executable, *mine]) for mine in words]
    session = nsys_session.Session(SESSION, (tmp_path,))
    try:
        wait_for(lambda: session.look() or (session._tools and session._agents))
        assert session.end(60) is not hangs and session.spun is hangs
        assert all(process.wait(10) is not None for process in processes), "what is left of it is killed"
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_pass_that_hung_with_perf_events_is_made_again_with_them_and_at_last_without(tmp_path: Path) -> None:
    collector: NsysCollector | None = NsysCollector(["--cpuctxsw=process-tree", "--trace=nvtx"], 5)
    made = []
    while collector is not None:
        collector._flags = list(collector._args)
        collector._lost = True
        made.append(perf_events(collector._flags))
        collector = collector.calmer()
    assert made == [True] * TRIES + [False]
