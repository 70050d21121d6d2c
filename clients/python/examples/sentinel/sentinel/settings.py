"""The environment of the example."""

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional


@dataclass(frozen=True)
class Settings:
    backup_dir: Path
    api_token: Optional[str] = field(default=None, repr=False)
    trial: bool = False

    @classmethod
    def from_environment(cls) -> "Settings":
        folder = os.environ.get("SENTINEL_BACKUP_DIR") or tempfile.mkdtemp(prefix="sentinel-")
        return cls(
            backup_dir=Path(folder),
            api_token=os.environ.get("SENTINEL_API_TOKEN") or None,
            trial=os.environ.get("SENTINEL_TRIAL") == "1",
        )
