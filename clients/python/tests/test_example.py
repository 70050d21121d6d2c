"""The example: what playbooks ask of Sentinel, and what it reports."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sentinel.application import create_app
from sentinel.settings import Settings

from neural_guard_client import NeuralGuardClient

from .both import KEY
from .guard import API_KEY, Guard
from .serving import serving


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "backups", "token-of-the-tests", trial=True)


@pytest.fixture
def reported() -> "list[dict[str, Any]]":
    return []


@pytest.fixture
def sentinel(settings: Settings, reported: "list[dict[str, Any]]") -> Iterator[httpx.Client]:
    def guard(request: httpx.Request) -> httpx.Response:
        reported.append(json.loads(request.content))
        return httpx.Response(200, json={"status": "processed"})

    neural_guard = NeuralGuardClient("http://guard", KEY, transport=httpx.MockTransport(guard))
    with serving(create_app(settings, neural_guard)) as client:
        yield client


def post(sentinel: httpx.Client, path: str, body: Any = None, key: str = "") -> Any:
    answer = sentinel.post(path, json=body, headers={"Idempotency-Key": key} if key else {})
    assert answer.status_code == 200, answer.text
    return answer.json()


def log(sentinel: httpx.Client) -> list[tuple[str, str, Any]]:
    changes = sentinel.get("/trial/log").json()
    return [(one["method"], one["path"], one["idempotency_key"]) for one in changes]


def test_backups(sentinel: httpx.Client, settings: Settings) -> None:
    made = post(sentinel, "/api/v1/backup/trigger", {"backup_file": "daily/a.gz"})
    assert made["status"] == "completed"
    path = settings.backup_dir / "daily" / "a.gz"
    assert path.stat().st_size == made["size_bytes"]
    status = sentinel.get("/api/v1/backup/status/daily%2Fa.gz").json()
    assert status == {
        "file": "daily/a.gz",
        "exists": True,
        "verified": True,
        "size_bytes": made["size_bytes"],
    }
    path.write_bytes(path.read_bytes()[:-9])
    status = sentinel.get("/api/v1/backup/status/daily/a.gz").json()
    assert (status["exists"], status["verified"]) == (True, False)
    for _ in range(2):
        gone = sentinel.delete("/api/v1/backup/daily%2Fa.gz").json()
        assert gone == {"file": "daily/a.gz", "exists": False}
    assert not path.exists()
    assert not sentinel.get("/api/v1/backup/status/daily/a.gz").json()["exists"]
    assert post(sentinel, "/api/v1/backup/trigger")["file"].startswith("sentinel-")


@pytest.mark.parametrize("name", ["../a", "/etc/x", "a/../../b", "a\n", "", "a//b"])
def test_names_that_lead_out_of_the_folder(sentinel: httpx.Client, name: str) -> None:
    if name:
        answer = sentinel.post("/api/v1/backup/trigger", json={"backup_file": name})
        assert answer.status_code == 422
        assert isinstance(answer.json()["detail"], str)
    assert log(sentinel) == []


def test_a_failed_backup_is_reported_with_its_count(
    sentinel: httpx.Client, reported: "list[dict[str, Any]]"
) -> None:
    post(sentinel, "/trial/backup/failures", {"count": 2})
    failed = post(sentinel, "/api/v1/backup/trigger", {"backup_file": "a"})
    again = post(sentinel, "/api/v1/backup/trigger", {"backup_file": "a", "retry_count": 0})
    assert failed == again == {"status": "failed", "file": "a", "error": failed["error"]}
    assert post(sentinel, "/api/v1/backup/trigger", {"retry_count": 1})["status"] == "completed"
    assert [event["context"]["retry_count"] for event in reported] == [0, 1]
    assert {event["event_type"] for event in reported} == {"backup_failed"}
    assert {event["severity"] for event in reported} == {"high"}
    assert reported[0]["context"]["backup_file"] == "a"


def test_addresses(sentinel: httpx.Client) -> None:
    path = "/api/v1/security/blocks/2001%3Adb8%3A%3A1"
    address = "2001:db8::1"
    assert sentinel.get(path).json() == {"ip_address": address, "blocked": False}
    blocked = sentinel.put(path, json={"reason": "brute force"}).json()
    assert blocked == {"ip_address": address, "blocked": True}
    assert sentinel.get("/api/v1/security/blocks/2001:DB8:0::1").json()["blocked"]
    assert sentinel.delete(path).json() == {"ip_address": address, "blocked": False}
    assert not sentinel.get(path).json()["blocked"]
    wrong = sentinel.put("/api/v1/security/blocks/localhost", json={})
    assert (wrong.status_code, wrong.json()["detail"]) == (422, "`localhost` is not an IP address")


def test_users(sentinel: httpx.Client) -> None:
    body = {"reason": "left", "systems": ["vpn"]}
    locked = {"username": "d\u00f6/e", "locked": True}
    assert post(sentinel, "/api/v1/users/d%C3%B6%2Fe/lock", body) == locked
    assert sentinel.get("/api/v1/users/d%C3%B6%2Fe").json() == locked
    assert post(sentinel, "/api/v1/users/d%C3%B6%2Fe/unlock") == {**locked, "locked": False}
    assert not sentinel.get("/api/v1/users/d%C3%B6%2Fe").json()["locked"]


def test_services(sentinel: httpx.Client) -> None:
    path = "/api/v1/services/web"
    post(sentinel, "/trial/services/web/down", {"restart_helps": False})
    down = {"service": "web", "status": "down", "configuration": "last-known-good"}
    assert post(sentinel, f"{path}/restart", {"host": "h", "reason": "r"}) == down
    assert post(sentinel, f"{path}/failover") == {"service": "web", "active": "standby"}
    assert sentinel.get(path).json() == {
        **down,
        "status": "running",
        "active": "standby",
        "restarts": 1,
    }
    assert post(sentinel, f"{path}/failback") == {"service": "web", "active": "primary"}
    post(sentinel, "/trial/services/web/down")
    assert post(sentinel, f"{path}/restore") == {
        "service": "web",
        "status": "running",
        "configuration": "current",
    }


def test_integrity(sentinel: httpx.Client) -> None:
    assert post(sentinel, "/api/v1/integrity/checks")["changed"] == []
    post(sentinel, "/trial/integrity/changed", {"paths": ["/b"]})
    check = post(sentinel, "/api/v1/integrity/checks", {"host": "h", "paths": ["/a", "/b"]})
    assert (check["status"], check["checked"], check["changed"]) == ("completed", 2, ["/b"])
    assert sentinel.get(f"/api/v1/integrity/checks/{check['check_id']}").json() == check
    assert sentinel.get("/api/v1/integrity/checks/none").status_code == 404


def test_a_key_makes_a_change_once(sentinel: httpx.Client) -> None:
    post(sentinel, "/trial/slow", {"seconds": 0.1})
    answers: list[Any] = []

    def restart() -> None:
        answers.append(post(sentinel, "/api/v1/services/web/restart", key="k"))

    threads = [threading.Thread(target=restart) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    post(sentinel, "/trial/slow", {"seconds": 0})
    assert answers == [answers[0]] * 4
    assert sentinel.get("/api/v1/services/web").json()["restarts"] == 1
    post(sentinel, "/api/v1/services/web/restart", key="another")
    post(sentinel, "/api/v1/services/other/restart", key="k")
    assert log(sentinel) == [
        ("POST", "/api/v1/services/web/restart", "k"),
        ("POST", "/api/v1/services/web/restart", "another"),
        ("POST", "/api/v1/services/other/restart", "k"),
    ]
    post(sentinel, "/trial/reset")
    assert log(sentinel) == []
    assert sentinel.get("/api/v1/services/web").json()["restarts"] == 0


def test_what_was_not_done_may_be_tried_again(sentinel: httpx.Client) -> None:
    key = {"Idempotency-Key": "k"}
    path = "/api/v1/backup/trigger"
    assert sentinel.post(path, json={"retry_count": -1}, headers=key).status_code == 422
    assert sentinel.post(path, json={"retry_count": 1}, headers=key).status_code == 200
    assert len(log(sentinel)) == 1


def test_the_token_is_asked_for_before_an_answer_is_repeated(sentinel: httpx.Client) -> None:
    post(sentinel, "/api/v1/users/a/lock", key="k")
    for token in ("", "Bearer wrong", "token-of-the-tests", "Bearer t\u00f6ken"):
        headers = [(b"Authorization", token.encode("latin-1")), (b"Idempotency-Key", b"k")]
        answer = sentinel.post("/api/v1/users/a/lock", headers=headers)
        assert answer.status_code == 401
        assert "detail" in answer.json()
    assert len(log(sentinel)) == 1


def test_without_settings_it_is_open_and_has_no_trial(settings: Settings) -> None:
    open_settings = replace(settings, api_token=None, trial=False)
    with serving(create_app(open_settings, NeuralGuardClient())) as client:
        assert client.get("/api/v1/users/a").status_code == 200
        assert client.get("/trial/log").status_code == 404
        assert client.get("/health").json() == {"status": "ok"}
    assert "token-of-the-tests" not in repr(settings)


def test_it_answers_while_the_guard_is_away_and_reports_later(
    settings: Settings, guard: Guard
) -> None:
    guard.kill()
    neural_guard = NeuralGuardClient(guard.url, API_KEY, total_timeout=0.5)
    with serving(create_app(settings, neural_guard)) as sentinel:
        post(sentinel, "/trial/backup/failures", {"count": 1})
        assert post(sentinel, "/api/v1/backup/trigger")["status"] == "failed"
        guard.start()
        assert neural_guard.stats.buffered == 1
    [item] = guard.events()
    assert item["event"]["event_type"] == "backup_failed"
