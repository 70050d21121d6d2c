"""Runs the example: `python examples/sentinel/app.py --port 0`."""

import argparse
import logging
import socket

import uvicorn
from sentinel.application import create_app


def main() -> None:
    parser = argparse.ArgumentParser(description="A small Sentinel, for trials of Neural Guard.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 picks a free one")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")

    family = socket.AF_INET6 if ":" in arguments.host else socket.AF_INET
    with socket.create_server((arguments.host, arguments.port), family=family) as listener:
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if family == socket.AF_INET6 else host
        server = uvicorn.Server(uvicorn.Config(create_app(), log_config=None, access_log=False))
        print(f"listening on http://{shown}:{port}", flush=True)
        server.run(sockets=[listener])


if __name__ == "__main__":
    main()
