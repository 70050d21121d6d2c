"""Client of Neural Guard: posts events, and keeps them while the guard is away.

`NeuralGuardClient` is for asyncio, `SyncNeuralGuardClient` for threads. Neither raises into its
caller, and neither loses an event that fits into its buffer as long as the process lives.
"""

from ._async_client import NeuralGuardClient
from ._stats import Stats
from ._sync_client import SyncNeuralGuardClient

__all__ = ["NeuralGuardClient", "Stats", "SyncNeuralGuardClient"]
__version__ = "0.1.0"
