"""Real py-spy on programs of known composition, and on programs that make it hard."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from motrace.attribution.aggregate import aggregate_causes
from motrace.attribution.run import analyse_run
from motrace.attribution.tables import build_tables
from motrace.collect.pyspy import FACTS_FILE, PROFILES, PySpyCollector, _program, _Standstill, plan
from motrace.dataset.ranges import Ranges
from motrace.readers.pyspy import align, samples
from motrace.readers.pyspy.lock_log import read_log
from motrace.readers.recording import read_recording
from motrace.sampling import shares
from motrace.sampling.classify import RECORDER, RUNNING_CLASSES, classify, coarse
from motrace.vocabulary import ClockMethod
from tests.collect.observed import begin, end, observe, spans_of, state_of
from tests.conftest import wait_for

SECONDS, REPEATS, RATE = 8, 3, 300
KINDS = ("python", "hash", "copies", "rgba to rgb", "copy and loop", "mixed")
NEAR = 0.03


@pytest.fixture(scope="module")
def repeats(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Runs of the program of known composition under a blocking py-spy with native stacks."""
    folders = [tmp_path_factory.mktemp("known") / "run" for _ in range(REPEATS)]
    for folder in folders:
        collector = PySpyCollector(rate=RATE)
        process, warnings = observe(collector, folder, "known.py", folder, folder / "truth.json", SECONDS)
        assert warnings == []
        assert process.returncode == 5, "the program's own status"
    return folders


@pytest.fixture(scope="module")
def known(repeats: list[Path]) -> Path:
    """One of them."""
    return repeats[0]


def what(frames: list[str]) -> str:
    """The class; the program's own reading of its CPU clock is not part of the truth, as the recorder's is none."""
    last = [frame for frame in frames if frame.rpartition(":")[0].endswith(".py")][-1:]
    return RECORDER if last and ".measure (" in last[0] else classify(frames)


def counts_of(folder: Path) -> tuple[samples.PySpySamples, dict[str, dict[str, int]]]:
    """What py-spy saw, and the samples of the loop thread by span kind and class."""
    spans = spans_of(folder)
    ((tid, own),) = spans.items()
    seen = samples.read_collected(folder, spans)
    assert seen is not None
    taken = seen.samples.to_pandas()
    taken = taken[taken["tid"] == tid]
    names = [*dict.fromkeys(own.name.tolist()), "outside"]
    classes = {row["stack_id"]: what(row["frames"]) for row in seen.stacks.to_pylist()}
    kinds = [names[label] for label in own.labels(taken["t_ns"].to_numpy())]
    return seen, shares.count_by_kind(kinds, [classes[number] for number in taken["stack_id"]])


def test_times_are_exact_and_say_how_they_were_checked(known: Path) -> None:
    seen, _ = counts_of(known)
    assert seen.timed and seen.native and seen.warnings == []
    assert seen.clock.method is ClockMethod.LOCK_LOG
    assert seen.clock.pairs > 100
    assert 0 < seen.clock.error_ns < 50_000_000


def against_truth(folder: Path, confidence: float) -> Iterator[tuple[str, shares.Share, float, float]]:
    """Span kind, what py-spy says of a class in it, what is true, and what share of it was spent in the run queue."""
    _, counts = counts_of(folder)
    queued = shares.queued_shares(aggregate_causes(build_tables(analyse_run(read_recording(folder)))["attribution"]))
    truth = json.loads((folder / "truth.json").read_text())
    for kind in KINDS:
        own = {name: cpu for name, (cpu, _) in truth[kind].items()}
        waited = queued.get(kind, 0.0)
        for share in shares.running(counts[kind], confidence, waited):
            yield kind, share, own.get(share.name, 0) / sum(own.values()), waited


def test_stated_intervals_cover_the_truth(repeats: list[Path]) -> None:
    """54 intervals at once, so each at 99.999 %."""
    for kind, share, true, waited in (row for folder in repeats for row in against_truth(folder, 0.99999)):
        assert share.total > 30, kind  # some hundred, on a machine that is not overloaded
        assert share.lo <= true <= share.hi, (kind, share, true, waited)
        # The interval is not a licence: it would exclude a rule that is wrong.
        assert share.hi - share.lo < (2 * NEAR + 5 / share.total**0.5 + waited) / (1 - waited), (kind, share)


