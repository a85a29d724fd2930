"""What commands say to programs (`--json`): one JSON document, indented, with names in their own letters."""

import json
from typing import Any


def in_json(said: Any) -> str:  # noqa: ANN401 - whatever JSON has
    """Return `said` as a JSON document."""
    return json.dumps(said, ensure_ascii=False, indent=2)
