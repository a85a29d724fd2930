"""`python -m tests.models.state_dictionary`: train the dictionary of the state codec anew from the stories below.

What is stored stays readable only with the dictionary it was written with: after a release, a new one needs a new version byte
and a reader of the old. So this is for a change of the state's form before a release, not for every change of the core.
"""

from base64 import b85encode
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

import msgspec
import zstandard

from models.events.union import AnyClientEvent
from models.learners.baseline import BASELINE
from models.money import Money
from models.policy.policy import DEFAULT_POLICY
from models.state import codec
from models.transition import transition
from tests.models.builders import Events

PLACE: Final = Path(codec.__file__).with_name("dictionary.py")
_BYTES: Final = 8192
_CLIENTS: Final = 240
_WIDE: Final = 120
_HEAD: Final = '''"""What typical states have in common, for their codec. Written by `python -m tests.models.state_dictionary`."""

from base64 import b85decode
from typing import Final

TYPICAL: Final = b85decode(
'''


def lived(seed: int) -> list[AnyClientEvent]:
    """Return up to a year of one client: how many invoices and how late they are paid depends on the seed."""
    dice = Random(seed)  # noqa: S311 - a seeded history, no secret
    build, currency = Events(f"client-{seed}"), dice.choice(("EUR", "EUR", "USD", "GBP"))
    story: list[AnyClientEvent] = [build.profiled(0)]
    if dice.random() < 0.7:
        story.append(build.contract(0, renews=dice.randrange(60, 400)))
    day, end, gap, delay = 0.0, dice.randrange(20, 400), dice.choice((7, 15, 30, 30, 45)), dice.choice((12, 25, 40))
    while day < end:
        name, minor = f"{dice.choice(('inv-', 'INV-2024-', 'in_'))}{dice.randrange(10**6)}", dice.randrange(10_000, 900_000)
        story.append(build.issued(day, name, minor))
        if dice.random() < 0.95:
            story.append(build.paid(day + max(1.0, dice.gauss(delay, 8)), f"pay-{name}", minor, name))
        if dice.random() < 0.05:
            story.append(build.disputed(day + 5, f"D-{name}", name, minor=minor // 4))
        if dice.random() < 0.05:
            story.append(build.failed(day + 3, f"F-{name}"))
        day += max(1.0, dice.gauss(gap, gap / 4))
    return sorted((_priced(event, currency) for event in story), key=lambda event: event.received_ms)


def _priced(event: AnyClientEvent, currency: str) -> AnyClientEvent:
    amount = getattr(event, "amount", None)
    return event.model_copy(update={"amount": Money(amount.minor, currency)}) if isinstance(amount, Money) else event


def states() -> Iterator[bytes]:
    """Yield plain states: of each client the last, and one on the way."""
    for seed in range(_CLIENTS):
        state = None
        story = lived(seed)
        for place, event in enumerate(story):
            state = transition(state, event, policy=DEFAULT_POLICY, scorer=BASELINE).state
            if place in {len(story) // 2, len(story) - 1}:
                yield msgspec.msgpack.encode(state)


def main() -> None:
    """Write the module."""
    known = zstandard.train_dictionary(_BYTES, list(states())).as_bytes()
    text = b85encode(known).decode()  # an alphabet without quotes and backslashes
    lines = "\n".join(f'    b"{text[start : start + _WIDE]}"' for start in range(0, len(text), _WIDE))
    PLACE.write_text(f"{_HEAD}{lines}\n)\n", encoding="utf-8")


if __name__ == "__main__":
    main()
