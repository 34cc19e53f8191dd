"""Episodes on their way (``episodes.bin``): kept with every step, so that a killed run's are known too.

A log of words (``wordlog``), of which the header holds the steps that are complete and the number of
environments; then come the rules as text, two blocks of returns (num_envs,), float64, and a record
for each episode that ended. A step writes the block that is not valid yet, then counts itself.
"""

from __future__ import annotations

import os
import struct
import threading
from array import array
from pathlib import Path
from typing import cast

from .opaque import HostArray
from .wordlog import HEADER_WORDS, WordLog, encoded

PATH = "episodes.bin"
MAGIC = int.from_bytes(b"MOTREPIS", "little")
STEPS, ENVS = 16, 17  # header words
TEXT_WORDS = 32
BLOCKS = HEADER_WORDS + TEXT_WORDS
RECORD_WORDS = 6
"""1 (stored last), env, first step, last step, number of the reason, bits of the return."""


class EpisodeWriter(WordLog):
    """The file of one run."""

    __slots__ = ("_envs", "_pid")

    def __init__(self, directory: str | os.PathLike[str], envs: int, success: str, reward: str) -> None:
        """Create the file. Raises OSError where it can't be made."""
        self._pid, self._envs = os.getpid(), envs
        super().__init__(str(Path(directory, PATH)), MAGIC, self._pid, threading.get_native_id(), "episodes")
        self.require_file()
        self.pos = BLOCKS
        if not self.room(2 * envs):
            raise OSError(f"no space left for {self.path}")
        text = encoded(f"{success}\0{reward}")[: 8 * TEXT_WORDS]
        self.put_bytes(HEADER_WORDS, text)
        self.words[ENVS] = envs
        self.pos += 2 * envs

    def stepped(self, steps: int, returns: HostArray) -> None:
        """``steps`` are complete now; ``returns`` (num_envs,) of the open episodes, float64."""
        if os.getpid() == self._pid:  # a fork's steps are not the run's
            at = BLOCKS + (steps & 1) * self._envs
            self.words[at : at + self._envs] = memoryview(cast(bytearray, returns)).cast("B").cast("q")
            self.words[STEPS] = steps

    def ended(self, env: int, start: int, end: int, reason: int, value: float) -> None:
        """An episode ended with the step ``end``."""
        if os.getpid() == self._pid and self.room(RECORD_WORDS):
            at, bits = self.pos, struct.unpack("q", struct.pack("d", value))[0]
            self.words[at + 1 : at + RECORD_WORDS] = array("q", (env, start, end, reason, bits))
            self.words[at] = 1
            self.pos += RECORD_WORDS

    def remove(self) -> None:
        """All of it is saved elsewhere now. Raises OSError."""
        if os.getpid() == self._pid:
            os.unlink(self.path)
