"""Requests to the HTTP API as a client sends them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Api:
    """The API, and a photo for it."""

    client: httpx.Client
    photo: bytes

    def post(self, path: str, content: bytes | None = None, **query: Any) -> httpx.Response:
        sent = self.photo if content is None else content
        return self.client.post(f"/v1/{path}", params=query, files={"photo": ("me.jpg", sent)})
