"""What this Sentinel knows. It is in memory; backups are files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Optional

from fastapi import Request

if TYPE_CHECKING:
    from .changes import Once

WATCHED_FILES = ("/etc/passwd", "/etc/ssh/sshd_config", "/usr/bin/sudo")


@dataclass(frozen=True)
class Change:
    """A change that was made; a repeated request that only got the same answer is none."""

    method: str
    path: str
    idempotency_key: Optional[str]
    at: str
    answer: Any


@dataclass
class Service:
    """Has a primary, which may be down, and a standby."""

    configuration: str = "current"
    active: str = "primary"
    restarts: int = 0
    primary_down: bool = False
    restart_helps: bool = True

    @property
    def status(self) -> str:
        return "down" if self.active == "primary" and self.primary_down else "running"

    def restart(self, configuration: str) -> None:
        self.configuration = configuration
        self.restarts += 1
        if self.restart_helps:
            self.primary_down = False


@dataclass
class Trial:
    """What a trial makes go wrong."""

    backup_failures: int = 0
    seconds_per_change: float = 0.0
    changed_files: set[str] = field(default_factory=set)


@dataclass
class State:
    KEYS_KEPT: ClassVar[int] = 10_000

    blocks: dict[str, str] = field(default_factory=dict)
    locked_users: dict[str, str] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    integrity_checks: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: list[Change] = field(default_factory=list)
    keys: dict[tuple[str, str, str], Once] = field(default_factory=dict)
    trial: Trial = field(default_factory=Trial)

    def service(self, name: str) -> Service:
        return self.services.setdefault(name, Service())

    def reset(self) -> None:
        self.__dict__.update(State().__dict__)


def state_of(request: Request) -> State:
    state: State = request.app.state.sentinel
    return state
