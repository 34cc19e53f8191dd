"""What one mode adds to the mode below it: its own phases' time, apart from what changed in the time that both have."""

from __future__ import annotations

import pytest

from motrace.cautions import CautionCode
from motrace.findings.compare import comparison, drifts
from motrace.findings.run_model import RunSummary
from motrace.findings.values import SegmentPhase
from tests.findings.made import run

MS = 1_000_000


def made(mode: str, number: int, capture_ms: int, encode_ms: int = 0) -> RunSummary:
    """A run of ten frames, which encodes after its loop."""
    frames = 10
    times = [("loop", "capture", capture_ms), ("loop", "step", 5), ("drain", "encode.write", encode_ms)]
    phases = tuple(SegmentPhase(seg, name, ms * MS * frames, ms * MS * frames, 0.0) for seg, name, ms in times if ms)
    wall = sum(one.self_ns for one in phases)
    return run((), wall, run_id=f"{number:02d}", mode=mode, segment_phases=phases)


def test_a_drift_between_the_runs_is_not_what_encoding_adds() -> None:
    """Capture drifts from 100 to 600 ms; encoding takes 41 ms: that, and no more, is what record adds."""
    captures, records = (100, 110, 105), (600, 580, 620)
    runs = [made("capture", n, ms) for n, ms in enumerate(captures)]
    runs += [made("record", n, ms, 41) for n, ms in enumerate(records)]
    found = comparison(runs)
    (rung,) = found.steps
    assert rung.own_phases == ("encode.write",) and rung.own_ns.difference == pytest.approx(41 * MS)
    assert rung.shared_ns.difference == pytest.approx(495 * MS)
    whole = rung.contrast.frame_with_drain_ns.difference
    assert whole == pytest.approx(rung.own_ns.difference + rung.shared_ns.difference)
    (warned,) = drifts(found)
    assert warned.code is CautionCode.RUNGS_DIFFER and warned.values["own_ns"] == pytest.approx(41 * MS)


def test_runs_that_were_recorded_in_turn_are_paired() -> None:
    """The machine slows down over three rounds, for both modes alike: pairs show no change, so nothing is warned of."""
    runs = [made(mode, n, ms, 41 * (mode == "record")) for n, ms in enumerate((100, 200, 300)) for mode in
            ("capture", "record")]  # fmt: skip
    found = comparison(runs)
    assert drifts(found) == [] and found.steps[0].shared_ns.lo == found.steps[0].shared_ns.hi == 0.0
