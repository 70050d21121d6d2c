"""Sentinel's own client, word for word as it is in use; only the imports it lacks are added."""

import logging
from datetime import datetime

logger = logging.getLogger("seed")

# backend/app/neural_guard.py

import httpx
from typing import Dict, Any, Optional

class NeuralGuardClient:
    """Client for Sentinel Neural Guard service"""
    
    def __init__(self, base_url: str, api_key: str):
        self.base_url = base_url
        self.api_key = api_key
        self.client = httpx.AsyncClient(timeout=30.0)
    
    async def send_event(
        self,
        event_type: str,
        severity: str,
        context: Dict[str, Any],
        source: str = "sentinel"
    ) -> Optional[Dict[str, Any]]:
        """Send event to Neural Guard for processing"""
        try:
            response = await self.client.post(
                f"{self.base_url}/events",
                json={
                    "event_type": event_type,
                    "severity": severity,
                    "context": context,
                    "source": source,
                    "timestamp": datetime.utcnow().isoformat(),
                },
                headers={"Authorization": f"Bearer {self.api_key}"}
            )
            
            if response.status_code == 200:
                return response.json()
            else:
                logger.error(f"Neural Guard error: {response.status_code}")
                return None
                
        except Exception as e:
            logger.error(f"Failed to send event to Neural Guard: {e}")
            return None
