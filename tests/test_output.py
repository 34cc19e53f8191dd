"""A recording that someone sends can't lead what we write to files outside of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

import motrace
from motrace import output
from motrace.commands import analyze, sweep
from motrace.dataset import tables
from motrace.dataset.schemas import SCHEMAS

NAMES = ("report.json", "report.md", "report.html", "play.json", "frames.parquet", "spans.parquet")


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    """An experiment of one short run."""
    motrace.start(tmp_path / "sent", cpu_clocks=False)
    with motrace.frame():
        pass
    motrace.stop()
    return tmp_path / "sent"


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A folder of someone's own files, which must stay as they are."""
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "file").write_text("keep")
    return folder


def unharmed(folder: Path) -> bool:
    return [(path.name, path.read_text()) for path in folder.iterdir()] == [("file", "keep")]


@pytest.mark.parametrize("where", ["analysis", "01/analysis"])
def test_a_folder_of_results_that_is_a_link_is_refused(
    sent: Path, precious: Path, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (sent / where).symlink_to(precious)
    assert analyze.main([str((sent / where).parent)]) == 1
    told = capsys.readouterr().err
    assert "analysis is a symbolic link" in told and "--out" in told and len(told.splitlines()) == 1
    assert unharmed(precious)


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_link_in_place_of_a_result_is_replaced(sent: Path, precious: Path, link: Callable[..., None]) -> None:
    (sent / "analysis").mkdir()
    for name in (name + suffix for name in NAMES for suffix in ("", ".tmp")):
        link(precious / "file", sent / "analysis" / name)
    assert analyze.main([str(sent)]) == 0
    assert unharmed(precious)
    assert not (sent / "analysis/report.html").is_symlink() and (sent / "analysis/report.html").stat().st_nlink == 1


def test_a_link_that_the_user_names_is_followed(sent: Path, tmp_path: Path) -> None:
    for name in ("results", "there"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "results")
    (tmp_path / "traces").symlink_to(sent)
    assert analyze.main([str(tmp_path / "traces"), "--out", str(tmp_path / "link")]) == 0
    assert (tmp_path / "results/report.json").is_file()
    assert analyze.main([str(tmp_path / "traces")]) == 0
    assert (sent / "analysis/report.json").is_file()


def test_a_sweep_replaces_links_too(tmp_path: Path, precious: Path, recording_of_none: Path) -> None:
    for name in ("sweep.json", "sweep.md", "sweep.html"):
        for suffix in ("", ".tmp"):
            (recording_of_none / f"{name}{suffix}").symlink_to(precious / ("file" if suffix else "new"))
    sweep.main(["--analyze", str(recording_of_none)])
    assert unharmed(precious)


@pytest.fixture
def recording_of_none(sent: Path) -> Path:
    """The experiment with what a sweep asks of it."""
    options = {"workload": "humanoid", "num_envs": 1, "width": 16, "height": 16}
    text = {"experiment": "sent", "command": {"options": options}, "environment": {}}
    output.write_text(sent / "experiment.json", json.dumps(text))
    return sent


@pytest.mark.parametrize("name", ["..", "", "a/b", "link"])
def test_a_folder_stays_below_its_root(tmp_path: Path, name: str) -> None:
    (tmp_path / "link").symlink_to("/")
    with pytest.raises(OSError, match=r"leads out|symbolic link"):
        output.folder(tmp_path, name)


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "gpu_frames.parquet").mkdir()  # can't be replaced by a file
    (tmp_path / "gpu_frames.parquet/x").write_text("")
    table: pa.Table = SCHEMAS["gpu_frames"].empty_table()
    with pytest.raises(OSError):
        tables.write(table, tmp_path / "gpu_frames.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["gpu_frames.parquet"]
