"""Work on the parts of something large in two threads: NumPy, SQLite and Arrow give up the interpreter lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")
WORKERS = 2


def in_order(
    work: Callable[[Chunk], Result], parts: Iterable[Chunk], ahead: int = WORKERS + 1
) -> Iterator[Future[Result]]:
    """``work`` on each part; the results in order. At most ``ahead`` parts are begun before one is taken."""
    with ThreadPoolExecutor(WORKERS) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for part in parts:
                waiting.append(pool.submit(work, part))
                if len(waiting) > ahead:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            for future in waiting:
                future.cancel()
