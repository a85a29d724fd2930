"""Microseconds per event and bytes per state of the core, on stories of different sizes. Prints, asserts nothing."""

from collections.abc import Callable
from time import process_time
from typing import Final

from models.events.union import AnyEvent
from models.learners.baseline import BASELINE
from models.policy.policy import DEFAULT_POLICY
from models.state.client import ClientState
from models.state.codec import decode, encode
from models.transition import transition
from tests.models.builders import Events

CLIENTS: Final = 60


def a_year(client: str, *, per_month: int = 2) -> list[AnyEvent]:
    """Return a year of a client: a profile, a contract, some invoices a month, most paid in time."""
    build = Events(client)
    story: list[AnyEvent] = [build.profiled(0), build.contract(0, renews=360)]
    for month in range(12):
        for half in range(per_month):
            day, name = month * 30 + half * 30 // per_month, f"inv-2024-{month:02d}-{half}"
            story.append(build.issued(day, name, 120_000 + 1_000 * half))
            story.append(build.paid(day + (12 if month % 4 else 22), f"pay-{name}", 120_000 + 1_000 * half, name))
    return sorted(story, key=lambda event: event.received_ms)


def _monthly(client: str) -> list[AnyEvent]:
    return a_year(client, per_month=1)


def _busy(client: str) -> list[AnyEvent]:
    """A client with thirty invoices open at any time."""
    build = Events(client)
    story: list[AnyEvent] = [build.profiled(0)]
    for index in range(120):
        name = f"inv-{index}"
        story.append(build.issued(index, name, 40_000 + index, due=index + 30))
        story.append(build.paid(index + 30.5, f"pay-{name}", 40_000 + index, name))
    return sorted(story, key=lambda event: event.received_ms)


def _measure(make: Callable[[str], list[AnyEvent]]) -> tuple[float, float, int, int]:
    stories = [make(f"client-{index}") for index in range(CLIENTS)]
    largest = outputs = events = 0
    states: list[ClientState] = []
    began = process_time()
    for story in stories:
        state: ClientState | None = None
        for event in story:
            result = transition(state, event, policy=DEFAULT_POLICY, scorer=BASELINE)
            state = result.state
            outputs += len(result.outputs)
            events += 1
        if state is not None:
            states.append(state)
    folded = (process_time() - began) / events * 1e6
    blobs = [encode(state) for state in states]
    began = process_time()
    for blob in blobs:
        encode(decode(blob))
    coded = (process_time() - began) / len(blobs) * 1e6
    largest = max(map(len, blobs))
    return folded, coded, largest, outputs


STORIES: Final = {
    "a year, an invoice a month": _monthly,
    "a year, two invoices a month": a_year,
    "thirty invoices open": _busy,
}


def test_transition_speed() -> None:
    for name, make in STORIES.items():
        folded, coded, size, outputs = _measure(make)
        print(f"{name}: {folded:.1f} us per event, {coded:.1f} us to decode and encode, {size} bytes, {outputs} outputs")  # noqa: T201 - a bench speaks
