"""Accounts."""

from typing import Any, Optional

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from ..state import state_of

router = APIRouter(prefix="/users", tags=["users"])


class Lock(BaseModel):
    reason: str = ""
    systems: list[str] = Field(default_factory=list)


@router.post("/{username:path}/lock")
async def lock(request: Request, username: str, body: Optional[Lock] = None) -> dict[str, Any]:
    state_of(request).locked_users[username] = body.reason if body else ""
    return {"username": username, "locked": True}


@router.post("/{username:path}/unlock")
async def unlock(request: Request, username: str) -> dict[str, Any]:
    state_of(request).locked_users.pop(username, None)
    return {"username": username, "locked": False}


@router.get("/{username:path}")
async def user(request: Request, username: str) -> dict[str, Any]:
    return {"username": username, "locked": username in state_of(request).locked_users}
