"""An application on a port of its own."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn
from fastapi import FastAPI

from .conftest import eventually

TOKEN = {"Authorization": "Bearer token-of-the-tests"}


@contextmanager
def serving(app: FastAPI) -> Iterator[httpx.Client]:
    """A client of the application, which has started and stops at the end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        eventually(lambda: server.started)
        with httpx.Client(base_url=url, headers=TOKEN, timeout=15) as client:
            yield client
        server.should_exit = True
        thread.join()
