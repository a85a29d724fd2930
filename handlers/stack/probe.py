"""Ask a health endpoint, in containers without curl: `python -m handlers.stack.probe URL` exits with 0 on a 200, else with 1."""

import sys
import urllib.error
import urllib.request
from typing import Final

_TIMEOUT_SECONDS: Final = 4.0
_OK: Final = 200


def probe(url: str) -> str | None:
    """Return None if `url`, which starts with http://, answers 200, else why not."""
    if not url.startswith("http://"):
        return f"not an http:// address: {url}"
    # Health endpoints are on loopback; a proxy from the environment has no business there.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_TIMEOUT_SECONDS) as answer:
            return None if answer.status == _OK else f"answered {answer.status}"
    except (urllib.error.URLError, OSError) as error:
        return str(error)


if __name__ == "__main__":
    sys.exit(probe(sys.argv[1]))
