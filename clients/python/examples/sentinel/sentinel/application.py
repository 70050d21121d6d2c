"""The application: state, routers, and the client of Neural Guard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Optional

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from neural_guard_client import NeuralGuardClient

from .authentication import Authentication
from .backups import Backups
from .changes import Changes
from .routers import backup, integrity, security, services, trial, users
from .settings import Settings
from .state import State


def create_app(
    settings: Optional[Settings] = None, neural_guard: Optional[NeuralGuardClient] = None
) -> FastAPI:
    settings = settings or Settings.from_environment()
    neural_guard = neural_guard or NeuralGuardClient()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with neural_guard:
            yield

    app = FastAPI(title="Sentinel", lifespan=lifespan)
    app.state.neural_guard = neural_guard
    app.state.sentinel = State()
    app.state.backups = Backups(settings.backup_dir)
    for router in (backup, security, users, services, integrity):
        app.include_router(router.router, prefix="/api/v1")
    if settings.trial:
        app.include_router(trial.router)
    app.add_api_route("/health", health)
    app.add_exception_handler(RequestValidationError, invalid)
    # The one that is added last is asked first: nothing is repeated for a stranger.
    app.add_middleware(Changes, state=app.state.sentinel)
    app.add_middleware(Authentication, token=settings.api_token)
    return app


async def health() -> dict[str, str]:
    return {"status": "ok"}


async def invalid(request: Request, error: Exception) -> JSONResponse:
    """One sentence, as in every other error."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found)
    return JSONResponse({"detail": said or "invalid"}, status_code=422)
