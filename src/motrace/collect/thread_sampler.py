"""The process that watches the threads of another: ``python -m motrace.collect.thread_sampler PID OUT``.

It reads ``/proc/<pid>/task/*/syscall`` of the process and its children about a thousand times per
second: ``running``, or the call that a blocked thread is in, with its arguments, for 2 us; only when
that changed, what the kernel says the thread waits in (``wchan``), which file a call is about, and
where that is not known the state letter of ``stat``. Nothing is stopped; any user may watch their
own processes. The loop thread is read in every round, and so are those that moved lately; the idle
ones are sampled in rotation. To keep to the budget there are fewer rounds, down to FAIR_HZ, before anyone is read
less often: the work of a thread that is lost sight of would look idle.

What it writes is laid out in ``readers/thread_format.py``. Standard library only.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import resource
import signal
import sys
import time
from array import array
from pathlib import Path
from time import monotonic_ns
from types import FrameType
from typing import BinaryIO

from ..readers.thread_format import BLOCK, MAGIC, ROW
from ..run_folder import JsonObject, JsonValue
from .prompt import wake_promptly
from .watched import RUNNING, SeenStates, WatchedThread, gil_of, state_letter, words_of

DEFAULT_HZ = 1000.0
DEFAULT_BUDGET = 0.03
FAIR_HZ = 100.0
MIN_HZ = 50.0
COLD_EVERY = 4  # rounds, where the quota leaves nothing for the idle ones
FLUSH_NS = 500_000_000
SCAN_NS = 50_000_000
RELIST_SCANS = 10  # so many scans apart every thread is listed, and asked for its children
CONTROL_NS = 250_000_000
LATE_NS = 500_000  # a round that comes so late waited for a core, and was let in when somebody blocked


class Sampler:
    """Watches one process and its children until it ends or ``stopping`` is set."""

    def __init__(self, pid: int, out: BinaryIO, loop_tid: int, hz: float, budget: float) -> None:
        self.stopping = False
        self._pid, self._out, self._loop_tid = pid, out, loop_tid
        self._hz = self._full_hz = hz
        self._budget = budget
        self._quota = 64  # reads of others in a round
        self._loop: WatchedThread | None = None
        self._others: list[WatchedThread] = []
        self._hot: list[WatchedThread] = []
        self._cold: list[WatchedThread] = []
        self._turn = [0, 0]
        self._known: dict[int, set[int]] = {pid: set()}  # threads by process
        self._states = SeenStates()
        self._indices = 0
        self._rounds = self._reads = self._scans = self._late = 0
        self._passes = 0.0  # rounds that a look at every hot thread took, summed over the rounds
        self._ticks = array("q")
        self._rows = bytearray()
        self._new: JsonObject = {}
        self._new_threads: list[JsonValue] = []
        self._begin_ns, self._begin_cpu = monotonic_ns(), time.process_time_ns()
        self._control = (self._begin_ns, self._begin_cpu)
        out.write(MAGIC)
        facts: JsonObject = {
            "machine": os.uname().machine,
            "pid": pid,
            "asked_hz": hz,
            "budget": budget,
            "scheduling": wake_promptly(),
        }
        self._new |= facts | {"begin_ns": self._begin_ns, "startup_cpu_ns": self._begin_cpu}

    def run(self) -> None:
        """Sample until the end. Raises OSError where the file can't be written."""
        next_scan = next_flush = 0
        due = monotonic_ns()
        while not self.stopping:
            now = monotonic_ns()
            if now >= next_scan:
                if not self._scan():
                    break
                next_scan = now + SCAN_NS
            if now >= next_flush:
                self._flush()
                next_flush = now + FLUSH_NS
            self._round()
            self._adapt(now)
            # Uneven steps: a loop whose frames take a whole number of them would be sampled in step.
            due += int(1e9 / self._hz * (0.5 + random.random()))
            rest = due - monotonic_ns()
            if rest > 0:
                time.sleep(rest / 1e9)
                if monotonic_ns() - due > LATE_NS:
                    self._late += 1
            elif rest < -20_000_000:
                due = monotonic_ns()
        self._flush()

    def _round(self) -> None:
        """Read the loop thread, and as many others as the quota allows."""
        self._rounds += 1
        self._ticks.append(monotonic_ns())
        if self._loop is not None and not self._sample(self._loop):
            self._loop = None
        hot = min(len(self._hot), self._quota)
        self._passes += len(self._hot) / hot if hot else 1
        cold = min(len(self._cold), max(self._quota - hot, self._rounds % COLD_EVERY == 0))
        for which, ring, reads in ((0, self._hot, hot), (1, self._cold, cold)):
            turn = self._turn[which]
            for step in range(turn, turn + reads):
                thread = ring[step % len(ring)]
                if thread.syscall >= 0 and not self._sample(thread):
                    self._others.remove(thread)
            self._turn[which] = turn + reads

    def _sample(self, thread: WatchedThread) -> bool:
        """Look at a thread; False if it has ended."""
        try:
            now = monotonic_ns()
            try:
                raw = os.pread(thread.syscall, 512, 0)
            except PermissionError:
                thread.fall_back()
                raw = os.pread(thread.syscall, 512, 0)
        except OSError:  # it has ended
            self._ended(thread)
            return False
        self._reads += 1
        if raw != thread.raw:
            thread.raw = raw
            state = self._states.of(thread, raw)
            if state != thread.state:
                thread.moved = True
                self._put(thread)
                thread.state, thread.first_ns, thread.samples = state, now, 0
        thread.last_ns = now
        thread.samples += 1
        return True

    def _put(self, thread: WatchedThread) -> None:
        """Write down the stay that ends."""
        if thread.samples:
            self._rows += ROW.pack(thread.first_ns, thread.last_ns, thread.index, thread.samples, thread.state)
            thread.samples = 0

    def _ended(self, thread: WatchedThread) -> None:
        self._put(thread)
        thread.close()
        self._known.get(thread.pid, set()).discard(thread.tid)

    # -- who is there -------------------------------------------------------------------------

    def _scan(self) -> bool:
        """Find new threads and children, sort the others by whether they moved; False if the process has ended."""
        self._scans += 1
        self._states.files.clear()
        if self._pid not in self._states.gil and (gil := gil_of(self._pid, Path(self._out.name).parent)):
            self._states.gil[self._pid] = gil
            self._new["gil"] = gil
        todo = list(self._known)
        for pid in todo:  # which grows while children are found
            if not self._scan_process(pid, todo):
                del self._known[pid]
        self._hot = [thread for thread in self._others if thread.moved or thread.raw == RUNNING]
        self._cold = [thread for thread in self._others if not (thread.moved or thread.raw == RUNNING)]
        for thread in self._others:
            thread.moved = False
        return self._pid in self._known

    def _scan_process(self, pid: int, todo: list[int]) -> bool:
        known = self._known[pid]
        folder = f"/proc/{pid}/task"
        try:
            thorough = self._scans % RELIST_SCANS == 1
            if thorough or os.stat(folder).st_nlink - 2 != len(known):
                for tid in {int(name) for name in os.listdir(folder)} - known:
                    self._watch(pid, tid)
            for tid in tuple(known) if thorough else (pid,):
                for child in map(int, words_of(f"{folder}/{tid}/children")):
                    if child not in self._known:
                        self._known[child] = set()
                        todo.append(child)
            with open(f"/proc/{pid}/stat", "rb") as file:
                return state_letter(file.read()) not in "ZX"
        except OSError:  # it has ended
            return False

    def _watch(self, pid: int, tid: int) -> None:
        try:
            thread = WatchedThread(self._indices, pid, tid)
        except OSError:  # it ended meanwhile; or too many files are open: it is not watched
            return
        name = thread.read("comm").rstrip(b"\n").decode(errors="replace")
        self._new_threads.append([self._indices, pid, tid, name])
        self._indices += 1
        self._known[pid].add(tid)
        if tid == self._loop_tid:
            self._loop = thread
        else:
            self._others.append(thread)

    # -- cost and file ------------------------------------------------------------------------

    def _adapt(self, now: int) -> None:
        """Keep to the budget: first there are fewer rounds, then the others are read less often; and back."""
        last_ns, last_cpu = self._control
        if now - last_ns < CONTROL_NS:
            return
        cpu = time.process_time_ns()
        share = (cpu - last_cpu) / (now - last_ns)
        self._control = (now, cpu)
        if share > self._budget:
            if self._hz > FAIR_HZ:
                self._hz = max(FAIR_HZ, self._hz * self._budget / share)
            elif self._quota > 1:
                self._quota = max(1, int(min(self._quota, len(self._others)) * self._budget / share))
            else:
                self._hz = max(MIN_HZ, self._hz * self._budget / share)
        elif share < 0.9 * self._budget:
            if self._hz < FAIR_HZ:
                self._hz = min(FAIR_HZ, self._hz * 1.1)
            elif self._quota < len(self._others) + 1:
                self._quota += 1
            else:
                self._hz = min(self._full_hz, self._hz * 1.1)

    def _flush(self) -> None:
        """Write a block: what is new since the last one, states that go on included."""
        for thread in (*self._others, self._loop):
            if thread is not None and thread.samples:
                self._put(thread)
                thread.first_ns = thread.last_ns
        now, cpu = monotonic_ns(), time.process_time_ns()
        facts: JsonObject = {
            "threads": self._new_threads,
            "wall_ns": now - self._begin_ns,
            "cpu_ns": cpu - self._begin_cpu,
            "rounds": self._rounds,
            "passes": round(self._passes / max(1, self._rounds), 3),
            "late": self._late,
        }
        facts |= {"reads": self._reads, "hz": round(self._hz, 1), "states": self._states.take_new()}
        text = json.dumps(self._new | facts).encode()
        head = BLOCK.pack(len(text), len(self._rows) // ROW.size, len(self._ticks))
        self._out.write(head + text + self._rows + self._ticks.tobytes())
        self._out.flush()
        self._rows.clear()
        del self._ticks[:]
        self._new, self._new_threads = {}, []


def main(arguments: list[str]) -> int:
    """Watch a process to its end, or to SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m motrace.collect.thread_sampler")
    parser.add_argument("pid", type=int, help="the process to watch")
    parser.add_argument("out", help="the file to write")
    parser.add_argument("--loop-tid", type=int, help="the thread that is read in every round (the main thread)")
    parser.add_argument("--hz", type=float, default=DEFAULT_HZ, help="rounds per second, at most")
    parser.add_argument("--budget", type=float, default=DEFAULT_BUDGET, help="share of one core that this may use")
    asked = parser.parse_args(arguments)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with open(asked.out, "wb") as out:
        sampler = Sampler(asked.pid, out, asked.loop_tid or asked.pid, asked.hz, asked.budget)

        def stop(signum: int, frame: FrameType | None) -> None:
            sampler.stopping = True

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the watched one: we end with it
        gc.disable()  # nothing here makes cycles
        sampler.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
