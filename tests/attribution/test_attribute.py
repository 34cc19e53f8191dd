"""On simulated machines: sums are exact, states are true, and every true cause lies inside its bounds."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from motrace.attribution.aggregate import aggregate
from motrace.attribution.attribute import Blind, Shares, attribute
from motrace.vocabulary import bucket_of
from tests.attribution.simulated import Machine, build, machines, pipeline, sampled, summed, table_of, true_causes

SLACK_NS = 4  # clocks are whole nanoseconds, the machine is not

many = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def shares_of(machine: Machine, blind: Blind = Blind(False, False)) -> dict[tuple[str, str], Shares]:  # noqa: B008
    return summed(attribute(machine.pieces, machine.log, machine.roles, None, blind))


@many
@given(machines())
def test_the_parts_add_up_exactly(machine: Machine) -> None:
    shares = shares_of(machine)
    total = sum(share.ns for share in shares.values())
    assert (total == machine.pieces.end_ns - machine.pieces.start_ns).all()
    for share in shares.values():
        assert share.ns.dtype == np.int64
        assert (share.lo_ns <= share.ns).all() and (share.ns <= share.hi_ns).all()
        assert (share.lo_ns >= 0).all()


@many
@given(machines(with_gil=True))
def test_every_true_cause_lies_inside_its_bounds(machine: Machine) -> None:
    shares = {cause: share for (_, cause), share in shares_of(machine).items()}
    for piece in range(len(machine.pieces)):
        truth = true_causes(machine, piece)
        for cause, ns in truth.items():
            share = shares[cause]
            assert share.lo_ns[piece] - SLACK_NS <= ns <= share.hi_ns[piece] + SLACK_NS, (cause, piece, truth)
        for cause, share in shares.items():
            if cause not in truth:
                assert share.lo_ns[piece] <= SLACK_NS, (cause, piece, truth)


@many
@given(machines())
def test_states_are_exact(machine: Machine) -> None:
    shares = shares_of(machine)
    for piece in range(len(machine.pieces)):
        truth = true_causes(machine, piece)
        for state, cause in (("running", "native_or_python"), ("runnable", "run_queue")):
            assert abs(shares[(state, cause)].ns[piece] - truth.get(cause, 0)) <= SLACK_NS


@many
@given(machines())
def test_an_unseen_gpu_leaves_the_wait_unexplained(machine: Machine) -> None:
    """With a GPU that no clock shows, nothing may be claimed of it, and nothing denied."""
    shares = shares_of(machine, Blind(gpu=True, cuda=False))
    rows = np.array([phase == "wait" for phase in machine.pieces.phase])
    blocked = sum((s.ns for (state, _), s in shares.items() if state == "blocked"), np.zeros(len(rows), np.int64))
    for cause in ("gpu_only", "idle", "renderer_both"):
        share = shares.get(("blocked", cause))
        if share is not None:
            assert (share.lo_ns[rows] == 0).all()
    if (blocked[rows] > 0).any():
        assert (shares[("blocked", "gpu_only")].hi_ns[rows] == blocked[rows]).all()
        unexplained = shares[("blocked", "unexplained")]
        full = unexplained.ns[rows] == unexplained.hi_ns[rows]
        assert (full | (shares[("blocked", "idle")].ns[rows] == 0)).all(), "nobody's before unexplained is full"
        assert "raster" not in {cause for (_, cause), s in shares.items() if s.hi_ns[rows].any()}


def test_without_clocks_everything_is_unexplained() -> None:
    machine = build(np.random.default_rng(1), 2, 2, 0, 10, 0.5, 1)
    shares = {s.cause: s for s in attribute(machine.pieces, None, {}, None, Blind(False, False))}
    wall = machine.pieces.end_ns - machine.pieces.start_ns
    assert (shares["unexplained"].ns == wall).all()
    assert shares["unexplained"].state == "unknown"
    assert sum(s.ns for s in shares.values()).tolist() == wall.tolist()


def test_a_lone_worker_in_a_blocked_piece_is_exact_but_for_the_readings() -> None:
    """The loop thread blocked throughout, readings at every boundary: bounds as narrow as the readings' windows."""
    machine = build(np.random.default_rng(5), 2, 1, 0, 30, 0.9, 1)
    machine.roles = {0: "raster"}
    machine.log.boundaries[:, 1:] = 0
    shares = {cause: share for (_, cause), share in shares_of(machine).items()}
    width = shares["raster"].hi_ns - shares["raster"].lo_ns
    assert 0 < width.max() <= 1_000 + SLACK_NS


