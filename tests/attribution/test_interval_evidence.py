"""Blocked time split by intervals, on simulated machines: exact where they are, bounded where they are not."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from motrace.attribution.attribute import Blind, Shares, attribute
from motrace.attribution.evidence_from_events import Coverage, Who, evidence_from
from motrace.attribution.interval_evidence import Evidence
from motrace.attribution.pieces import Pieces
from motrace.dataset.event_store import Calls, TracedOps, TracedStates, WindowEvents
from motrace.timeline.intervals import Intervals
from motrace.vocabulary import OWN_WAITS, EvidenceKind, bucket_of
from tests.attribution.simulated import Machine, build, calls, machines, scheduling, summed, true_causes

SLACK_NS = 4  # clocks are whole nanoseconds, the machine is not
SEES_ALL = Blind(False, False)

many = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def by_cause(machine: Machine, evidence: Evidence, with_clocks: bool = True) -> dict[str, Shares]:
    """Shares by cause."""
    log = machine.log if with_clocks else None
    shares = summed(attribute(machine.pieces, log, machine.roles, None, SEES_ALL, evidence))
    found = {cause: share for (_, cause), share in shares.items()}
    wall = machine.pieces.end_ns - machine.pieces.start_ns
    assert (sum(share.ns for share in found.values()) == wall).all()
    return found


@many
@given(machines(with_gpu=True))
def test_exact_intervals_give_the_truth_exactly(machine: Machine) -> None:
    shares = by_cause(machine, scheduling(machine))
    for piece in range(len(machine.pieces)):
        truth = true_causes(machine, piece)
        for cause, share in shares.items():
            assert abs(share.ns[piece] - truth.get(cause, 0)) <= SLACK_NS, (cause, piece, truth)
            assert share.hi_ns[piece] - share.lo_ns[piece] <= 2 * SLACK_NS
        assert set(truth) <= set(shares)


@many
@given(machines(with_gpu=True))
def test_they_do_without_any_clock(machine: Machine) -> None:
    """A trace by somebody else: no recorder of ours ran in the program."""
    shares = by_cause(machine, scheduling(machine, knows_runnable=False), with_clocks=False)
    for piece in range(len(machine.pieces)):
        truth = true_causes(machine, piece)
        assert shares["native_or_python"].ns[piece] == truth.get("native_or_python", 0)


@many
@given(
    machines(with_gpu=True),
    st.integers(-3000, 3000),
    st.sampled_from((scheduling, calls, lambda machine, error: scheduling(machine, error, knows_runnable=False))),
)
def test_every_true_cause_lies_inside_its_bounds(
    machine: Machine, error_ns: int, seen: Callable[[Machine, int], Evidence]
) -> None:
    """Whatever the error of the alignment, and whether waiting for a core can be told from blocking."""
    shares = by_cause(machine, seen(machine, error_ns))
    for piece in range(len(machine.pieces)):
        truth = true_causes(machine, piece)
        for cause, share in shares.items():
            low, high, true = share.lo_ns[piece], share.hi_ns[piece], truth.get(cause, 0)
            assert low - SLACK_NS <= true <= high + SLACK_NS, (cause, piece, true, low, high)
        assert set(truth) <= set(shares)


@many
@given(machines(), st.integers(-3000, 3000), st.booleans())
def test_more_evidence_never_makes_bounds_wider(machine: Machine, error_ns: int, why: bool) -> None:
    """Deterministic sources intersect: whatever was known before, with one more each bound holds or narrows,
    but for the alignment's error at the ends of a piece."""
    slack = SLACK_NS + 4 * abs(error_ns)
    chains = (
        (None, calls(machine, error_ns), scheduling(machine, error_ns)),
        (None, scheduling(machine, error_ns, knows_runnable=why)),
    )
    for chain in chains:
        known = [summed(attribute(machine.pieces, machine.log, machine.roles, None, SEES_ALL, one)) for one in chain]
        for before, after in pairwise(known):
            for key in before.keys() | after.keys():
                nothing = np.zeros(len(machine.pieces), np.int64)
                was, now = (
                    (one[key].lo_ns, one[key].hi_ns) if key in one else (nothing, nothing) for one in (before, after)
                )
                assert (now[0] >= was[0] - slack).all() and (now[1] <= was[1] + slack).all(), key


