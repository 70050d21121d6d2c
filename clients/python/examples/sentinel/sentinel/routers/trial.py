"""For trials: makes things go wrong, and tells what was done."""

from dataclasses import asdict
from typing import Any, Optional

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from ..state import state_of

router = APIRouter(prefix="/trial", tags=["trial"])


class Failures(BaseModel):
    count: int = Field(ge=0)


class Slow(BaseModel):
    seconds: float = Field(ge=0, le=600)


class Down(BaseModel):
    restart_helps: bool = True


class Changed(BaseModel):
    paths: list[str]


@router.post("/backup/failures")
async def fail_backups(request: Request, body: Failures) -> dict[str, Any]:
    """The next so many backups fail."""
    state_of(request).trial.backup_failures = body.count
    return {"count": body.count}


@router.post("/slow")
async def slow_down(request: Request, body: Slow) -> dict[str, Any]:
    """Every change begins so much later, until this is set to 0."""
    state_of(request).trial.seconds_per_change = body.seconds
    return {"seconds": body.seconds}


@router.post("/services/{service:path}/down")
async def take_down(request: Request, service: str, body: Optional[Down] = None) -> dict[str, Any]:
    """The primary is down until a restart, or for good."""
    held = state_of(request).service(service)
    held.primary_down = True
    held.restart_helps = body.restart_helps if body else True
    return {"service": service, "status": held.status}


@router.post("/integrity/changed")
async def change_files(request: Request, body: Changed) -> dict[str, Any]:
    """These files, and no others, are not what they should be."""
    state_of(request).trial.changed_files = set(body.paths)
    return {"paths": body.paths}


@router.get("/log")
async def log(request: Request) -> list[dict[str, Any]]:
    """Every change that was made, the oldest first."""
    return [asdict(change) for change in state_of(request).log]


@router.post("/reset")
async def reset(request: Request) -> dict[str, Any]:
    """Everything as at the start, the backups of this process removed."""
    request.app.state.backups.remove_written()
    state_of(request).reset()
    return {"reset": True}