@pytest.mark.parametrize("seed", range(20))
def test_points_lie_near_the_truth_where_one_role_works(seed: int) -> None:
    """Never farther than the time in which the loop thread was not blocked: that is all that is not known."""
    machine = build(np.random.default_rng(seed), 4, 1, 0, 40, 0.8, 1)
    shares = shares_of(machine)
    awake = sum(share.ns for (state, _), share in shares.items() if state in ("running", "runnable"))
    causes = {cause: share for (_, cause), share in shares.items()}
    for piece in range(len(machine.pieces)):
        for cause, ns in true_causes(machine, piece).items():
            assert abs(causes[cause].ns[piece] - ns) <= awake[piece] + 1_000 + SLACK_NS


def true_buckets(machine: Machine) -> Counter[str]:
    true: Counter[str] = Counter()
    for piece, phase in enumerate(machine.pieces.phase):
        for cause, ns in true_causes(machine, piece).items():
            true[bucket_of(cause, phase)] += ns
    return true


def test_of_workers_that_take_turns_the_point_is_near_and_the_models_range_covers() -> None:
    """150 random pipelines; taken as independent, workers left far more of their time to idle."""
    misses, widths, errors = 0, [], []
    for seed in range(150):
        machine = pipeline(np.random.default_rng(seed))
        found = aggregate(table_of(machine, shares_of(machine).values()), ("bucket",), None)
        true = true_buckets(machine)
        wall = int(machine.edges[-1] - machine.edges[0])
        for bucket in ("renderer_gpu", "renderer_cpu", "renderer_stall"):
            time = found[(bucket,)]
            assert time.lo_ns - SLACK_NS * 20 <= true[bucket] <= time.hi_ns + SLACK_NS * 20
            misses += not time.likely[0] <= true[bucket] <= time.likely[1]
            widths.append((time.likely[1] - time.likely[0]) / wall)
            errors.append(abs(time.ns - true[bucket]) / wall)
    assert misses <= 0.05 * len(errors)
    assert np.median(widths) < 0.12 and np.quantile(errors, 0.95) < 0.05


def test_a_sum_of_samples_has_the_sampling_error_of_the_sum_inside_the_clocks_bounds() -> None:
    """Not the sum of each frame's error, which is wider than what the clocks say."""
    misses, widths, count = 0, [], 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        machine, step_ns = pipeline(random), int(random.integers(500_000, 4_000_000))
        shares = attribute(
            machine.pieces, machine.log, machine.roles, None, Blind(False, False), sampled(machine, random, step_ns)
        )
        found = aggregate(table_of(machine, shares, step_ns), ("bucket",), None)
        clocks = aggregate(table_of(machine, shares_of(machine).values()), ("bucket",), None)
        true, wall = true_buckets(machine), int(machine.edges[-1] - machine.edges[0])
        for bucket in ("renderer_gpu", "renderer_cpu", "renderer_stall"):
            time, bound = found[(bucket,)], clocks[(bucket,)]
            assert bound.lo_ns - 400 <= time.lo_ns and time.hi_ns <= bound.hi_ns + 400
            misses += not time.lo_ns - 400 <= true[bucket] <= time.hi_ns + 400
            widths.append((time.hi_ns - time.lo_ns) / wall)
            count += 1
    assert misses <= 0.05 * count
    assert np.median(widths) < 0.2