@pytest.mark.parametrize("seed", range(5))
def test_waiting_calls_narrow_what_clocks_leave_open(seed: int) -> None:
    machine = build(np.random.default_rng(seed), 4, 5, 1, 200, 0.4, 5, with_gpu=True)

    def width(evidence: Evidence | None) -> int:
        shares = attribute(machine.pieces, machine.log, machine.roles, None, SEES_ALL, evidence)
        return int(sum((share.hi_ns - share.lo_ns).sum() for share in shares))

    without = scheduling(machine)
    clocks = Evidence((EvidenceKind.GPU_WORK,), graphics=without.graphics, cuda=without.cuda)
    assert width(scheduling(machine)) < width(calls(machine)) < width(clocks)


def test_a_child_may_use_more_cpu_time_than_wall_time() -> None:
    """What it used beyond the piece's length is not a sign that it worked while the loop thread was blocked."""
    for seed in (31, 34, 377, 491):  # these failed
        machine = build(np.random.default_rng(seed), 3, 3, 2, 16, 0.6, 1)
        shares = by_cause(machine, calls(machine))
        for piece in range(len(machine.pieces)):
            truth = true_causes(machine, piece)
            for cause, share in shares.items():
                assert share.lo_ns[piece] - SLACK_NS <= truth.get(cause, 0) <= share.hi_ns[piece] + SLACK_NS, (
                    seed,
                    cause,
                )


def on_a_gpu_unseen(gpu_waits: Intervals | None) -> dict[str, tuple[int, int, int, tuple[EvidenceKind, ...]]]:
    """100 ns in capture, of which the loop thread ran 20 and waited for the renderer from 20 to 100."""
    pieces = Pieces(*(np.array([value]) for value in (0, 100, 0, 0, 0)), ["capture"])
    off = Intervals.union(np.array([20]), np.array([100]))
    evidence = Evidence((EvidenceKind.SCHEDULING,), off_core=off, working={}, gpu_waits=gpu_waits)
    shares = attribute(pieces, None, {}, None, Blind(True, False), evidence)
    return {
        share.cause: (int(share.ns[0]), int(share.lo_ns[0]), int(share.hi_ns[0]), share.evidence)
        for share in shares
        if share.state == "blocked"
    }


def test_waiting_for_an_unseen_gpu_is_an_estimate_and_no_proof() -> None:
    before = on_a_gpu_unseen(None)
    assert before["unexplained"][0] == 80 and before["gpu_only"][:3] == (0, 0, 80)
    after = on_a_gpu_unseen(Intervals.union(np.array([0, 50]), np.array([10, 90])))
    assert after["gpu_only"][:3] == (40, 0, 80)  # 50 to 90; of 0 to 10 nothing was blocked
    assert after["unexplained"][0] == 40
    assert EvidenceKind.GPU_WAITS in after["gpu_only"][3] and EvidenceKind.GPU_WAITS not in before["gpu_only"][3]
    assert [row[1:3] for row in before.values()] == [after[cause][1:3] for cause in before]


