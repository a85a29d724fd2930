"""Promises to pay: kept or not by the money they were about, and pausing only that."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from models.events.union import AnyClientEvent
from models.policy.foresight import has_habit
from models.policy.gate import still_allowed
from models.policy.policy import DEFAULT_POLICY
from models.triggers import CancelWhen, Decision, Retraction, Trigger
from tests.models.builders import Events, eur, ms
from tests.models.test_journey_laws import Firm
from tests.models.test_segments import monthly


def _late(build: Events) -> list[AnyClientEvent]:
    return [build.profiled(0), build.issued(1, "I1", 100_000, due=10)]


def _unkept(firm: Firm) -> list[str]:
    return [row.reasons[0] for row in firm.outputs if isinstance(row, Decision) and "was not kept" in row.reasons[0]]


def _asked(firm: Firm) -> list[Trigger]:
    return [trigger for trigger in firm.triggers if trigger.channel == "email" and trigger.invoice_ids]


@pytest.mark.parametrize("invoice", ["I1", None])
@pytest.mark.parametrize(("minor", "kept"), [(20_000, True), (30_000, True), (19_999, False)])
def test_a_promise_of_a_part_is_kept_when_the_part_has_come_although_the_invoice_is_open(
    invoice: str | None, minor: int, *, kept: bool
) -> None:
    build = Events()
    log = [*_late(build), build.paid(11, "P0", 5_000, "I1"), build.promised(12, "Y1", invoice, by=20, minor=20_000)]
    firm = Firm().run([*log, build.paid(19, "P1", minor, invoice)], until_ms=ms(45))
    assert (not _unkept(firm)) is kept
    asked = _asked(firm)[-1]
    assert any("the promise for" in reason for reason in asked.reasons) is not kept  # as a sign that cash is short


def test_who_keeps_a_part_of_a_debt_promised_still_pays_as_always() -> None:
    build = Events()
    log = [build.profiled(0), *monthly(build, 6, late=2), build.issued(200, "I1", 100_000, due=210)]
    log += [build.promised(205, "Y1", "I1", by=206, minor=20_000), build.paid(206, "P1", 20_000, "I1")]
    firm = Firm().run(log, until_ms=ms(212))
    assert firm.state is not None
    assert has_habit(firm.state)


NEWS: dict[str, Callable[[Events], AnyClientEvent]] = {
    "promised anew": lambda build: build.promised(19, "Y2", "I1", by=40),
    "on its way": lambda build: build.pending(19, "P1", 100_000, "I1", expected=23),
    "disputed": lambda build: build.disputed(19, "D1", "I1"),
    "paid without a number": lambda build: build.paid(19, "P1", 100_000, None),
}


@pytest.mark.parametrize("news", NEWS)
def test_a_promise_that_something_else_has_taken_the_place_of_is_not_broken(news: str) -> None:
    build = Events()
    firm = Firm().run([*_late(build), build.promised(12, "Y1", "I1", by=20), NEWS[news](build)], until_ms=ms(24))
    assert not _unkept(firm)
    assert not _asked(firm)


def _on(day: datetime) -> float:
    return (day - datetime(2024, 1, 8, 9, tzinfo=UTC)) / timedelta(days=1)


EASTER = {"DE": frozenset({datetime(2024, 3, 29, tzinfo=UTC).date(), datetime(2024, 4, 1, tzinfo=UTC).date()})}


@pytest.mark.parametrize("claim", ["promise", "debit"])
@pytest.mark.parametrize(
    ("said", "promise_until", "debit_until"),
    [
        (datetime(2024, 1, 26, 12, tzinfo=UTC), "2024-01-30", "2024-01-31"),  # a Friday
        (datetime(2024, 1, 29, 12, tzinfo=UTC), "2024-01-31", "2024-02-01"),
        (datetime(2024, 3, 28, 12, tzinfo=UTC), "2024-04-03", "2024-04-04"),  # the Thursday before Easter
    ],
)
def test_money_that_comes_by_bank_has_its_bank_days_in_the_clients_country_before_it_is_asked_for(
    said: datetime, promise_until: str, debit_until: str, claim: str
) -> None:
    build, policy = Events(), replace(DEFAULT_POLICY, holidays=EASTER)
    log: list[AnyClientEvent] = [build.profiled(0).model_copy(update={"country": "DE"}), build.issued(1, "I1", due=10)]
    if claim == "promise":
        log.append(build.promised(12, "Y1", "I1", by=_on(said)))
    else:
        log.append(build.pending(12, "P1", 100_000, "I1", expected=_on(said)))
    firm = Firm(policy=policy).run(log, until_ms=ms(_on(said) + 20))
    first = _asked(firm)[0].not_before
    until = datetime.fromisoformat(promise_until if claim == "promise" else debit_until).replace(hour=12, tzinfo=UTC)
    assert first == until
    assert [row.decided_at for row in firm.outputs if isinstance(row, Decision) and "was not kept" in row.reasons[0]] == (
        [until] if claim == "promise" else []
    )


def test_a_promise_of_a_part_pauses_that_part_and_the_rest_is_asked_for_meanwhile() -> None:
    build = Events()
    firm = Firm().run([*_late(build), build.promised(12, "Y1", "I1", by=60, minor=20_000)], until_ms=ms(50))
    assert [(row.step, row.facts["amount_open"]) for row in _asked(firm)] == [
        ("explain_terms", eur(80_000)),
        ("offer_help", eur(80_000)),
    ]


def test_a_part_that_is_promised_takes_back_the_message_that_asks_for_all_and_the_rest_is_asked_for_the_day_after() -> None:
    build = Events()
    firm = Firm().run(_late(build), until_ms=ms(14.02))
    (whole,) = _asked(firm)
    firm.feed(build.promised(14.03, "Y1", "I1", by=60, minor=20_000))
    assert [(row.trigger_id, row.because) for row in firm.outputs if isinstance(row, Retraction)] == [
        (whole.trigger_id, CancelWhen.INVOICES_PROMISED)
    ]
    firm.wake(ms(16))
    rest = _asked(firm)[-1]
    assert (rest.step, rest.facts["amount_open"]) == (whole.step, eur(80_000))
    assert firm.state is not None
    assert still_allowed(firm.state, rest, now_ms=ms(16)).allowed


def test_a_promise_that_names_no_invoice_pauses_the_oldest_as_far_as_it_goes() -> None:
    build = Events()
    log = [*_late(build), build.issued(1.1, "I2", 100_000, due=10.1), build.promised(12, "Y1", None, by=60, minor=120_000)]
    (asked,) = _asked(Firm().run(log, until_ms=ms(20)))
    assert (asked.invoice_ids, asked.facts["amount_open"]) == (("I2",), eur(80_000))
