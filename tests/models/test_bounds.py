"""The published size of a state: whatever is told of one client, in whatever number, and whatever channels do not say."""

from collections.abc import Callable
from hashlib import sha256
from itertools import product
from string import ascii_uppercase
from typing import Final, TypeAlias

import pytest
from msgspec.structs import replace

from models.events.union import AnyClientEvent
from models.policy.outcomes import RETRACTED_KEPT
from models.state.client import ClientState, Pending
from models.state.closing import LONG_IDS_BYTES, PARTS, REDUCTIONS, STATE_LIMIT_BYTES
from models.state.codec import encode
from models.state.habits import KEPT, RUNS_KEPT
from models.state.windows import CURRENCIES
from models.triggers import Decision, DecisionOutcome
from tests.models.builders import Events, ms
from tests.models.test_money_laws import accounted
from tests.models.test_segments import monthly
from tests.models.views import final, fold

Attack: TypeAlias = Callable[[Events, int, float, Callable[[str, int], str]], AnyClientEvent]
CODES: Final = tuple(map("".join, product(ascii_uppercase[:9], repeat=3)))


def named(length: int) -> Callable[[str, int], str]:
    """Return names of `length` characters that no compression makes shorter than half."""

    def name(what: str, number: int) -> str:
        return f"{what}{''.join(sha256(f'{what}{number}{part}'.encode()).hexdigest() for part in range(4))}"[:length]

    return name


def everything(build: Events, number: int, day: float, name: Callable[[str, int], str]) -> AnyClientEvent:
    """Return an event of a client with hundreds of open invoices, all late, of whom everything else is told as well."""
    bill, parts = name("I", number - number % 4), [(day + 30 + 30 * part, 1_000) for part in range(36)]
    kinds: tuple[Callable[[], AnyClientEvent], ...] = (
        lambda: build.paid(day, name("P", number % 48), 100, bill),
        lambda: build.disputed(day, name("D", number), bill, minor=100),
        lambda: build.promised(day, name("Y", number), bill, by=day + 60, minor=100),
        lambda: build.credit(day, name("C", number), 10, bill),
        lambda: build.refunded(day, name("R", number), name("P", number % 48), 1),
        lambda: build.planned(day, name("L", number), bill, parts=parts),
        lambda: build.contract(day, name("K", number), renews=day + 100),
        lambda: build.hold(day, until=day + 90, override=name("O", number), journey="gap_checkin"),
        lambda: build.pending(day, name("P", number), 100, bill, expected=day + 90),
        lambda: build.paid(day, name("Q", number), 100, None, currency=CODES[number % len(CODES)]),
    )
    return kinds[number % len(kinds)]() if number % 4 else build.issued(day, bill, 100_000 + number, due=day + 1)


def largest(attack: Attack, count: int, *, per_day: float, length: int = 64) -> tuple[int, ClientState]:
    build, name = Events(), named(length)
    state: ClientState | None = None
    most = 0
    for number in range(count):
        state = fold([attack(build, number, number / per_day, name)], state=state)[0].state
        if number % 50 == 0:
            most = max(most, len(encode(state)))
    assert state is not None
    return max(most, len(encode(state))), state


@pytest.mark.parametrize(("length", "limit"), [(64, STATE_LIMIT_BYTES), (200, LONG_IDS_BYTES)])
def test_who_is_told_everything_of_at_once_stays_within_the_published_bound(length: int, limit: int) -> None:
    most, state = largest(everything, 500, per_day=60, length=length)
    assert limit / 4 < most < limit, "a bound that nothing comes near says nothing"
    assert accounted(state)


def test_a_payment_with_any_number_of_refunds_is_closed_and_its_money_stays_accounted_for() -> None:
    def attack(build: Events, number: int, day: float, name: Callable[[str, int], str]) -> AnyClientEvent:
        return build.refunded(day, name("R", number), "P1", 1) if number else build.paid(day, "P1", 100_000, None)

    most, state = largest(attack, 2 * REDUCTIONS, per_day=40)
    assert most < STATE_LIMIT_BYTES
    assert accounted(state)
    (total,) = state.ledger.totals
    assert (total.received, total.refunded) == (100_000, 2 * REDUCTIONS - 1)


def test_of_a_payment_of_any_number_of_invoices_as_many_parts_as_are_kept_are_taken_and_the_others_refused() -> None:
    def attack(build: Events, number: int, day: float, name: Callable[[str, int], str]) -> AnyClientEvent:
        return build.paid(day, "P1", 5, name("I", number))

    most, state = largest(attack, 2 * PARTS, per_day=40)
    assert most < STATE_LIMIT_BYTES
    assert accounted(state)
    assert ([len(row.parts) for row in state.ledger.payments], state.events) == ([PARTS], PARTS)


def test_of_any_number_of_currencies_all_money_is_kept_and_days_of_the_first_ones() -> None:
    def attack(build: Events, number: int, day: float, name: Callable[[str, int], str]) -> AnyClientEvent:
        return build.paid(day, name("P", number), 100, None, currency=CODES[number % 300])

    most, state = largest(attack, 900, per_day=9)
    assert most < STATE_LIMIT_BYTES
    assert accounted(state)
    assert {row.currency for row in state.rhythm.buckets} == set(CODES[:CURRENCIES])


def test_messages_taken_back_of_which_no_channel_says_anything_are_forgotten_the_oldest_first_and_that_is_said() -> None:
    build = Events()
    known = fold([build.profiled(0)])[-1].state
    bills = tuple(f"I{number}" for number in range(9))
    rows = tuple(
        Pending(f"T{number}", 0, "I0", "step", "email", 0, ms(1), ms(9), (), invoice_ids=bills, retracted=number != 3)
        for number in range(45)
    )
    told = fold([build.called(2)], state=replace(known, care=replace(known.care, pending=rows)))[-1]
    kept = RETRACTED_KEPT // (1 + len(bills))
    assert [row.trigger_id for row in told.state.care.pending] == ["T3", *(f"T{number}" for number in range(45 - kept, 45))]
    said = [row for row in told.outputs if isinstance(row, Decision) and row.outcome is DecisionOutcome.UNACKNOWLEDGED]
    assert [row.trigger_id for row in said] == [f"T{number}" for number in range(45 - kept) if number != 3]


def test_what_is_remembered_of_how_invoices_ended_does_not_grow_with_their_number() -> None:
    few, many = (final(monthly(Events(), count, late=2)).habits for count in (20, 45))
    for habits in (few, many):
        assert (len(habits.endings), len(habits.answers), len(habits.runs)) == (KEPT, KEPT, RUNS_KEPT)
    assert many.known - few.known == 25
