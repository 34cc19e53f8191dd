"""A share of the time that readings may take, so that what is many costs no more than what is few."""

from __future__ import annotations

SAVED = 4  # readings, where none were taken for long: of the ends of a short span


class Allowance:
    """Allows a reading every ``every_ns``, and some at once after a pause."""

    __slots__ = ("_paid_ns",)

    def __init__(self) -> None:
        self._paid_ns = 0  # up to when the time is spent in which readings must fit

    def take(self, now: int, every_ns: int) -> bool:
        """Whether a reading is allowed now; then it counts as taken."""
        paid = max(self._paid_ns, now - SAVED * every_ns)
        allowed = now - paid >= every_ns
        self._paid_ns = paid + every_ns if allowed else paid
        return allowed
