"""Blocked addresses."""

import ipaddress
from typing import Any, Optional

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel

from ..state import state_of

router = APIRouter(prefix="/security/blocks", tags=["security"])


class Block(BaseModel):
    reason: str = ""


def canonical(ip_address: str) -> str:
    """One IPv6 address can be written in many ways."""
    try:
        return str(ipaddress.ip_address(ip_address))
    except ValueError as error:
        raise HTTPException(422, f"`{ip_address}` is not an IP address") from error


@router.put("/{ip_address}")
async def block(request: Request, ip_address: str, body: Optional[Block] = None) -> dict[str, Any]:
    state_of(request).blocks[canonical(ip_address)] = body.reason if body else ""
    return {"ip_address": ip_address, "blocked": True}


@router.get("/{ip_address}")
async def is_blocked(request: Request, ip_address: str) -> dict[str, Any]:
    blocked = canonical(ip_address) in state_of(request).blocks
    return {"ip_address": ip_address, "blocked": blocked}


@router.delete("/{ip_address}")
async def unblock(request: Request, ip_address: str) -> dict[str, Any]:
    state_of(request).blocks.pop(canonical(ip_address), None)
    return {"ip_address": ip_address, "blocked": False}
