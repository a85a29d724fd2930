"""The processor's side of the demo: posts a day's signed webhooks through HTTP, a few at a time, and tries again like Stripe."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Final, Self

import httpx

from handlers.demo.crew import DemoError
from handlers.demo.firm import Webhook
from handlers.demo.stripe_objects import signature

_AT_ONCE: Final = 16
_TRIES: Final = 5
_PAUSE_SECONDS: Final = 0.2


class Poster:
    """Posts to one gateway; use as an async context manager. `answers` counts the gateway's answers by status."""

    def __init__(self, url: str, *, secret: str) -> None:
        """Post to `url` (the gateway's root), signing with `secret`."""
        self._secret = secret
        self._client = httpx.AsyncClient(base_url=url, timeout=15.0, trust_env=False)
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self.answers: Counter[int] = Counter()

    async def __aenter__(self) -> Self:
        """Open the connections."""
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._client.__aexit__()

    async def is_ready(self) -> bool:
        """Say whether the gateway answers and has its broker."""
        try:
            return (await self._client.get("/health/ready")).status_code == HTTPStatus.OK
        except httpx.TransportError:
            return False

    async def post(self, webhooks: Sequence[Webhook], *, at: datetime) -> None:
        """Deliver all of `webhooks`, signed `at` the shared clock's time; raise DemoError when one is refused."""
        await asyncio.gather(*(self._post(webhook, at) for webhook in webhooks))

    async def _post(self, webhook: Webhook, at: datetime) -> None:
        headers = {
            "Stripe-Signature": signature(webhook.body, secret=self._secret, at=at),
            "Content-Type": "application/json; charset=utf-8",
        }
        async with self._slots:
            for attempt in range(_TRIES):
                answer = await self._try(webhook, headers)
                if answer is not None and answer.is_success:
                    return
                if answer is not None and answer.is_client_error:
                    break
                await asyncio.sleep(_PAUSE_SECONDS * 2**attempt)
        said = "nothing" if answer is None else f"{answer.status_code} {answer.text[:200]}"
        message = f"the gateway did not take {webhook.kind} ({webhook.event_id}): {said}"
        raise DemoError(message)

    async def _try(self, webhook: Webhook, headers: dict[str, str]) -> httpx.Response | None:
        try:
            answer = await self._client.post("/webhooks/stripe", content=webhook.body, headers=headers)
        except httpx.TransportError:
            return None
        self.answers[answer.status_code] += 1
        return answer
