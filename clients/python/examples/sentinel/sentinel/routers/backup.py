"""Backups: the one place that reports to Neural Guard by itself."""

from typing import Any, Optional

from fastapi import APIRouter, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from neural_guard_client import NeuralGuardClient

from ..backups import Backups, NoSuchName
from ..state import state_of

router = APIRouter(prefix="/backup", tags=["backup"])


class Trigger(BaseModel):
    backup_file: Optional[str] = None
    retry_count: Optional[int] = Field(default=None, ge=0)


@router.post("/trigger")
async def trigger_backup(request: Request, trigger: Optional[Trigger] = None) -> dict[str, Any]:
    trigger = trigger or Trigger()
    result = await run_backup(request, trigger.backup_file)
    if result["status"] == "failed":
        neural_guard: NeuralGuardClient = request.app.state.neural_guard
        await neural_guard.send_event(
            event_type="backup_failed",
            severity="high",
            context={
                "backup_file": result.get("file"),
                "error": result.get("error"),
                # A playbook hands back the count that it was given: this was one try more.
                "retry_count": 0 if trigger.retry_count is None else trigger.retry_count + 1,
            },
        )
    return result


async def run_backup(request: Request, file: Optional[str]) -> dict[str, Any]:
    backups: Backups = request.app.state.backups
    trial = state_of(request).trial
    fails = trial.backup_failures > 0
    trial.backup_failures -= fails
    try:
        return await run_in_threadpool(backups.run, file, fails)
    except NoSuchName as error:
        raise HTTPException(422, str(error)) from error


@router.get("/status/{file:path}")
async def backup_status(request: Request, file: str) -> dict[str, Any]:
    backups: Backups = request.app.state.backups
    try:
        return await run_in_threadpool(backups.status, file)
    except NoSuchName as error:
        raise HTTPException(422, str(error)) from error


@router.delete("/{file:path}")
async def remove_backup(request: Request, file: str) -> dict[str, Any]:
    backups: Backups = request.app.state.backups
    try:
        await run_in_threadpool(backups.remove, file)
    except NoSuchName as error:
        raise HTTPException(422, str(error)) from error
    return {"file": file, "exists": False}
