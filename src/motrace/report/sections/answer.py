"""What comes first: the verdict, the benchmark rows, the warnings."""

from __future__ import annotations

from ...cautions import Caution
from ...findings.benchmark_codes import BenchmarkGroup, BenchmarkItem
from ...findings.model import BenchmarkRow, Report, Verdict
from ...findings.profile_model import GpuCover
from ...vocabulary import BUCKETS
from ..blocks import Section, Text, Tone, section, table, words
from ..format import ms, number, percent, size
from ..say import advice, capital, doubt, known, next_step, ranges, reason, say, triage_owner

MOST_FLOWS = 3
"""So many directions of copies are named at most."""


def verdict(one: Verdict) -> list[Text]:
    """What makes numbers misleading, then where the time goes, which component owns it, and what to do."""
    texts = [
        Text(f"{say(found.finding, found.values)}. {capital(advice(found.advice))}.", Tone.WARNING)
        for found in one.setup
    ]
    first, second = one.leading, one.runner_up
    if first is None:
        return [*texts, Text(f"{doubt(one)}. Next: {next_step(one)}.", Tone.ANSWER, "No verdict:"), *_heaviest(one)]
    slow = [*_heaviest(one), *(Text(gpu(each), Tone.ANSWER) for each in one.gpus)]
    if one.open:
        return [
            *texts,
            Text(f"{capital(doubt(one))}. To settle it: {next_step(one)}.", Tone.ANSWER, "No certain verdict:"),
            *slow,
        ]
    sure = "" if one.certain else "No certain verdict. Most likely "
    meaning = "" if one.meaning is None else f": {say(one.meaning)}"
    composed = f" The composition is transferred from {', '.join(one.composed_from)}." if one.composed_from else ""
    lead, between = (known(first), "") if first.guess else (percent(first.share), f" ({ranges(first)})")
    texts.append(Text(
        f"{say(one.whole)}{between}{meaning}.{composed}", Tone.ANSWER, f"{sure}{BUCKETS[first.bucket]}: {lead}",
    ))  # fmt: skip
    texts += slow
    if second is not None:
        margin = "" if first.guess or second.guess else f"; margin {percent(one.margin)}"
        texts.append(Text(f"Runner-up: {BUCKETS[second.bucket]}, {known(second)}{margin}.", Tone.ANSWER))
    if one.owner is not None and one.advice is not None:
        texts.append(Text(f"Owner: {say(one.owner)}. Next action: {advice(one.advice)}.", Tone.ANSWER))
    if one.doubt is not None:
        settle = "" if one.settle == one.advice else f" To settle it: {next_step(one)}."
        texts.append(Text(f"{capital(doubt(one))}.{settle}", Tone.ANSWER, "Why not certain:"))
    return texts


def gpu(one: GpuCover) -> str:
    """What a device did, for how much of the time."""
    said = [f"kernels {ms(one.kernels_ns)} ms"] if one.kernels_ns else []
    for flow in one.copies[:MOST_FLOWS]:
        speed = f" ({size(flow.bytes)} at {number(flow.bytes / flow.ns, 1)} GB/s)" if flow.bytes and flow.ns else ""
        said.append(f"{flow.name} {ms(flow.ns)} ms{speed}")
    busy = f"{percent(one.busy_ns / one.extent_ns)} of {ms(one.extent_ns)} ms"
    return f"GPU {one.device} was busy for {busy}: {', '.join(said)}."


def _heaviest(one: Verdict) -> list[Text]:
    """What is slow there, by name."""
    names = [f"{each.name} {percent(each.share)}" for each in one.heaviest]
    return [Text(f"{'; '.join(names)}.", Tone.ANSWER, "Heaviest there:")] if names else []


def benchmark(report: Report) -> list[Section]:
    """The rows of a benchmark report."""
    mode = "custom" if all(run.mode == "custom" for run in report.runs) else "record"
    text = f"Over the unprofiled completed runs of mode {mode}. An unknown value is a dash, with the reason."
    tables = [
        table(
            say(group),
            [words("item", lambda row: say(row.item)), words("value", lambda row: value(report, row)),
             words("note", lambda row: note(report, row) or " ")],
            rows,
        )
        for group in BenchmarkGroup
        if (rows := [row for row in report.benchmark if row.item.group is group])
    ]  # fmt: skip
    return section("benchmark", "Benchmark report", Text(text, Tone.NOTE), *tables)


def value(report: Report, row: BenchmarkRow) -> str | None:
    """A value in words: codes as sentences, text as it is, numbers with their unit."""
    leading, triage = report.verdict.leading, report.triage
    match row.item:
        case BenchmarkItem.EXPECTED:
            return say(triage.answer)
        case BenchmarkItem.LEADING_BUCKET:
            if leading is None or report.verdict.open:
                return None
            share = known(leading) if leading.guess else percent(leading.share)
            return f"{BUCKETS[leading.bucket]}, {share} {say(report.verdict.whole)}"
        case BenchmarkItem.OWNER:
            return triage_owner(triage)
        case BenchmarkItem.NEXT_ACTION:
            return None if triage.advice is None else advice(triage.advice)
    if row.value is None or isinstance(row.value, str):
        return row.value
    if row.unit == "B":
        return size(row.value)
    digits = 0 if isinstance(row.value, int) else {"ms": 3}.get(row.unit, 2)
    return number(row.value, digits) + {"1": "", "x": "x"}.get(row.unit, f" {row.unit}")


def note(report: Report, row: BenchmarkRow) -> str:
    """What is said beside a value, or why there is none."""
    leading, meaning = report.verdict.leading, report.verdict.meaning
    match row.item:
        case BenchmarkItem.EXPECTED:
            return reason(report)
        case BenchmarkItem.LEADING_BUCKET if report.verdict.doubt is not None:
            return doubt(report.verdict)
        case BenchmarkItem.LEADING_BUCKET if leading is not None:
            return ranges(leading) if meaning is None else f"{ranges(leading)}; {say(meaning)}"
    return "" if row.remark is None else say(row.remark.note, row.remark.values)


def warning(one: Caution, tone: Tone = Tone.ITEM) -> Text:
    """A warning, with the runs that it is about."""
    about = [run for run in one.runs if run != one.values.get("file")]  # the sentence names its file itself
    runs = f"{', '.join(about)}:" if about else ""
    return Text(say(one.code, one.values), tone, runs)


def warnings(report: Report) -> list[Section]:
    """Everything that a reader should know before trusting a number."""
    return section("warnings", "Warnings", *(warning(one) for one in report.warnings))
