"""Makes ranges of each kind, sleeps, locks and reads a pipe, for a recording under Nsight Systems.

With nvtx 0.2.12 and newer, Nsight Systems before 2023.3 is given no ranges at all; the shim below
makes the domains that nvtx refuses to make.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

import nvtx
import nvtx._lib.lib as lib


def _domain(cls: type, name: str | None = None) -> Any:
    made = object.__new__(cls)
    made.handle = lib.DomainHandle(name)
    return made


lib.Domain.__new__ = staticmethod(_domain)

domain = nvtx.get_domain("motrace")


def attributes(text: str, **more: Any) -> Any:
    return domain.get_event_attributes(message=text, **more)


def work() -> None:
    for number in range(10):
        domain.push_range(attributes(f"step {number % 3}", category="work", payload=number))
        time.sleep(0.0005)
        domain.pop_range()


started: list[int] = []


def main() -> None:
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        with nvtx.annotate("outer", domain="motrace"), nvtx.annotate("inner"):
            domain.mark(attributes("motrace.sync", payload=time.monotonic_ns()))
            time.sleep(0.001)
    for thread in threads:
        thread.join()
    starter = threading.Thread(target=lambda: started.append(domain.start_range(attributes("crossing"))))
    starter.start()
    starter.join()
    domain.end_range(started[0])
    reader, writer = os.pipe()
    os.write(writer, b"x")
    os.read(reader, 1)
    domain.push_range(attributes("never popped"))
    time.sleep(0.003)
    print(time.monotonic_ns(), os.getpid(), file=sys.stderr)


main()
