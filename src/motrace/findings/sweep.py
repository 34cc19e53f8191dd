"""What a sweep found: points, fits, dominant terms, slopes, warnings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from ..cautions import Caution, CautionCode, caution
from ..dataset.facts import OptionValues
from ..errors import MotraceError
from ..statistics.scaling_fit import SIGNIFICANT, Fit, Observation, dominant, fit_scaling, leave_one_out, point_means
from ..statistics.scaling_slope import loglog_slope
from .compare import per_frame, phase_mean
from .run_model import RunSummary
from .sweep_model import MeasuredRun, Quantity, QuantityFit, SlopeAlong, SweepPoint, SweepResults

NOISY = 0.25
"""A standard deviation of a run's residual above which a fit is warned of."""


def measure(run: RunSummary, experiment: str, options: OptionValues) -> MeasuredRun:
    """A run (completed, with frames) at its point of the grid; ``options`` are its experiment's."""
    num_envs, width, height = (options[key] for key in ("num_envs", "width", "height"))
    assert isinstance(num_envs, int) and isinstance(width, int) and isinstance(height, int)
    return MeasuredRun(
        run=f"{experiment}/{run.run_id}",
        mode=run.mode,
        num_envs=num_envs,
        width=width,
        height=height,
        frames=run.frames,
        adapter=run.adapter,
        frame_ns=per_frame(run, run.loop_wall_ns),
        frame_with_drain_ns=per_frame(run, run.recording_wall_ns) if run.mode == "record" else None,
        capture_ns=phase_mean(run, "capture") if run.phase("capture") is not None else None,
    )


def summarise_sweep(measured: Sequence[MeasuredRun], warnings: Sequence[Caution] = ()) -> SweepResults:
    """Fits and slopes for each mode and quantity. A fit that is refused has its reason in ``unknown``.

    Raises MotraceError where no run is given.
    """
    if not measured:
        raise MotraceError("no completed run: nothing to fit")
    found = [*warnings, *_adapter_cautions(measured)]
    counts = Counter((one.mode, one.num_envs, one.width, one.height) for one in measured)
    single = sorted({f"{envs} x {width}x{height}" for (_, envs, width, height), count in counts.items() if count < 2})
    if single:
        found.append(caution(CautionCode.NO_REPEATS, points=tuple(single)))
    fits = []
    for mode in sorted({one.mode for one in measured}):
        for quantity in Quantity:
            observations = [
                Observation(one.num_envs, one.width, one.height, time)
                for one in measured
                if one.mode == mode and (time := one.time_ns(quantity)) is not None
            ]
            if observations:
                fits.append(_fitted(mode, quantity, observations))
                found += _fit_cautions(fits[-1])
    return SweepResults(tuple(measured), tuple(fits), tuple(found))


def _fitted(mode: str, quantity: Quantity, observations: Sequence[Observation]) -> QuantityFit:
    fit, unknown = None, None
    try:
        fit = fit_scaling(observations)
    except MotraceError as error:
        unknown = str(error)
    left_out = tuple(leave_one_out(observations)) if fit is not None else ()
    return QuantityFit(
        mode=mode,
        quantity=quantity,
        unknown=unknown,
        fit=None if fit is None else fit.summary,
        points=tuple(_point(point, *values, fit) for point, values in point_means(observations).items()),
        corners=() if fit is None else tuple(dominant(fit, *corner) for corner in corners(observations)),
        left_out=left_out,
        left_out_median=float(np.median([abs(one.error) for one in left_out])) if left_out else None,
        left_out_worst=max(left_out, key=lambda one: abs(one.error)) if left_out else None,
        slopes=tuple(_slopes(observations)),
    )


def corners(observations: Sequence[Observation]) -> list[tuple[int, int, int]]:
    """(environments, width, height) at the corners of the grid: fewest and most of both; each once."""
    envs = sorted({one.num_envs for one in observations})
    sizes = sorted({(one.pixels, one.width, one.height) for one in observations})
    found = [(count, *size[1:]) for size in (sizes[0], sizes[-1]) for count in (envs[0], envs[-1])]
    return list(dict.fromkeys(found))


def _point(
    point: tuple[int, int, int], count: int, mean: float, lo: float | None, hi: float | None, fit: Fit | None
) -> SweepPoint:
    envs, width, height = point
    fitted = None if fit is None else fit.predicted_ns(envs, width * height)
    residual = None if fitted is None else (mean - fitted) / fitted
    return SweepPoint(envs, width, height, count, mean, lo, hi, fitted, residual)


def _slopes(observations: Sequence[Observation]) -> Iterator[SlopeAlong]:
    """Along environments at each size, then along pixels at each number of environments."""
    for _, width, height in sorted({(one.pixels, one.width, one.height) for one in observations}):
        here = [one for one in observations if (one.width, one.height) == (width, height)]
        if len({one.num_envs for one in here}) > 1:
            slope = loglog_slope([one.num_envs for one in here], [one.time_ns for one in here])
            yield SlopeAlong(None, width, height, slope)
    for envs in sorted({one.num_envs for one in observations}):
        here = [one for one in observations if one.num_envs == envs]
        if len({one.pixels for one in here}) > 1:
            slope = loglog_slope([one.pixels for one in here], [one.time_ns for one in here])
            yield SlopeAlong(envs, None, None, slope)


def _adapter_cautions(measured: Sequence[MeasuredRun]) -> Iterator[Caution]:
    adapters = [one.adapter for one in measured if one.adapter is not None]
    names = sorted({adapter.name for adapter in adapters})
    if len(names) > 1:
        yield caution(CautionCode.ADAPTERS_DIFFER, adapters=tuple(names))
    if any(adapter.is_software for adapter in adapters):
        yield caution(CautionCode.SOFTWARE_SWEEP)


def _fit_cautions(entry: QuantityFit) -> Iterator[Caution]:
    mode, quantity, fit = entry.mode, entry.quantity.value, entry.fit
    if fit is None:
        yield caution(CautionCode.NO_FIT, mode=mode, quantity=quantity, reason=entry.unknown or "")
        return
    if fit.lack_of_fit_p is not None and fit.lack_of_fit_p < SIGNIFICANT:
        yield caution(CautionCode.LACK_OF_FIT, mode=mode, quantity=quantity, p=fit.lack_of_fit_p)
    if fit.residual_sd > NOISY:
        yield caution(CautionCode.NOISY_FIT, mode=mode, quantity=quantity, residual_sd=fit.residual_sd)
    held = tuple(term.name for term in fit.terms if term.held_at_zero)
    if held:
        yield caution(CautionCode.HELD_AT_ZERO, mode=mode, quantity=quantity, terms=held)
