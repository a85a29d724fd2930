"""The pages as people meet them: in Chromium, on a telephone's width, with the policy that the server sends along."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, ViewportSize, async_playwright

from handlers.channels.links import links_of
from handlers.commands.evaluate import evaluate
from handlers.commands.evaluate_renewals import AskedValue, evaluate_renewals
from handlers.preferences.wording import LANGUAGES, words_in
from models.events.signals import ClientProfiled, Purpose
from models.events.union import EVENT_ADAPTER
from models.triggers import Journey
from streams.runtime.settings import Settings
from streams.wire.topics import SIGNALS
from tests.handlers.channel_examples import trigger
from tests.handlers.test_evaluate import write_book
from tests.handlers.test_evaluate_renewals import WORLD, write_periods
from tests.integration.engine_world import read_topic
from tests.integration.test_gateway import kafka_found, serving
from tests.waiting import until_async

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
TELEPHONE = ViewportSize(width=320, height=640)
DESK = ViewportSize(width=1280, height=800)
TARGET_PIXELS = 24  # the least size of what one taps on: WCAG 2.2, criterion 2.5.8


@asynccontextmanager
async def browsing(chromium: str, size: ViewportSize) -> AsyncIterator[tuple[Page, list[str]]]:
    """Give a page and what it complains about: errors, refused styles and requests that failed."""
    async with (
        async_playwright() as playwright,
        await playwright.chromium.launch(executable_path=chromium, chromium_sandbox=False) as browser,
    ):
        page = await browser.new_page(viewport=size)
        complaints: list[str] = []
        page.on("console", lambda said: complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(request.url))
        yield page, complaints


async def overflows(page: Page) -> bool:
    """Say whether one has to scroll sideways."""
    return bool(await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


@pytest.fixture
def settings(settings_with_links: Callable[[datetime], Settings]) -> Settings:
    return settings_with_links(NOW)


async def chosen(settings: Settings) -> list[ClientProfiled]:
    found = await read_topic(settings, SIGNALS)
    events = [EVENT_ADAPTER.validate_json(record.value or b"") for records in found.values() for record in records]
    return [event for event in events if isinstance(event, ClientProfiled)]


async def test_a_client_answers_behind_a_link_on_a_telephone_in_any_language(settings: Settings, chromium: str) -> None:
    make = links_of(settings)
    assert make is not None
    async with serving(settings) as server, browsing(chromium, TELEPHONE) as (page, complaints):
        await kafka_found(server)
        for language in LANGUAGES:
            await page.goto(f"{server.base_url}{urlsplit(make(trigger(), language).answer).path}")
            assert await page.locator("html").get_attribute("lang") == language
            assert not await overflows(page)
            assert (
                await page.evaluate("getComputedStyle(document.querySelector('main')).maxWidth") != "none"
            )  # the style is taken
            for button in await page.get_by_role("button").all():
                box = await button.bounding_box()
                assert box is not None
                assert min(box["width"], box["height"]) >= TARGET_PIXELS
        words = words_in(language)
        form = page.locator("form", has=page.locator("select[name=channel]"))
        await form.get_by_label(words.offers.channel.channel).select_option(label=words.channels.sms)
        await form.get_by_role("button").click()
        await page.get_by_role("heading", name=words.done.channel.title).wait_for()
        await page.reload()  # sends the form once more
        await page.get_by_role("heading", name=words.done.channel.title).wait_for()

        async def both() -> bool:
            return len(await chosen(settings)) > 1

        await until_async(both, what="the answer, sent twice")
        assert {(event.client_id, event.channel) for event in await chosen(settings)} == {("ada", "sms")}
        assert len({event.event_id for event in await chosen(settings)}) == 1

        care = trigger(journey=Journey.RENEWAL, purpose=Purpose.RELATIONSHIP, invoice_ids=())
        await page.goto(f"{server.base_url}{urlsplit(make(care, language).answer).path}")
        assert not await overflows(page)
        await page.get_by_role("button", name=words.offers.renew.button).click()
        await page.get_by_role("heading", name=words.done.renew.title).wait_for()
        assert complaints == []


def of_invoices(folder: Path, report: Path) -> int:
    return evaluate(write_book(folder / "book.csv"), report=report)


def of_renewals(folder: Path, report: Path) -> int:
    path = write_periods(folder / "contracts.csv", until=WORLD.last_day)
    return evaluate_renewals(path, report=report, value=AskedValue(cost_of=("type:retainer=9000",), cost=12_000))


@pytest.mark.parametrize("write", [of_invoices, of_renewals])
async def test_a_report_opens_without_a_network_at_any_width(
    tmp_path: Path, chromium: str, write: Callable[[Path, Path], int], capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.html"
    assert write(tmp_path, report) == 0
    capsys.readouterr()
    async with browsing(chromium, DESK) as (page, complaints):
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(report.as_uri())
        assert asked == [report.as_uri()]
        plots = await page.locator("svg").all()
        assert plots
        for size in (DESK, TELEPHONE):
            await page.set_viewport_size(size)
            assert not await overflows(page)
            for plot in plots:
                box = await plot.bounding_box()
                assert box is not None
                assert 0 < box["width"] <= size["width"]
                assert box["height"] > 0
        assert complaints == []
