"""Frame sinks and videos, with the real encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import motrace
from motrace.attribution.pieces import collect_spans
from motrace.errors import MotraceError
from motrace.readers.recording import read_recording
from motrace.workloads.video import BufferedSink, is_blank, probe, use_bundled_ffmpeg


def noise(count: int, height: int = 180, width: int = 320) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (height, width, 3), np.uint8) for _ in range(count)]


@pytest.fixture(autouse=True)
def bundled() -> None:
    use_bundled_ffmpeg()


def filled(path: Path, frames: list[np.ndarray]) -> BufferedSink:
    sink = BufferedSink(path, 50.0)
    for frame in frames:
        sink.add(frame)
    return sink


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    assert filled(path, noise(7)).close() == 7
    facts = probe(path)
    assert (facts.frames, facts.fps, facts.width, facts.height) == (7, 50.0, 320, 180)
    assert facts.duration_s == pytest.approx(0.14)
    assert facts.bytes == path.stat().st_size
    assert facts.blank_frames == 0 and facts.distinct_frames == 7


def test_blank_and_equal_frames_are_seen(tmp_path: Path) -> None:
    grey = np.full((180, 320, 3), 46, np.uint8)
    same = noise(1)[0]
    filled(tmp_path / "v.mp4", [grey, grey, same, same]).close()
    facts = probe(tmp_path / "v.mp4")
    assert facts.blank_frames == 2
    assert facts.distinct_frames < 4


def test_motrixs_first_picture_is_blank() -> None:
    """Its pixels differ by one level here and there."""
    picture = np.full((36, 64, 4), (46, 47, 49, 255), np.uint8)
    picture[::2, ::2, :3] -= 1
    assert is_blank(picture)
    assert not is_blank(noise(1)[0])


def test_no_frames_no_video(tmp_path: Path) -> None:
    assert filled(tmp_path / "v.mp4", []).close() == 0
    assert not (tmp_path / "v.mp4").exists()


def test_writing_and_finishing_are_told_apart(tmp_path: Path) -> None:
    motrace.start(tmp_path / "run", cpu_clocks=False)
    filled(tmp_path / "v.mp4", noise(20)).close()
    motrace.stop()
    spans = collect_spans(read_recording(tmp_path / "run" / "01"))
    assert [name for name in spans.name] == ["encode", "encode.write", "encode.finish"]
    assert spans.closed.all()
    encode, write, finish = range(3)
    assert spans.start_ns[encode] <= spans.start_ns[write] < spans.end_ns[write] <= spans.start_ns[finish]
    assert spans.end_ns[finish] <= spans.end_ns[encode]
    assert spans.end_ns[finish] - spans.start_ns[finish] > 1e6, "the encoder has still work after the last frame"


def test_a_full_disk_is_one_clear_line(small_disk: Path) -> None:
    """Noise does not compress: two seconds of it are more than the disk holds."""
    sink = filled(small_disk / "v.mp4", noise(100, 360, 640))
    motrace.start(small_disk / "run", cpu_clocks=False)
    try:
        with pytest.raises(MotraceError, match=r"could not write v\.mp4") as caught:
            sink.close()
    finally:
        motrace.stop()
    assert "space" in str(caught.value) and "\n" not in str(caught.value)
    spans = collect_spans(read_recording(small_disk / "run" / "01"))
    assert spans.closed.all(), "the spans close when the encoder fails"


def test_what_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"no video")
    with pytest.raises(MotraceError, match="can't be decoded"):
        probe(tmp_path / "v.mp4")