def test_shares_of_three_repeats_are_the_truth(repeats: list[Path]) -> None:
    """Within 3 percentage points, and what chance may add to so many samples: three standard errors."""
    apart: dict[tuple[str, str], float] = {}
    total: dict[tuple[str, str], int] = {}
    most_waited: dict[str, float] = {}
    for kind, share, true, waited in (row for folder in repeats for row in against_truth(folder, 0.95)):
        key = kind, share.name
        most_waited[kind] = max(most_waited.get(kind, 0.0), waited)
        apart[key] = apart.get(key, 0.0) + (share.share - true) * share.total
        total[key] = total.get(key, 0) + share.total
    assert min(total.values()) > 90
    for key, summed in apart.items():
        allowed = NEAR + 3 * (0.25 / total[key]) ** 0.5 + most_waited[key[0]]
        assert abs(summed / total[key]) <= allowed, (key, summed / total[key], allowed)


@pytest.mark.parametrize(("kind", "expected"), [("sleep", "sleeping"), ("pipe", "pipe"), ("gil", "gil")])
def test_blocked_time_is_what_the_program_waited_for(known: Path, kind: str, expected: str) -> None:
    _, counts = counts_of(known)
    (first, *rest) = shares.blocked(counts[kind])
    assert first.name == expected
    assert sum(share.count for share in rest) <= max(1, 0.05 * first.total)


def test_times_off_by_one_sample_are_refused(known: Path) -> None:
    """The log says when; if it were one stop out of step, few stacks would tell their span, but for those whose
    neighbour lies in a span of that kind too: on a busy core spans are longer than the steps between samples."""
    seen, _ = counts_of(known)
    spans = spans_of(known)
    ((tid, own),) = spans.items()
    taken = seen.samples.to_pandas()
    taken = taken[taken["tid"] == tid]
    stacks = [tuple(frames) for frames in seen.stacks.to_pydict()["frames"]]
    stack, t_ns = taken["stack_id"].to_numpy(), taken["t_ns"].to_numpy()
    labels = own.labels(t_ns)
    told, right = align.agreement(stacks, stack, labels)
    assert right / told > 0.97
    for off in (1, 2):
        same = (labels[off:] == labels[:-off])[labels[:-off] >= 0].mean()
        assert align.agreement(stacks, stack[off:], labels[:-off])[1] < (same + 0.3 * (1 - same)) * right
    lost = {tid: Ranges(own.name, own.start_ns + 20_000_000_000, own.end_ns + 20_000_000_000)}
    unknown = samples.read_collected(known, lost)
    assert unknown is not None and not unknown.timed
    assert any("not used" in text for text in unknown.warnings)


def test_without_the_log_stacks_are_known_but_not_when(known: Path, tmp_path: Path) -> None:
    (tmp_path / PROFILES["speedscope"]).write_bytes((known / PROFILES["speedscope"]).read_bytes())
    seen = samples.read_collected(tmp_path, spans_of(known))
    assert seen is not None and not seen.timed
    assert seen.samples.num_rows > 1000
    assert set(seen.samples.to_pydict()["t_ns"]) == {0}


@pytest.mark.motrix
def test_a_pool_awaited_with_the_gil_held_is_told(tmp_path: Path) -> None:
    pytest.importorskip("motrixsim")
    folder = tmp_path / "run"
    _, warnings = observe(PySpyCollector(rate=100), folder, "known.py", folder, folder / "truth.json", 8, "pool")
    assert warnings == []
    _, counts = counts_of(folder)
    pool = {name: count for name, count in counts["pool"].items() if name != "recorder"}
    found = {share.name: share.share for share in shares.shares(pool)}
    assert found["native_pool_with_gil"] > 0.8, found


