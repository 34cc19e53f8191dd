"""What a sweep found, in sweep.json's form: points, fits, dominant terms, slopes, warnings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ..errors import MotraceError
from ..statistics.scaling_fit import SIGNIFICANT, Fit, Observation, dominant, fit_scaling, leave_one_out, point_means
from ..statistics.scaling_slope import loglog_slope
from ..vulkan_adapter import is_software
from .compare import per_frame, phase_mean

Json = dict[str, Any]

NOISY = 0.25
"""A standard deviation of a run's residual above which a fit is warned of."""
QUANTITIES = ("frame", "frame_with_drain", "capture")
"""Of a run, per kept frame: the loop; loop and drain (buffered encoding); the phase capture, mean."""


def measure(run: Json, options: Json) -> Json:
    """A run of report.json (completed, with frames) at its point of the grid; ``options`` are its experiment's."""
    times = {"frame": per_frame(run, run["loop_wall_ns"])}
    if run["mode"] == "record":
        times["frame_with_drain"] = per_frame(run, run["recording_wall_ns"])
    if "capture" in run["phases"]:
        times["capture"] = phase_mean(run, "capture")
    point = {key: int(options[key]) for key in ("num_envs", "width", "height")}
    return {"run": run["run_id"], "mode": run["mode"], **point, "frames": run["frames"],
            "adapter": run["adapter"], "times_ns": times}  # fmt: skip


def summarise_sweep(measured: Sequence[Json]) -> Json:
    """Fits and slopes for each mode and quantity. A fit that is refused has its reason in ``unknown``.

    Raises MotraceError where no run is given.
    """
    if not measured:
        raise MotraceError("no completed run: nothing to fit")
    fits, warnings = [], list(_adapter_warnings(measured))
    single = sorted({_name(point) for point, count in _counts(measured).items() if count < 2})
    if single:
        warnings.append(
            f"no repeats at {', '.join(single)}: what a run varies by is not known there; use --repeat 2 or more"
        )
    for mode in sorted({one["mode"] for one in measured}):
        for quantity in QUANTITIES:
            having = [one for one in measured if one["mode"] == mode and quantity in one["times_ns"]]
            if having:
                fits.append(_fitted(mode, quantity, having))
                warnings += _fit_warnings(fits[-1])
    return {"runs": list(measured), "fits": fits, "warnings": warnings}


def _fitted(mode: str, quantity: str, measured: Sequence[Json]) -> Json:
    observations = [
        Observation(one["num_envs"], one["width"], one["height"], one["times_ns"][quantity]) for one in measured
    ]
    fit, unknown = None, None
    try:
        fit = fit_scaling(observations)
    except MotraceError as error:
        unknown = str(error)
    left_out = [asdict(one) for one in leave_one_out(observations)] if fit is not None else []
    return {
        "mode": mode,
        "quantity": quantity,
        "unknown": unknown,
        "fit": None if fit is None else _as_json(fit),
        "points": [_point(point, *values, fit) for point, values in point_means(observations).items()],
        "corners": [] if fit is None else [asdict(dominant(fit, *corner)) for corner in corners(observations)],
        "left_out": left_out,
        "left_out_median": float(np.median([abs(one["error"]) for one in left_out])) if left_out else None,
        "left_out_worst": max(left_out, key=lambda one: abs(one["error"])) if left_out else None,
        "slopes": list(_slopes(observations)),
    }


def corners(observations: Sequence[Observation]) -> list[tuple[int, int, int]]:
    """(environments, width, height) at the corners of the grid: fewest and most of both; each once."""
    envs = sorted({one.num_envs for one in observations})
    sizes = sorted({(one.pixels, one.width, one.height) for one in observations})
    found = [(count, *size[1:]) for size in (sizes[0], sizes[-1]) for count in (envs[0], envs[-1])]
    return list(dict.fromkeys(found))


def _as_json(fit: Fit) -> Json:
    values = asdict(fit)
    del values["covariance"]
    return values


def _point(point: tuple[int, int, int], count: int, mean: float, lo: Any, hi: Any, fit: Fit | None) -> Json:
    envs, width, height = point
    fitted = None if fit is None else fit.predicted_ns(envs, width * height)
    return {
        "num_envs": envs,
        "width": width,
        "height": height,
        "runs": count,
        "mean_ns": mean,
        "lo_ns": lo,
        "hi_ns": hi,
        "fitted_ns": fitted,
        "residual": None if fitted is None else (mean - fitted) / fitted,
    }


def _slopes(observations: Sequence[Observation]) -> Iterator[Json]:
    """Along environments at each size, then along pixels at each number of environments."""
    for size in sorted({(one.pixels, one.width, one.height) for one in observations}):
        here = [one for one in observations if (one.width, one.height) == size[1:]]
        if len({one.num_envs for one in here}) > 1:
            slope = loglog_slope([one.num_envs for one in here], [one.time_ns for one in here])
            yield {"along": "num_envs", "at": f"{size[1]}x{size[2]}", **asdict(slope)}
    for envs in sorted({one.num_envs for one in observations}):
        here = [one for one in observations if one.num_envs == envs]
        if len({one.pixels for one in here}) > 1:
            slope = loglog_slope([one.pixels for one in here], [one.time_ns for one in here])
            yield {"along": "pixels", "at": f"{envs} environment{'s' if envs > 1 else ''}", **asdict(slope)}


def _counts(measured: Sequence[Json]) -> dict[tuple[str, int, int, int], int]:
    counts: dict[tuple[str, int, int, int], int] = {}
    for one in measured:
        key = (one["mode"], one["num_envs"], one["width"], one["height"])
        counts[key] = counts.get(key, 0) + 1
    return counts


def _name(point: tuple[str, int, int, int]) -> str:
    return f"{point[1]} x {point[2]}x{point[3]}"


def _adapter_warnings(measured: Sequence[Json]) -> Iterator[str]:
    names = sorted({one["adapter"]["name"] for one in measured if one["adapter"]})
    if len(names) > 1:
        yield f"the runs drew on different adapters ({', '.join(names)}): their times do not belong into one fit"
    if any(is_software(one["adapter"]) for one in measured):
        yield "a software adapter drew on the CPU: how this grows says nothing about a GPU"


def _fit_warnings(entry: Json) -> Iterator[str]:
    name, fit = f"{entry['mode']}, {entry['quantity']}", entry["fit"]
    if fit is None:
        yield f"{name}: {entry['unknown']}"
        return
    if fit["lack_of_fit_p"] is not None and fit["lack_of_fit_p"] < SIGNIFICANT:
        yield (
            f"{name}: the terms do not describe the points (lack of fit, p = {fit['lack_of_fit_p']:.2g}): "
            "intervals rest on the points' scatter around the fit"
        )
    if fit["residual_sd"] > NOISY:
        yield (
            f"{name}: runs scatter by {fit['residual_sd']:.0%} around the fit: a noisy machine, or terms that do not "
            "describe it; use more --repeat and --frames on a quiet one"
        )
    held = [term["name"] for term in fit["terms"] if term["held_at_zero"]]
    if held:
        yield f"{name}: held at 0, as least squares would make a cost negative: {', '.join(held)}"