def test_vulkan_waits_tell_of_an_unseen_gpu() -> None:
    """By the API: a semaphore of the OS runtime, or the GPU of CUDA, is not the one that draws."""
    zero = np.zeros(4, np.int64)
    calls = Calls(
        zero, zero + 5, np.array([0, 100, 200, 300]), np.array([10, 110, 210, 310]),
        np.array(["fence", "semaphore", "device", "image"], object), zero.astype(bool),
        np.array([True, False, False, True]),
    )  # fmt: skip
    nothing = np.empty(0, np.int64)
    events = WindowEvents(None, calls, TracedOps(nothing, *(nothing.astype(bool),) * 2, nothing, nothing, nothing))
    for sees_graphics, expected in ((False, [(0, 10)]), (True, None)):
        found = evidence_from(events, Who((1, 1), {}, {}), Coverage(0, 1000, 0, 0, sees_graphics, False)).gpu_waits
        assert (None if found is None else list(zip(found.start_ns.tolist(), found.end_ns.tolist()))) == expected


def waits_of(
    words: list[str], hidden: frozenset[str] = frozenset(), phase: str = "glue", called: tuple[str, ...] = ()
) -> dict[str, tuple[int, ...]]:
    """100 ns in which the loop thread is blocked, 20 ns for each word; another thread works in the first 40.

    ``called`` is what the calls are for in which it is from the begin on, 20 ns each.
    """
    edges = np.arange(0, 101, 20)
    one, off = np.ones(5, np.int64), np.zeros(5, bool)
    word = np.array([*words, "futex"], object)
    states = TracedStates(
        "threads", np.append(one, 1), np.append(one, 2), np.append(edges[:-1], 0), np.append(edges[1:], 40),
        np.append(off, True), np.append(~off, False), word,
    )  # fmt: skip
    nothing, of = np.empty(0, np.int64), slice(len(called))
    calls = Calls(one[of], one[of], edges[:-1][of], edges[1:][of], np.array(called, object), off[of], off[of])
    events = WindowEvents(states, calls, TracedOps(nothing, *(nothing.astype(bool),) * 2, nothing, nothing, nothing))
    evidence = evidence_from(events, Who((1, 1), {}, {}), Coverage(0, 100, 0, 0, True, True, hidden))
    pieces = Pieces(*(np.array([value]) for value in (0, 100, 0, 0, 0)), [phase])
    shares = attribute(pieces, None, {}, None, SEES_ALL, evidence)
    return {
        share.cause: (int(share.ns[0]), int(share.lo_ns[0]), int(share.hi_ns[0])) for share in shares if share.hi_ns[0]
    }


def test_what_the_loop_thread_itself_waits_for_is_a_cause() -> None:
    """The interpreter lock before a thread that works, the rest where none does; an encoder's pipe stays Encoder's."""
    words = ["gil", "futex", "pipe", "sleep", "file"]
    expected = {"gil": (20,) * 3, "other_threads": (20,) * 3, "pipe": (20,) * 3, "pacing": (20,) * 3, "io": (20,) * 3}
    assert waits_of(words) == expected
    assert waits_of(words, phase="encode.write") == {
        "gil": (20,) * 3, "other_threads": (20,) * 3, "idle": (60,) * 3,
    }  # fmt: skip
    assert {bucket_of(cause, "glue") for cause in expected} == {
        "python_overhead", "own_threads", "pipes", "pacing", "io",
    }  # fmt: skip


def test_a_call_that_may_be_for_the_interpreter_lock_widens_what_is_surely_for_it() -> None:
    """Python waits for it with a condition; one that no switch interval ends may be anyone's."""
    found = waits_of(["futex"] * 5, called=("condition", "futex", "gil"))
    assert found["gil"] == (20, 20, 40)
    assert found["other_threads"] == (40, 20, 40) and found["idle"] == (40, 20, 40)


def test_a_wait_that_nothing_shows_is_a_range() -> None:
    found = waits_of(["futex"] * 5, OWN_WAITS)
    assert found["other_threads"] == (40, 0, 40) and found["gil"] == (0, 0, 40)
    assert found["idle"] == (60, 0, 60)
    assert {cause: found[cause] for cause in ("pipe", "io", "pacing")} == dict.fromkeys(
        ("pipe", "io", "pacing"), (0, 0, 60)
    )
