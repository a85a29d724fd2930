"""Microseconds per event and bytes per state of the core, on stories of different sizes. Writes its table, asserts nothing."""

from collections.abc import Callable
from time import process_time
from typing import Final

import msgspec

from models.events.union import AnyEvent
from models.learners.baseline import BASELINE
from models.policy.policy import DEFAULT_POLICY
from models.state.client import ClientState
from models.state.codec import decode, encode
from models.transition import transition
from tests.bench.document import machine, write_part
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


def _measure(make: Callable[[str], list[AnyEvent]]) -> tuple[float, float, ClientState, int]:
    """Return microseconds per event, microseconds to read and write a state, the last state, and the most bytes on the way."""
    stories = [make(f"client-{index}") for index in range(CLIENTS)]
    events = sum(map(len, stories))
    states: list[ClientState] = []
    began = process_time()
    for story in stories:
        state: ClientState | None = None
        for event in story:
            state = transition(state, event, policy=DEFAULT_POLICY, scorer=BASELINE).state
            states.append(state)
    folded = (process_time() - began) / events * 1e6
    blobs = [encode(state) for state in states[-len(stories[0]) :]]
    began = process_time()
    for blob in blobs:
        encode(decode(blob))
    coded = (process_time() - began) / len(blobs) * 1e6
    return folded, coded, states[-1], max(map(len, blobs))


STORIES: Final = {
    "a year, an invoice a month": _monthly,
    "a year, two invoices a month": a_year,
    "thirty invoices open": _busy,
}


def test_transition_speed() -> None:
    lines = [
        f"`make bench-core`: {CLIENTS} clients each; {machine()}.",
        "",
        "| story | transition, µs per event | state read and written, µs | bytes plain | bytes stored | most on the way |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, make in STORIES.items():
        folded, coded, state, largest = _measure(make)
        plain = len(msgspec.msgpack.encode(state))
        lines.append(f"| {name} | {folded:.0f} | {coded:.0f} | {plain:,} | {len(encode(state)):,} | {largest:,} |")
    write_part("core", lines)
    print("\n".join(lines))  # noqa: T201 - a bench speaks
