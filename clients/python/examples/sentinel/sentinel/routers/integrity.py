"""Files compared with what they should be; a trial says which are not."""

import uuid
from typing import Any, Optional

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel

from ..state import WATCHED_FILES, state_of

router = APIRouter(prefix="/integrity/checks", tags=["integrity"])


class Check(BaseModel):
    host: Optional[str] = None
    paths: Optional[list[str]] = None


@router.post("")
async def check(request: Request, body: Optional[Check] = None) -> dict[str, Any]:
    state = state_of(request)
    paths = body.paths if body and body.paths else list(WATCHED_FILES)
    check_id = str(uuid.uuid4())
    state.integrity_checks[check_id] = {
        "check_id": check_id,
        "status": "completed",
        "checked": len(paths),
        "changed": [path for path in paths if path in state.trial.changed_files],
    }
    return state.integrity_checks[check_id]


@router.get("/{check_id}")
async def result(request: Request, check_id: str) -> dict[str, Any]:
    found = state_of(request).integrity_checks.get(check_id)
    if found is None:
        raise HTTPException(404, f"there is no check `{check_id}`")
    return found
