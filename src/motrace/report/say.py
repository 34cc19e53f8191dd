"""Codes and their values as sentences."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from enum import Enum

from ..cautions import Value, Values
from ..findings.benchmark_codes import BenchmarkGroup, BenchmarkItem, Note
from ..findings.codes import Advice, Answer, Doubt, Meaning, Owner, Reason
from ..findings.model import Claim, Report, Triage, Verdict
from ..findings.values import BucketTime, PoolKey
from ..vocabulary import BUCKETS, EvidenceKind, IntervalKind
from .benchmark_sentences import GROUPS, ITEMS, NOTES
from .format import ms, percent, seconds, signed_ms, size
from .sentences import SENTENCES as FINDINGS
from .sentences import Sentences

SENTENCES: Mapping[type[Enum], Sentences] = {**FINDINGS, BenchmarkGroup: GROUPS, BenchmarkItem: ITEMS, Note: NOTES}
"""What each code says, by its kind."""


def _digits(value: float) -> str:
    return f"{value:.2g}"


def _events(value: float) -> str:
    return f"{value:,.0f} event{'' if value == 1 else 's'}"


FORMATS: Mapping[str, Callable[[float], str]] = {
    "percent": percent, "ms": ms, "signed_ms": signed_ms, "size": size, "digits": _digits, "s": seconds,
    "events": _events,
}  # fmt: skip
"""How a field of a sentence shows its number."""


def say(code: Enum, values: Values | None = None) -> str:
    """A code's sentence with its values; what is missing of them is "not known"."""
    parts = string.Formatter().parse(SENTENCES[type(code)][code])
    known = values or {}
    return "".join(words + (_shown(known.get(name), form or "") if name else "") for words, name, form, _ in parts)


def _shown(value: Value | None, form: str) -> str:
    if isinstance(value, int | float) and form:
        return FORMATS[form](value)
    if value is None:
        return "not known"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def capital(text: str) -> str:
    """The text with a capital first letter, the rest as it is."""
    return text[:1].upper() + text[1:]


def advice(one: Advice) -> str:
    """What to do next."""
    return say(one.action, one.values)


def evidence(kinds: Iterable[EvidenceKind]) -> str:
    """Kinds of evidence, in words."""
    return ", ".join(map(say, kinds))


def pool_name(key: PoolKey) -> str:
    """A pool in words: its mode, and the profilers that watched."""
    return f"{key.mode} under {', '.join(key.profilers)}" if key.profilers else key.mode


def bounds(lo: float, hi: float) -> str:
    """Bounds of a share."""
    return f"{percent(lo)} to {percent(hi)}"


def known(one: BucketTime) -> str:
    """Everything that is known of a bucket's share: the bounds alone where its point is a guess."""
    if one.guess:
        return ranges(replace(one, least_run_share=None, most_run_share=None))
    return f"{percent(one.share)} ({ranges(one)})"


def ranges(one: BucketTime) -> str:
    """The bounds of a bucket's share, a model's range and the spread of its runs as far as there are any."""
    others = (
        (IntervalKind.MODEL, one.likely_lo_share, one.likely_hi_share),
        (IntervalKind.SPREAD, one.least_run_share, one.most_run_share),
    )
    said = [f"{say(one.interval)} {bounds(one.lo_share, one.hi_share)}"]
    said += [f"{say(kind)} {bounds(lo, hi)}" for kind, lo, hi in others if lo is not None and hi is not None]
    return "; ".join(said)


def claim(one: Claim) -> str:
    """Something that may lead, with its bounds."""
    name = BUCKETS[one.bucket] if one.meaning is None else say(one.meaning)
    return f"{name} ({bounds(one.lo, one.hi)})"


def doubt(verdict: Verdict) -> str:
    """Why a verdict is not certain; empty where it is."""
    if verdict.doubt is None:
        return ""
    values: Values = dict(zip(("first", "second"), map(claim, verdict.claims)))
    if verdict.claims:
        values["bucket"] = BUCKETS[verdict.claims[0].bucket]
    return say(verdict.doubt, values)


def reason(report: Report) -> str:
    """Why triage answers as it does."""
    triage, values = report.triage, dict(report.triage.values)
    meaning = "" if triage.meaning is None else say(triage.meaning)
    values |= {"meaning": meaning, "doubt": doubt(report.verdict)}
    if triage.reason is Reason.SEVERAL_MAY_LEAD:
        names = values["buckets"] if isinstance(values["buckets"], tuple) else ()
        values |= {"buckets": tuple(BUCKETS[name] for name in names), "likeliest": _likeliest(values)}
    return say(triage.reason, values)


def _likeliest(values: Values) -> str:
    """A reason's or a meaning's sentence, by the code's value."""
    code = values["likeliest"]
    return say(Reason(code) if code in [one.value for one in Reason] else Meaning(code), values)


def triage_owner(triage: Triage) -> str:
    """Whose issue it is, as a bug report would file it."""
    if triage.owner is None:
        return say(Answer.UNDECIDED)
    application = f"{triage.application or 'application'} optimisation"
    return {
        Owner.RENDERER: "Motrix renderer issue",
        Owner.OTHER_RENDERER: "renderer issue",
        Owner.APPLICATION: application,
        Owner.ENCODER: application,
        Owner.SETUP: "no action (runtime set-up)",
        Owner.NONE: "no action",
    }[triage.owner]


def next_step(verdict: Verdict) -> str:
    """What to do next."""
    one = verdict.settle or verdict.advice
    return say(Doubt.NO_EVIDENCE) if one is None else advice(one)
