"""A slice of the verdict score (benchmarks/verdicts.py): no verdict is certain and wrong."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import verdicts
from benchmarks.labelled.exports import _label
from benchmarks.labelled.kinds import KINDS, Graded
from benchmarks.labelled.label import Holder, Label, Outcome, grade
from benchmarks.labelled.plan import Work, draw_plan
from motrace.dataset.estimate import Estimate
from motrace.dataset.times import BucketTime
from motrace.findings.codes import Doubt, Meaning, Owner
from motrace.findings.model import Verdict

SEED = 7
PASSING = ("machine, all evidence", "machine, CPU clocks alone", "machine, calls and GPU work", "machine, trace alone",
           "Kineto, CUDA", "Kineto, ROCm", "Kineto, other vendors", "Kineto, no annotations", "Kineto, two ranks",
           "Kineto, damaged", "export, another renderer")  # fmt: skip
"""Kinds in which no verdict is certain and wrong today."""


@pytest.fixture(scope="module")
def found() -> list[Graded]:
    """Some cases of each kind that needs no tool."""
    return list(verdicts.graded(verdicts.chosen(None, quick=True), SEED, jobs=2))


def test_no_verdict_is_certain_and_wrong(found: list[Graded]) -> None:
    mine = [one for one in found if one.kind in PASSING]
    assert len(mine) == verdicts.QUICK * len(PASSING)
    assert [one.line() for one in mine if one.outcome is Outcome.CERTAIN_AND_WRONG] == []


def test_a_machine_that_is_seen_is_judged_right(found: list[Graded]) -> None:
    mine = [one for one in found if one.kind.startswith("machine")]
    assert mine and [one.line() for one in mine if one.outcome is not Outcome.RIGHT] == []


def test_there_are_enough_cases() -> None:
    assert sum(kind.cases for kind in KINDS) >= 300 and min(kind.cases for kind in KINDS) >= 10
    assert sum(kind.cases for kind in KINDS if kind.real) >= verdicts.LEAST_REAL * sum(kind.cases for kind in KINDS)


def verdict(bucket: str, meaning: Meaning, owner: Owner, certain: bool) -> Verdict:
    lead = BucketTime(bucket, Estimate(9, 8, 10), 0.9, 0.8, 1.0)
    doubt = None if certain else Doubt.BUCKETS_OVERLAP
    return Verdict(leading=lead, meaning=meaning, owner=owner, certain=certain, doubt=doubt)


def test_how_a_verdict_is_graded() -> None:
    """Right, wrong, wrong and certain, abstained; where nothing can be known abstaining alone is right."""
    encoder, unknown = Label(frozenset([Holder.ENCODER])), Label(frozenset())
    good = verdict("encoder", Meaning.WAITS_FOR_ENCODER, Owner.ENCODER, True)
    child = Meaning.CHILD_PROCESS_WORKS
    bad, sure = (verdict("system", child, Owner.APPLICATION, certain) for certain in (False, True))
    none = Verdict(doubt=Doubt.NO_EVIDENCE)
    silent = verdict("unexplained", Meaning.UNEXPLAINED, Owner.NONE, False)
    assert [grade(encoder, one) for one in (good, bad, sure, none, silent, None)] == [
        Outcome.RIGHT, Outcome.WRONG, Outcome.CERTAIN_AND_WRONG, *[Outcome.ABSTAINED] * 3]  # fmt: skip
    assert [grade(unknown, one) for one in (good, bad, none, silent)] == [
        Outcome.CERTAIN_AND_WRONG, Outcome.WRONG, Outcome.RIGHT, Outcome.RIGHT]  # fmt: skip
    draws = verdict("renderer_gpu", Meaning.GPU_DRAWS, Owner.RENDERER, True)
    gpu = frozenset([Holder.GPU_DRAWS])
    assert grade(Label(gpu, motrix=True), draws) is Outcome.RIGHT
    assert grade(Label(gpu, motrix=False), draws) is Outcome.CERTAIN_AND_WRONG, (
        "its owner is Motrix, which did not draw"
    )


def test_what_no_table_shows_is_not_in_a_label() -> None:
    plan = draw_plan(np.random.default_rng(0), Work.SLEEP, tuple(Work))
    assert _label(plan, ("OSRT_API",)).holders == {Holder.SLEEP} and not _label(plan, ()).holders
