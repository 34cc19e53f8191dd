"""What the tests of the instrument measure: one of each kind of thing that can be called."""

from __future__ import annotations

import asyncio
import functools
import json
import time
from collections.abc import AsyncIterator, Generator
from typing import Any

NAP_S = 0.02


def add(a: int, b: int = 1, *, c: int = 0) -> int:
    """Adds."""
    return a + b + c


def fails() -> None:
    """Raises."""
    raise LookupError("as it should")


def parse(text: str) -> Any:
    """Calls what another module has."""
    return json.loads(text)


def count(to: int) -> Generator[int, Any, str]:
    """A generator that tells what was sent to it."""
    heard = []
    for number in range(to):
        time.sleep(NAP_S / 10)
        try:
            heard.append((yield number))
        except KeyError as error:
            heard.append(repr(error))
    return str(heard)


async def fetch(value: int) -> int:
    """A coroutine that mostly waits."""
    await asyncio.sleep(NAP_S)
    return value


async def stream(to: int) -> AsyncIterator[int]:
    """An asynchronous generator."""
    for number in range(to):
        await asyncio.sleep(NAP_S)
        yield number


class Base:
    """Something to inherit from."""

    def inherited(self) -> str:
        """Says who it is."""
        return type(self).__name__


class Robot(Base):
    """Methods of every kind."""

    def __init__(self, name: str) -> None:
        self.name = name

    def step(self, by: int = 1) -> str:
        """One step."""
        return f"{self.name}{by}"

    @staticmethod
    def still(value: int) -> int:
        """Needs no robot."""
        return value

    @classmethod
    def make(cls) -> Robot:
        """Makes one."""
        return cls("made")

    @property
    def title(self) -> str:
        """Its name, written large."""
        return self.name.upper()

    @functools.cached_property
    def costly(self) -> int:
        """Is worked out once."""
        return len(self.name)

    class Part:
        """A class in a class."""

        def turn(self) -> int:
            """Turns."""
            return 360


def loop(turns: int) -> list[int]:
    """A loop as a program has it: step, capture, keep; then encode."""
    kept = []
    for number in range(turns):
        act(number)
        kept.append(int(capture(number)))
    encode(kept)
    return kept


def act(number: int) -> int:
    """Begins a turn."""
    return number


def capture(number: int, width: int = 4) -> int:
    """Makes something of a turn."""
    return number * width


def encode(kept: list[int]) -> int:
    """Comes after the loop."""
    return len(kept)
