"""Coroutines from synchronous code that may itself run inside an event loop."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")


def run_apart(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run `coroutine` to its end on an event loop in a thread of its own and return what it gave."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="apart") as pool:
        return pool.submit(asyncio.run, coroutine).result()
