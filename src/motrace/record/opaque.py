"""Values of the measured program that the recorder passes on without knowing anything of them."""

from __future__ import annotations

from typing import Protocol


class Opaque(Protocol):
    """A value of the measured program: an argument, a result, an attribute. Nothing is known of it."""


class NvtxAttributes(Protocol):
    """What a range or a mark of the package ``nvtx`` bears; a domain that records nothing gives none."""

    payload: int | None


class Buffer(Protocol):
    """An array in the host's memory, as a program gives it."""

    def tobytes(self) -> bytes:
        """The values as they lie in memory."""


class HostArray(Protocol):
    """An array in the host's memory, as the recorder uses it: NumPy's."""

    def reshape(self, length: int) -> HostArray:
        """The same values in one row, for -1."""

    def astype(self, kind: type | str) -> HostArray:
        """The same values in another type."""

    def tobytes(self) -> bytes:
        """The values as they lie in memory."""

    def __len__(self) -> int:
        """How many there are."""

    def __add__(self, other: HostArray) -> HostArray:
        """Element by element."""

    def __getitem__(self, index: int) -> float:
        """One of them."""

    def __setitem__(self, index: int, value: float) -> None:
        """Set one of them."""


class DeviceArray(Protocol):
    """A tensor of torch, on any device."""

    def detach(self) -> DeviceArray:
        """Without its gradient."""

    def cpu(self) -> DeviceArray:
        """In the host's memory."""

    def numpy(self) -> HostArray:
        """As NumPy's."""


SomeArray = Buffer | DeviceArray


def host(value: Opaque) -> Opaque:
    """An array in the host's memory: NumPy's, or torch's brought there. What is not an array stays what it is."""
    for method in ("detach", "cpu", "numpy"):
        value = getattr(value, method)() if hasattr(value, method) else value
    return value
