"""Where the guard is and how long a call may take: arguments, then the environment."""

import os
from dataclasses import dataclass, field
from typing import Optional

import httpx

DEFAULT_URL = "http://neural-guard:3000"
URL_VARIABLE = "NEURAL_GUARD_URL"
KEY_VARIABLE = "NEURAL_GUARD_API_KEY"


@dataclass(frozen=True)
class Settings:
    """What a client works with; `problem` says why it cannot send at all."""

    base_url: str
    api_key: str = field(repr=False)
    connect_timeout: float
    total_timeout: float
    problem: Optional[str]

    @classmethod
    def resolve(
        cls,
        base_url: Optional[str],
        api_key: Optional[str],
        connect_timeout: float,
        total_timeout: float,
    ) -> "Settings":
        """Never fails: Sentinel makes its client while it is being imported."""
        url = (base_url or os.environ.get(URL_VARIABLE) or DEFAULT_URL).strip().rstrip("/")
        key = (api_key or os.environ.get(KEY_VARIABLE) or "").strip()
        url, problem = _checked_url(url)
        return cls(url, key, connect_timeout, total_timeout, problem or _problem_of_key(key))

    @property
    def events_url(self) -> str:
        return f"{self.base_url}/events"

    @property
    def headers(self) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.api_key}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "neural-guard-client-python",
        }

    def timeout(self, seconds: float) -> httpx.Timeout:
        """The limits of one attempt that may take so many seconds."""
        return httpx.Timeout(seconds, connect=min(self.connect_timeout, seconds))


def _checked_url(url: str) -> tuple[str, Optional[str]]:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "", f"{URL_VARIABLE} is not a URL"
    if parsed.userinfo:
        # It would take the place of the key, and would be seen in logs.
        return str(parsed.copy_with(userinfo=b"")), f"{URL_VARIABLE} holds a user name or password"
    if parsed.scheme not in ("http", "https") or not parsed.host:
        return url, f"{URL_VARIABLE} does not begin with http:// or https:// and a host"
    return url, None


def _problem_of_key(key: str) -> Optional[str]:
    if not key:
        return f"there is no API key; set {KEY_VARIABLE}"
    if not (key.isascii() and key.isprintable()):
        # The error of the HTTP library would quote it.
        return "the API key holds characters that a header cannot carry"
    return None
