"""The example as it is started."""

import os
import subprocess
import sys
from pathlib import Path

import httpx

from .guard import API_KEY, Guard

APP = Path(__file__).resolve().parents[1] / "examples" / "sentinel" / "app.py"


def test_it_says_where_it_listens_and_reports_to_the_guard(guard: Guard, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "NEURAL_GUARD_URL": guard.url,
        "NEURAL_GUARD_API_KEY": API_KEY,
        "SENTINEL_BACKUP_DIR": str(tmp_path / "backups"),
        "SENTINEL_TRIAL": "1",
    }
    sentinel = subprocess.Popen(
        [sys.executable, str(APP), "--port", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert sentinel.stdout is not None
        said = sentinel.stdout.readline()
        assert said.startswith("listening on http://127.0.0.1:")
        url = said.split()[-1]
        httpx.post(f"{url}/trial/backup/failures", json={"count": 1})
        answer = httpx.post(f"{url}/api/v1/backup/trigger", timeout=10)
        assert answer.json()["status"] == "failed"
        [item] = guard.events()
        assert item["event"]["context"]["retry_count"] == 0
    finally:
        sentinel.terminate()
        _, errors = sentinel.communicate(timeout=15)
    assert sentinel.returncode in (0, -15)
    assert "Traceback" not in errors
    assert API_KEY not in errors
