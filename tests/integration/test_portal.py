"""A message on its way to the portal and back, on real servers: channel, mailbox, API, and the outcome of its reading."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest
from pydantic import SecretStr

from handlers.channels.assembly import make_channel, make_worker
from handlers.channels.redis_ledger import RedisLedgers
from handlers.commands.portal import make_portal_server
from handlers.portal.tokens import portal_link
from handlers.stack.ports import free_ports
from streams.runtime.metrics import Meter
from streams.runtime.settings import Settings
from streams.state.redis_store import RedisStateStore
from streams.wire.links import LinkKeys
from tests.integration.test_channels import NOW, Town, thanks
from tests.integration.test_channels import town as town  # noqa: PLC0414 - the fixture, by its own name
from tests.waiting import until_async

pytestmark = pytest.mark.integration

SECRET = "k" * 40


@asynccontextmanager
async def portal(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Run the real server and give a client that holds the token of `ada`."""
    (port,) = free_ports(1)
    server = make_portal_server(settings)
    server.config.port = port
    running = asyncio.create_task(server.serve())
    keys = LinkKeys(SECRET, url="http://127.0.0.1:8080")
    token = keys.sign(portal_link("ada", now=NOW, life=timedelta(days=1)))
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as http:
        await until_async(lambda: server.started, what="the portal to listen")
        yield http
    server.should_exit = True
    await running


async def test_a_message_is_laid_out_once_read_and_reported(town: Town) -> None:
    links = {"link_secrets": [SecretStr(SECRET)], "link_url": "http://127.0.0.1:8080"}
    settings = town.settings.model_copy(update=links)
    worker = make_worker(
        make_channel("portal", settings),
        settings,
        ledgers=RedisLedgers(town.redis, namespace=settings.namespace, pending_limit=settings.channel_pending_limit),
        store=RedisStateStore(town.redis, settings),
        meter=Meter(),
    )
    async with town.working(worker), portal(settings) as http:
        await town.publish(thanks("t1", channel="portal"))
        assert await town.told(1) == [("t1", "sent")]
        (shown,) = (await http.get("/portal/v1/messages")).json()["messages"]
        assert (shown["id"], shown["overtaken"], shown["read_at"]) == ("t1", False, None)
        assert "Thank you" in shown["subject"]
        for _ in range(2):
            assert (await http.post("/portal/v1/messages/t1/read")).status_code == 200
        assert await town.told(2) == [("t1", "delivered"), ("t1", "sent")]
        assert (await http.get("/health/ready")).status_code == 200
