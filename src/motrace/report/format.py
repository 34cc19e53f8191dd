"""Numbers as people read them; shared by every form of the report."""

from __future__ import annotations

from collections.abc import Callable


def ms(ns: float | None) -> str:
    """Milliseconds, three decimals."""
    return "–" if ns is None else f"{ns / 1e6:,.3f}"


def short_ms(ns: float | None) -> str:
    """Milliseconds, four digits or so: three decimals below 10, none from 1000 on."""
    if ns is None:
        return "–"
    decimals = sum(abs(ns) < limit for limit in (1e7, 1e8, 1e9))
    return f"{ns / 1e6:,.{decimals}f}"


def seconds(ns: float | None) -> str:
    """Seconds, two decimals."""
    return "–" if ns is None else f"{ns / 1e9:,.2f}"


def percent(share: float | None) -> str:
    """A share in percent, one decimal."""
    return "–" if share is None else f"{share * 100:.1f} %"


def number(value: float | None, digits: int = 2) -> str:
    """A plain number."""
    return "–" if value is None else f"{value:,.{digits}f}"


def signed_ms(ns: float | None) -> str:
    """Milliseconds with a sign."""
    return "–" if ns is None else f"{ns / 1e6:+,.3f}"


def size(count: float | None) -> str:
    """Bytes, in a fitting unit."""
    if count is None:
        return "–"
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


def count(value: float | None) -> str:
    """How many there are."""
    return "–" if value is None else f"{value:,.0f}"


def interval(lo: float | None, hi: float | None, show: Callable[[float], str]) -> str:
    """An interval; a dash where there is none."""
    return "–" if lo is None or hi is None else f"{show(lo)} to {show(hi)}"
