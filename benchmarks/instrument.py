"""What it costs to measure a function from outside, over the cost of its span: ``python -m benchmarks.instrument``.

The same function is called plain, in a ``with motrace.span(...)`` written around it, and measured
by an instrument, in turn within one run; medians are compared. Recording is on, without CPU clocks.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import motrace
from motrace.record.instrument import Instrument
from motrace.record.table import parse
from motrace.run_folder import JsonObject

TARGET_NS = 1_000


class Subject:
    """What is called: as little as a call can do."""

    def method(self, value: int) -> int:
        """A method."""
        return value

    @property
    def attribute(self) -> int:
        """A property."""
        return 1

    def turn(self, value: int) -> int:
        """A method that is also a turn of the loop."""
        return value

    def numbers(self, to: int) -> Iterator[int]:
        """A generator."""
        yield from range(to)

    async def fetch(self, value: int) -> int:
        """A coroutine."""
        return value


def per_call_ns(call: Callable[[], Any], calls: int) -> float:
    """Time of one call, the loop around it taken off, ns."""
    rounds = range(calls)
    begin = time.perf_counter_ns()
    for _ in rounds:
        call()
    middle = time.perf_counter_ns()
    for _ in rounds:
        pass
    return (middle - begin - (time.perf_counter_ns() - middle)) / calls


def _cases(subject: Subject) -> dict[str, tuple[Callable[[], Any], int]]:
    """Per kind: a call, and how many spans it makes."""
    return {
        "method": (lambda: subject.method(1), 1),
        "attribute": (lambda: subject.attribute, 1),
        "turn": (lambda: subject.turn(1), 2),
        "numbers": (lambda: list(subject.numbers(9)), 10),
        "fetch": (lambda: _drive(subject.fetch(1)), 1),
    }


def _drive(coroutine: Any) -> Any:
    """Run a coroutine that never waits, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("it waits")


def bench(rounds: int, calls: int) -> dict[str, float]:
    """Per kind: ns that a measured call takes over a plain one, less its spans' own cost; medians of rounds."""
    where = f"{__name__}.Subject" if __name__ != "__main__" else "__main__.Subject"
    names = ("method", "attribute", "turn", "numbers", "fetch")
    data: JsonObject = {"phases": {f"{where}.{name}": name for name in names}, "frame": f"{where}.turn"}
    subject = Subject()
    cases = _cases(subject)
    span: list[float] = []
    over: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        folder = tempfile.mkdtemp()
        motrace.start(folder, cpu_clocks=False)
        plain = {name: per_call_ns(call, calls // spans) for name, (call, spans) in cases.items()}
        span.append(_span_ns(calls))
        with Instrument(parse(data, "the benchmark")) as made:
            for name, (call, spans) in cases.items():
                measured = per_call_ns(call, calls // spans)
                over[name].append((measured - plain[name]) / spans - span[-1])
        if made.warnings:
            raise RuntimeError(made.warnings[0])
        motrace.stop()
        shutil.rmtree(folder)
    return {"span_ns": statistics.median(span), **{name: statistics.median(values) for name, values in over.items()}}


def _span_ns(spans: int) -> float:
    def call() -> None:
        with motrace.span("span"):
            pass

    def nothing() -> None:
        pass

    return per_call_ns(call, spans) - per_call_ns(nothing, spans)


def main() -> int:
    """Run it and print a table, or JSON with --json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    results = bench(args.rounds, args.calls)
    if args.json:
        print(json.dumps({**results, "python": sys.version.split()[0]}))
        return 0
    print(
        f"Python {sys.version.split()[0]}; medians of {args.rounds} rounds; a span itself {results['span_ns']:.0f} ns"
    )
    for name, ns in results.items():
        if name != "span_ns":
            print(f"{name:10s} {ns:8.0f} ns a call (for numbers: a resumption) over the span (target {TARGET_NS})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
