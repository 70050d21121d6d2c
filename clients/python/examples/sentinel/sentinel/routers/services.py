"""Services, each with a primary and a standby."""

from typing import Any, Optional

from fastapi import APIRouter, Request
from pydantic import BaseModel

from ..state import state_of

router = APIRouter(prefix="/services", tags=["services"])


class Target(BaseModel):
    host: Optional[str] = None
    reason: str = ""


@router.post("/{service:path}/restart")
async def restart(request: Request, service: str, body: Optional[Target] = None) -> dict[str, Any]:
    return _restarted(request, service, "last-known-good")


@router.post("/{service:path}/restore")
async def restore(request: Request, service: str, body: Optional[Target] = None) -> dict[str, Any]:
    return _restarted(request, service, "current")


def _restarted(request: Request, service: str, configuration: str) -> dict[str, Any]:
    held = state_of(request).service(service)
    held.restart(configuration)
    return {"service": service, "status": held.status, "configuration": held.configuration}


@router.post("/{service:path}/failover")
async def fail_over(
    request: Request, service: str, body: Optional[Target] = None
) -> dict[str, Any]:
    state_of(request).service(service).active = "standby"
    return {"service": service, "active": "standby"}


@router.post("/{service:path}/failback")
async def fail_back(
    request: Request, service: str, body: Optional[Target] = None
) -> dict[str, Any]:
    state_of(request).service(service).active = "primary"
    return {"service": service, "active": "primary"}


@router.get("/{service:path}")
async def status(request: Request, service: str) -> dict[str, Any]:
    held = state_of(request).service(service)
    return {
        "service": service,
        "status": held.status,
        "configuration": held.configuration,
        "active": held.active,
        "restarts": held.restarts,
    }
