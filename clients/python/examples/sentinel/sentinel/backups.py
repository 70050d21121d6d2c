"""Backups as files in a folder."""

import gzip
import json
import uuid
import zlib
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Optional


class NoSuchName(ValueError):
    """The name of a backup leads out of the folder, or is none."""


class Backups:
    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder.resolve()
        self._written: set[str] = set()

    def run(self, file: Optional[str], fails: bool) -> dict[str, Any]:
        """Never raises but for a wrong name: a backup that cannot be made has failed."""
        now = datetime.now(timezone.utc)
        file = file or f"sentinel-{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}.json.gz"
        path = self._path(file)
        if fails:
            return {"status": "failed", "file": file, "error": "the storage does not answer"}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.partial")
            partial.write_bytes(gzip.compress(json.dumps({"made_at": now.isoformat()}).encode()))
            partial.replace(path)
        except OSError as error:
            return {"status": "failed", "file": file, "error": str(error.strerror or error)}
        self._written.add(file)
        return {"status": "completed", "file": file, "size_bytes": path.stat().st_size}

    def status(self, file: str) -> dict[str, Any]:
        path = self._path(file)
        if not path.is_file():
            return {"file": file, "exists": False, "verified": False, "size_bytes": 0}
        content = path.read_bytes()
        return {
            "file": file,
            "exists": True,
            "verified": _is_whole(content),
            "size_bytes": len(content),
        }

    def remove(self, file: str) -> None:
        path = self._path(file)
        if path.is_file():
            path.unlink()
        self._written.discard(file)

    def remove_written(self) -> None:
        """Only what this process wrote: the folder may hold more."""
        for file in list(self._written):
            self.remove(file)

    def _path(self, file: str) -> Path:
        parts = file.split("/")
        if any(part in ("", ".", "..") for part in parts) or not file.isprintable():
            raise NoSuchName(f"`{file}` is not the name of a backup")
        path = self._folder.joinpath(*parts)
        if self._folder not in path.resolve().parents:
            raise NoSuchName(f"`{file}` is not the name of a backup")
        return path


def _is_whole(content: bytes) -> bool:
    """gzip has a checksum of its own."""
    try:
        json.loads(gzip.decompress(content))
    except (OSError, EOFError, ValueError, zlib.error):
        return False
    return True
