"""What a provider says about our messages."""

from typing import Any


def receipt(kind: str, **data: object) -> dict[str, Any]:
    """Return a receipt of `kind` about `data`."""
    return {"type": kind, "timestamp": "2026-03-02T09:00:00+00:00", "data": data}
