"""Manifests as typed values: what is wrong in them is named and left out, the rest is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from motrace.dataset.facts import Adapter, ExperimentManifest, RunManifest
from motrace.dataset.typed_json import convert
from motrace.run_folder import read_json
from tests.conftest import ROOT


@pytest.mark.parametrize("path", sorted((ROOT / "traces").rglob("*.json")), ids=lambda path: path.parent.name)
def test_committed_manifests_are_read_whole(path: Path) -> None:
    warnings: list[str] = []
    if path.name == "run.json":
        run = convert(RunManifest, read_json(path), path.name, warnings)
        assert run.run_id == path.parent.name and run.status == "completed" and run.frames_asked
        assert run.clocks.spawn_monotonic_ns and run.process.pid and run.resources
    elif path.name == "experiment.json":
        experiment = convert(ExperimentManifest, read_json(path), path.name, warnings)
        assert experiment.experiment == path.parent.name and experiment.environment and len(experiment.runs) > 4
        assert experiment.command and experiment.command.options["workload"] == "humanoid"
    assert warnings == []


def test_wrong_fields_are_named_and_the_rest_is_used() -> None:
    data = {
        "run_id": "a", "mode": 3, "newer": [1], "clocks": None, "process": {"pid": "x"}, "collectors": ["nsys", 1],
        "options": {"frames": 3, "mine": [[1]]}, "adapter": {"name": 2}, "video": [1], "exit_code": -9,
        "workload": {"frames": 5, "mine": {"x": 1}},
    }  # fmt: skip
    warnings: list[str] = []
    run = convert(RunManifest, data, "run.json", warnings)  # type: ignore[arg-type]
    assert (run.run_id, run.mode, run.exit_code, run.workload.frames) == ("a", "custom", -9, 5)
    assert run.collectors == ["nsys"] and run.adapter is None and run.video is None and run.process.pid is None
    wrong = ["collectors[1]", "mode", "options", "process.pid", "adapter.name", "video"]
    assert sorted(text.split(" ")[1] for text in warnings) == sorted(wrong)
    assert "run.json: process.pid is left out: expected `int | null`, got `str`" in warnings
    assert data["mode"] == 3  # what was given stays as it was


def test_an_experiment_of_which_little_is_right() -> None:
    warnings: list[str] = []
    data = {"adapter": {"name": "llvmpipe"}, "environment": {"gpus": [{"memory_bytes": 1}], "packages": {"x": None}},
            "runs": 5}  # fmt: skip
    experiment = convert(ExperimentManifest, data, "experiment.json", warnings)  # type: ignore[arg-type]
    assert experiment.adapter == Adapter("llvmpipe") and experiment.runs == [] and experiment.environment
    assert experiment.environment.gpus == [] and experiment.environment.packages == {"x": None}
    assert [text.split(" ")[1] for text in warnings] == ["environment.gpus[0]", "runs"]
