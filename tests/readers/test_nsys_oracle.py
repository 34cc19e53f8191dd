"""Our sums are those of the real ``nsys stats``, on recordings by others and on one made here."""

from __future__ import annotations

import csv
import io
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from motrace.readers.nsys.export import convert, nvtx_table, open_trace
from motrace.readers.nsys.stats import summaries

from . import recorded
from .exports import KEY
from .test_nsys import fixture, same

FIXTURES = ("h100_2gpu_1s.sqlite", "a100_saxpy.sqlite")
HERE = (
    pytest.param("recording", marks=pytest.mark.nsys),
    pytest.param("rendering", marks=[pytest.mark.nsys, pytest.mark.motrix]),
)
Sums = dict[str, tuple[int, int]]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    return recorded.export(recorded.record(folder), folder)


@pytest.fixture(scope="module")
def rendering(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of the real renderer's Vulkan calls and labels."""
    folder = tmp_path_factory.mktemp("rendered")
    return recorded.export(recorded.record(folder, "render_frames.py", "vulkan-annotations,osrt"), folder)


@pytest.fixture(params=[*FIXTURES, *HERE])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy: ``nsys stats`` adds columns to the files that it reads."""
    found = fixture(request.param) if request.param in FIXTURES else request.getfixturevalue(request.param)
    return Path(shutil.copyfile(found, tmp_path / "copy.sqlite"))


def report(path: Path, name: str) -> list[dict[str, str]]:
    """A report of ``nsys stats``; empty where the file has none of its events."""
    recorded.nsys()
    text = recorded.run("nsys", "stats", "-q", "-r", name, "--format", "csv", "-o", "-", path)
    if "Time (%)" not in text and "Start (ns)" not in text and "Name" not in text:
        return []
    return list(csv.DictReader(io.StringIO(text.strip())))


def sums(rows: list[dict[str, str]], name: str = "Name", count: str = "Num Calls") -> Sums:
    """Number and total time by name; functions of several versions together."""
    found: Sums = {}
    for row in rows:
        key = re.sub(r"_v\d{4,}$", "", row[name])
        before = found.get(key, (0, 0))
        found[key] = (before[0] + int(row[count]), before[1] + int(row["Total Time (ns)"]))
    return found


def ours(table: pd.DataFrame, by: str = "name") -> Sums:
    lengths = (table["end_ns"] - table["start_ns"]).groupby(table[by].astype(str)).agg(["size", "sum"])
    return {str(name): (int(row["size"]), int(row["sum"])) for name, row in lengths.iterrows()}


def read(path: Path, table: str, tmp_path: Path) -> pd.DataFrame:
    out = tmp_path / "out"
    if not out.exists():
        convert(open_trace(path, tmp_path), KEY, out, same)
    file = out / f"{table}.parquet"
    return pq.read_table(file).to_pandas() if file.exists() else pd.DataFrame()


def test_ranges(source: Path, tmp_path: Path) -> None:
    table = nvtx_table(open_trace(source, tmp_path)).to_pandas()
    ranges = table[table["kind"].isin(["range", "start_end"])]
    text, domain = ranges["name"].astype(str), ranges["domain"].astype(str)
    names = text.where(domain == "", domain + ":" + text)
    assert ours(ranges.assign(name=names)) == sums(report(source, "nvtxsum"), "Range", "Instances")


@pytest.mark.parametrize(("name", "api"), [("osrtsum", "osrt"), ("vulkanapisum", "vulkan")])
def test_calls(source: Path, tmp_path: Path, name: str, api: str) -> None:
    calls = read(source, "api_calls", tmp_path)
    assert ours(calls[calls["api"] == api]) == sums(report(source, name))


def test_cuda_calls(source: Path, tmp_path: Path) -> None:
    """NVIDIA's sum counts calls with a backtrace twice, as class 0 and as 67: taken out of it here."""
    theirs = sums(report(source, "cudaapisum"))
    if theirs:
        with closing(sqlite3.connect(source)) as db:
            twice = db.execute(
                "SELECT value, count(*), sum(end - start) FROM CUPTI_ACTIVITY_KIND_RUNTIME "
                "JOIN StringIds ON id = nameId WHERE eventClass = 67 GROUP BY 1"
            ).fetchall()
        for name, count, total in twice:
            key = re.sub(r"_v\d{4,}$", "", name)
            theirs[key] = (theirs[key][0] - count, theirs[key][1] - total)
    calls = read(source, "api_calls", tmp_path)
    assert ours(calls[calls["api"] == "cuda"]) == {name: pair for name, pair in theirs.items() if pair[0]}


def test_kernels_and_copies(source: Path, tmp_path: Path) -> None:
    ops = read(source, "gpu_ops", tmp_path)
    if ops.empty:
        assert report(source, "gpukernsum") == []
        return
    assert ours(ops[ops["kind"] == "kernel"]) == sums(report(source, "gpukernsum"), count="Instances")
    copies = sums(report(source, "gpumemtimesum"), "Operation", "Count")
    mine = ops[ops["kind"].isin(["memcpy", "memset"])]
    short = {
        "Host-to-Device": "[CUDA memcpy HtoD]",
        "Device-to-Host": "[CUDA memcpy DtoH]",
        "Device-to-Device": "[CUDA memcpy DtoD]",
        "Peer-to-Peer": "[CUDA memcpy PtoP]",
        "memset": "[CUDA memset]",
    }
    assert ours(mine.assign(name=mine["name"].astype(str).map(short))) == copies


def test_summaries(source: Path, tmp_path: Path) -> None:
    """Straight from the export: every number of every row, to the digit that nsys prints."""
    found = summaries(open_trace(source, tmp_path)).to_pylist()
    twice = "CUPTI_ACTIVITY_KIND_RUNTIME" in open_trace(source, tmp_path).tables and source_has_backtraces(source)
    compared = 0
    for name, summary, title, count in (
        ("nvtxsum", "nvtx", "Range", "Instances"),
        ("osrtsum", "osrt", "Name", "Num Calls"),
        ("vulkanapisum", "vulkan", "Name", "Num Calls"),
        ("cudaapisum", "cuda", "Name", "Num Calls"),
    ):
        if name == "cudaapisum" and twice:
            continue  # see test_cuda_calls
        theirs = {(re.sub(r"_v\d{4,}$", "", row[title]), row.get("Style")): row for row in report(source, name)}
        styles = {"range": "PushPop", "start_end": "StartEnd", "call": None}
        ours = {(row["name"], styles[row["kind"]]): row for row in found if row["summary"] == summary}
        assert ours.keys() == theirs.keys()
        for key, row in ours.items():
            assert row["count"] == int(theirs[key][count])
            for what, their in (("total", "Total Time"), ("min", "Min"), ("max", "Max")):
                assert row[f"{what}_ns"] == int(theirs[key][f"{their} (ns)"]), key
            for what, their in (("mean", "Avg"), ("median", "Med"), ("std", "StdDev")):
                assert row[f"{what}_ns"] == pytest.approx(float(theirs[key][f"{their} (ns)"]), rel=1e-6, abs=0.051)
            compared += 1
    assert compared


def test_launches(source: Path, tmp_path: Path) -> None:
    """kernexecsum joins kernels to the calls that launched them; only kernels with one are in it."""
    ops = read(source, "gpu_ops", tmp_path)
    rows = report(source, "kernexecsum")
    if ops.empty:
        assert rows == []
        return
    kernels = ops[(ops["kind"] == "kernel") & ops["launch_ns"].notna()]
    theirs: dict[str, int] = {}
    for row in rows:
        theirs[row["Kernel Name"]] = theirs.get(row["Kernel Name"], 0) + int(row["Count"])
    classes = 2 if source_has_backtraces(source) else 1
    assert {name: count * classes for name, (count, _) in ours(kernels).items()} == theirs


def source_has_backtraces(source: Path) -> bool:
    with closing(sqlite3.connect(source)) as db:
        query = "SELECT count(*) FROM CUPTI_ACTIVITY_KIND_RUNTIME WHERE eventClass = 67"
        return bool(db.execute(query).fetchone()[0])


@pytest.mark.nsys
def test_a_report_is_exported_and_every_format_agrees(tmp_path: Path, recording: Path) -> None:
    path = recording.with_name("recorded.nsys-rep")
    exported = {kind: open_trace(recorded.export(path, tmp_path, kind), tmp_path) for kind in ("sqlite", "arrow")}
    direct = open_trace(path, tmp_path, recorded.export)
    (tmp_path / "o").mkdir()
    tables = []
    for number, trace in enumerate([direct, *exported.values()]):
        rows = convert(trace, KEY, tmp_path / "o" / str(number), same)
        tables.append({name: pq.read_table(tmp_path / "o" / str(number) / f"{name}.parquet") for name in rows})
        assert trace.warnings == []
    assert set(tables[0]) == {"nvtx", "api_calls"}
    assert tables[0] == tables[1] == tables[2]


@pytest.mark.nsys
def test_what_was_recorded_here(tmp_path: Path, recording: Path) -> None:
    trace = open_trace(recording, tmp_path)
    nvtx = nvtx_table(trace).to_pandas()
    mine = nvtx[nvtx["domain"] == "motrace"]
    assert (mine["name"] == "outer").sum() == 5
    assert (nvtx[nvtx["name"] == "inner"]["domain"] == "").all()
    steps = mine[mine["name"].astype(str).str.startswith("step")]
    assert len(steps) == 20
    assert set(steps["category"]) == {"work"}
    assert sorted(steps["payload"]) == sorted([*range(10)] * 2)
    assert steps["tid"].nunique() == 2
    (crossing,) = mine[mine["name"] == "crossing"].to_dict("records")
    assert crossing["end_tid"] == crossing["pid"]
    assert list(mine[~mine["closed"]]["name"]) == ["never popped"]
    marks = mine[mine["name"] == "motrace.sync"].sort_values("payload")
    made, read_ns = marks["start_ns"].to_numpy(np.int64), marks["payload"].to_numpy(np.int64)
    assert (made[:-1] - read_ns[1:]).max() < (made - read_ns).min(), "each is made before the next one's clock is read"
    assert trace.profiled == set(mine["pid"])
    calls = read(recording, "api_calls", tmp_path)
    assert {"sleep", "io"} <= set(calls["waits_on"].dropna())


@pytest.mark.nsys
@pytest.mark.motrix
def test_what_was_rendered_here(tmp_path: Path, rendering: Path) -> None:
    calls = read(rendering, "api_calls", tmp_path)
    vulkan = calls[calls["api"] == "vulkan"]
    assert {"vkQueueSubmit", "vkCreateDevice"} <= set(vulkan["name"])
    assert "semaphore" in set(vulkan["waits_on"].dropna())
    assert (vulkan["name"] != "vkCmdBeginDebugUtilsLabelEXT").all()  # labels are in a table of their own
    labels = read(rendering, "gpu_labels", tmp_path)
    assert (labels["end_ns"] >= labels["start_ns"]).all()
    assert any("main" in name for name in labels["name"])
    theirs = sums(report(rendering, "vulkanmarkerssum"), "Range", "Instances")
    mine = ours(labels)
    assert {name: mine[name][0] for name in theirs} == {name: count for name, (count, _) in theirs.items()}
    assert all(mine[name][1] >= total for name, (_, total) in theirs.items())  # they leave the two calls out
    assert theirs