def test_a_light_look_stops_nothing_and_has_times(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    observe(PySpyCollector(light=True), folder, "states.py", folder, 4)
    seen = samples.read_collected(folder, spans_of(folder))
    assert seen is not None and seen.clock.method is ClockMethod.START_LINE and not seen.native
    ((tid, own),) = spans_of(folder).items()
    taken = seen.samples.to_pandas()
    taken = taken[(taken["tid"] == tid) & (taken["t_ns"] > own.start_ns.min())]
    stacks = {row["stack_id"]: " ".join(row["frames"]) for row in seen.stacks.to_pylist()}
    names = list(dict.fromkeys(own.name.tolist()))
    burning = [
        names[label]
        for label, number in zip(own.labels(taken["t_ns"].to_numpy()), taken["stack_id"])
        if "burn (" in stacks[number] and label >= 0
    ]
    assert len(burning) > 30
    assert burning.count("python loop") > 0.9 * len(burning)


# -- rates ------------------------------------------------------------------------------------------


def test_the_plan_fits_the_number_of_threads() -> None:
    assert plan(2) == plan(2, 100, True)
    assert plan(20).native and plan(20).rate == 50
    assert not plan(70).native and plan(70).blocking and plan(70).rate >= 20
    assert not plan(300).blocking
    assert plan(300, light=True).refused is None
    for threads in (1, 7, 40, 400):
        chosen = plan(threads)
        assert chosen.refused is None and (not chosen.blocking or chosen.rate * threads <= 2000)


def test_what_costs_too_much_is_refused_with_a_usable_rate(tmp_path: Path) -> None:
    refused = plan(17, 250).refused
    assert refused is not None and "use --pyspy-rate 58" in refused
    assert "use --pyspy-light" in str(plan(3000, 10, False).refused)
    collector = PySpyCollector(rate=100, native=False)
    _, warnings = observe(collector, tmp_path / "run", "states.py", tmp_path / "run", 3, 100)
    assert len(warnings) == 1 and "would stop 10" in warnings[0]
    assert not (tmp_path / "run" / PROFILES["speedscope"]).exists()


def test_a_hundred_threads_are_sampled_lightly_by_default(tmp_path: Path) -> None:
    process, warnings = observe(PySpyCollector(), tmp_path / "run", "states.py", tmp_path / "run", 3, 100)
    assert process.returncode == 3 and warnings == []
    facts = json.loads((tmp_path / "run" / FACTS_FILE).read_text())
    assert not facts["native"] and facts["threads"] > 100
    seen = samples.read_collected(tmp_path / "run", spans_of(tmp_path / "run"))
    assert seen is not None and seen.samples.num_rows > 20


# -- what may go wrong ------------------------------------------------------------------------------


def stops(run_dir: Path) -> int:
    """How often a py-spy that is at work has stopped the process so far."""
    log = run_dir / samples.LOG_FILE
    return read_log(log).count if log.exists() else 0


def runs_on(pid: int) -> bool:
    """Whether a process is not stopped, in many looks."""
    return not any(state_of(pid) in "T" for _ in range(50) if not time.sleep(0.005))


def test_py_spy_killed_leaves_the_process_running(tmp_path: Path) -> None:
    process = begin("states.py", tmp_path, 60)
    collector = PySpyCollector(rate=200)
    collector.attach(process.pid, tmp_path)
    wait_for(lambda: stops(tmp_path) > 20)
    collector._process.kill()
    assert collector._process.wait() == -signal.SIGKILL
    wait_for(lambda: state_of(process.pid) not in "Tt")
    assert runs_on(process.pid)
    process.kill()
    end(process)
    (warning,) = collector.finish(tmp_path)
    assert "SIGKILL" in warning


def test_the_target_killed_leaves_what_was_sampled(tmp_path: Path) -> None:
    process = begin("states.py", tmp_path, 60)
    collector = PySpyCollector(rate=100)
    collector.attach(process.pid, tmp_path)
    wait_for(lambda: stops(tmp_path) > 150)
    process.kill()
    assert end(process) == -signal.SIGKILL
    assert collector.finish(tmp_path) == []
    seen = samples.read_collected(tmp_path, spans_of(tmp_path))
    assert seen is not None and seen.samples.num_rows > 50 and seen.timed


def test_a_process_kept_stopped_is_let_go(tmp_path: Path) -> None:
    """As in py-spy's issues 390, 416, 587; here the stop is ours."""
    process = begin("states.py", tmp_path, 60)
    collector = PySpyCollector(rate=50)
    collector.attach(process.pid, tmp_path)
    wait_for(lambda: stops(tmp_path) > 20)
    process.send_signal(signal.SIGSTOP)
    wait_for(lambda: collector._process.poll() is not None)
    wait_for(lambda: state_of(process.pid) not in "Tt")
    process.kill()
    end(process)
    assert any("kept the process stopped" in text for text in collector.finish(tmp_path))


def test_standing_still_is_told_from_being_held_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks a second apart: state of the process, and how often it has left a core."""

    def longest(*looks: tuple[str, int]) -> float:
        clock, states, switches = iter(range(99)), iter(looks), iter(looks)
        monkeypatch.setattr("motrace.collect.pyspy.time.monotonic", lambda: 1 + next(clock))
        monkeypatch.setattr("motrace.collect.pyspy._state", lambda pid: next(states)[0])
        monkeypatch.setattr("motrace.collect.pyspy._switches", lambda pid: next(switches)[1])
        still = _Standstill(1)
        found = max(still.seconds() for _ in looks)
        monkeypatch.undo()
        return found

    assert longest(*(("t", count) for count in range(9))) == 0, "a busy machine: it runs between the looks"
    assert longest(*(("t", 5) for _ in range(9))) == 7, "py-spy hangs"
    assert longest(*(("Tt"[count % 2], count) for count in range(9))) == 8, "stopped besides"
    assert longest(("T", 1), ("S", 2), ("t", 2), ("t", 3), ("R", 4)) == 0


def test_what_is_no_python_is_one_line(tmp_path: Path) -> None:
    process = subprocess.Popen(["sleep", "600"])
    collector = PySpyCollector()
    collector.attach(process.pid, tmp_path)
    wait_for(lambda: collector._process is not None and collector._process.poll() is not None)
    assert runs_on(process.pid)
    process.terminate()
    assert process.wait() == -signal.SIGTERM
    (warning,) = collector.finish(tmp_path)
    assert warning.startswith("py-spy wrote nothing (status 1)") and "\n" not in warning


def test_a_process_that_ends_while_py_spy_attaches_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    _, warnings = observe(PySpyCollector(), folder, "known.py", folder, folder / "truth.json", 0.05)
    assert len(warnings) <= 1
    assert not warnings or "record more frames" in warnings[0] or "ended before" in warnings[0], warnings


def test_a_process_that_ends_at_once_is_no_trouble(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    collector = PySpyCollector()
    collector.attach(process.pid, tmp_path)
    process.wait()
    (warning,) = collector.finish(tmp_path)
    assert "ended before" in warning
    assert samples.read_collected(tmp_path, {}) is None


def test_two_observers_at_once_and_a_target_that_forks(tmp_path: Path) -> None:
    folder, other = tmp_path / "run", tmp_path / "other"
    other.mkdir()
    folder.mkdir()
    process = begin("states.py", folder, 4, 2, "fork")
    first, second = PySpyCollector(rate=50), PySpyCollector(rate=50)
    first.attach(process.pid, folder)
    second.attach(process.pid, other)
    assert end(process) == 3
    warnings = [*first.finish(folder), *second.finish(other)]
    assert [text for text in warnings if "wrote nothing" in text] == []
    for place in (folder, other):
        seen = samples.read_collected(place, spans_of(folder))
        assert seen is not None and seen.samples.num_rows > 30


def test_a_collector_that_is_not_there_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motrace.collect.pyspy._program", lambda: None)
    assert PySpyCollector().missing() == "py-spy is not installed: pip install py-spy"


def test_every_class_of_the_known_program_is_known(known: Path) -> None:
    _, counts = counts_of(known)
    native = {name for kind in counts.values() for name in kind if coarse(name) == "native"}
    assert "native:libcrypto" in native
    assert set(RUNNING_CLASSES) >= {coarse(name) for name in native}
    assert os.path.exists(known / "py-spy.log.gz")


def test_being_refused_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real py-spy as another user, who may not attach."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() or not setpriv:
        pytest.skip("only root can run py-spy as another user")
    copy = tmp_path / "py-spy"
    shutil.copy(str(_program()), copy)
    wrapper = tmp_path / "as-nobody"
    wrapper.write_text(f'#!/bin/sh\nexec {setpriv} --reuid=65534 --clear-groups -- {copy} "$@"\n')
    for path in (copy, wrapper, *tmp_path.parents[:2], tmp_path):
        path.chmod(0o755)
    monkeypatch.setattr("motrace.collect.pyspy._program", lambda: str(wrapper))
    process, (warning,) = observe(PySpyCollector(rate=50), tmp_path / "run", "states.py", tmp_path / "run", 2)
    assert process.returncode == 3
    assert "may not attach" in warning and "ptrace_scope" in warning
