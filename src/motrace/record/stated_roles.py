"""What the program says of its threads."""

from __future__ import annotations

import os

from ..thread_roles import STATED_ROLES


class StatedRoles:
    """Roles by thread id, kept from before recording starts."""

    def __init__(self) -> None:
        self._roles: dict[int, str] = {}

    def state(self, tid: int, role: str) -> None:
        """Keep a role. Raises ValueError for a word that is none."""
        if role not in STATED_ROLES:
            raise ValueError(f"there is no thread role {role!r}; choose from {', '.join(STATED_ROLES)}")
        self._roles[tid] = role

    def alive(self) -> list[tuple[int, str]]:
        """Those of threads that have not ended: the kernel hands out thread ids again."""
        self._roles = {tid: role for tid, role in self._roles.items() if os.path.exists(f"/proc/self/task/{tid}")}
        return list(self._roles.items())
