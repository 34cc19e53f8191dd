"""Traces of torch.profiler with a planted bottleneck: CUDA, ROCm, other vendors, no annotations, two ranks, damage."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from .kineto import CUDA, HPU, MTIA, ROCM, XPU, KinetoBuilder, Vendor
from .label import Holder, Kind, Label
from .plan import Plan, Work, draw_plan

GPU = (Work.KERNEL, Work.UPLOAD, Work.DOWNLOAD)
ALL = (*GPU, Work.LAUNCH, Work.PYTHON, Work.SLEEP)


def _label(plan: Plan, made: KinetoBuilder) -> Label:
    """Time without any event is nobody's, as far as the file shows."""
    label = Label.of(plan.times())
    unknown = Holder.SLEEP in label.holders and not made.stacks
    return Label(frozenset(), False, label.planted) if unknown else label


def _made(random: np.random.Generator, number: int, vendor: Vendor, works: tuple[Work, ...] = ALL
          ) -> tuple[KinetoBuilder, Plan]:  # fmt: skip
    plan = draw_plan(random, works[number % len(works)], ALL)
    made = KinetoBuilder(random, vendor, int(random.integers(300, 60_000)), int(random.integers(2)), number % 12 >= 6)
    made.play(plan)
    return made, plan


def cuda(folder: Path, random: np.random.Generator, number: int) -> Label:
    """CUDA with annotations, on the CPU or on both sides."""
    made, plan = _made(random, number, CUDA)
    made.annotate(plan, gpu=random.random() < 0.5)
    (folder / "trace.pt.trace.json.gz").write_bytes(gzip.compress(made.text().encode()))
    return _label(plan, made)


def rocm(folder: Path, random: np.random.Generator, number: int) -> Label:
    """The same with ROCm's names."""
    made, plan = _made(random, number, ROCM)
    made.annotate(plan, "rollout", gpu=random.random() < 0.5)
    made.write(folder / "trace.json")
    return _label(plan, made)


def other_vendors(folder: Path, random: np.random.Generator, number: int) -> Label:
    """Intel's, Meta's and Habana's devices."""
    made, plan = _made(random, number // 3, (XPU, MTIA, HPU)[number % 3], (*GPU, Work.PYTHON))
    made.annotate(plan)
    made.write(folder / "trace.json")
    return _label(plan, made)


def no_annotations(folder: Path, random: np.random.Generator, number: int) -> Label:
    """Operators, calls and device work alone."""
    made, plan = _made(random, number, CUDA if number % 2 else ROCM)
    made.write(folder / "trace.json")
    return _label(plan, made)


def two_ranks(folder: Path, random: np.random.Generator, number: int) -> Label:
    """A file per rank; both do the same."""
    planted = ALL[:5][number % 5]
    times = None
    for rank in range(2):
        plan = draw_plan(random, planted, ALL)
        made = KinetoBuilder(random, CUDA, 4100 + rank, rank, number % 2 == 1)
        made.play(plan)
        made.annotate(plan)
        made.write(folder / f"rank{rank}.pt.trace.json", rank)
        times = plan.times() if times is None else times + plan.times()
    assert times is not None
    return Label.of(times)


def damaged(folder: Path, random: np.random.Generator, number: int) -> Label:
    """What torch really writes when it goes wrong: times of 0, negative lengths, NaN, a cut or a bad byte; noise."""
    made, plan = _made(random, number, CUDA, (*GPU, Work.LAUNCH))
    made.annotate(plan)
    for index in range(40):  # other threads: a loader, autograd's
        begin = int(random.integers(plan.end_ns))
        made.add("cpu_op", "aten::stack", begin, begin + 30_000, (made.pid, made.pid + 1 + index % 2))
    fault = number % 5
    if fault == 0:
        made.events.append({**made.events[3], "ts": 0})
    elif fault == 1:
        made.events.append({**made.events[3], "dur": -1_735_632})
    text = made.text()
    if fault == 2:
        text = text.replace('"args": {}', '"args": {"Ratio": NaN}', 3)
    elif fault == 3:
        text = text[: int(len(text) * 0.97)]
    raw = text.encode()
    if fault == 4:
        raw = raw.replace(b"ProfilerStep#1", b"Profiler\xffStep#1", 1)
    (folder / "trace.json").write_bytes(raw)
    return _label(plan, made)


KINDS = (
    Kind("Kineto, CUDA", 18, cuda),
    Kind("Kineto, ROCm", 12, rocm),
    Kind("Kineto, other vendors", 12, other_vendors),
    Kind("Kineto, no annotations", 12, no_annotations),
    Kind("Kineto, two ranks", 10, two_ranks),
    Kind("Kineto, damaged", 10, damaged),
)
