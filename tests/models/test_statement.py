"""One message about invoices of several currencies: a total for each, never added; credits shown apart."""

from hypothesis import given
from hypothesis import strategies as st

from models.events.union import AnyClientEvent
from models.money import Money
from models.policy.gate import still_allowed
from models.policy.statement import MOST_CURRENCIES
from models.triggers import CancelWhen, Retraction, Trigger
from tests.models.builders import Events, ms
from tests.models.test_journey_laws import Firm
from tests.models.test_outcomes import state_of
from tests.models.test_sudden import ALARM, named, turning_late

CODES = ("EUR", "USD", "GBP", "CHF")


def overdue_in(build: Events, *invoices: tuple[str, int, str]) -> Firm:
    events: list[AnyClientEvent] = [build.profiled(0)]
    for number, (name, minor, code) in enumerate(invoices):
        events.append(build.issued(number / 8, name, minor, due=3, currency=code))
    return Firm().run(events, until_ms=ms(9))


def first_of(firm: Firm) -> Trigger:
    (trigger, *others) = firm.triggers
    assert others == []
    return trigger


def test_invoices_of_two_currencies_make_one_message_with_a_total_for_each() -> None:
    trigger = first_of(overdue_in(Events(), ("I1", 50_000, "EUR"), ("I2", 30_000, "USD"), ("I3", 20_000, "EUR")))
    assert trigger.facts["amount_open"] == Money(70_000, "EUR")
    assert [(total.open, total.invoices) for total in trigger.totals] == [(Money(70_000, "EUR"), 2), (Money(30_000, "USD"), 1)]
    assert {item.invoice_id: item.open for item in trigger.statement} == {
        "I1": Money(50_000, "EUR"),
        "I2": Money(30_000, "USD"),
        "I3": Money(20_000, "EUR"),
    }
    assert "700.00 EUR and 300.00 USD open" in trigger.reasons[0]


def test_a_part_payment_in_the_second_currency_takes_the_message_back_though_the_first_is_as_it_was() -> None:
    build = Events()
    firm = overdue_in(build, ("I1", 50_000, "EUR"), ("I2", 30_000, "USD"))
    trigger = first_of(firm)
    # The worker asks the same question of the same facts: both find out, whoever comes first.
    assert still_allowed(state_of(firm), trigger, now_ms=ms(9)).allowed
    firm.feed(build.paid(9.1, "P1", 10_000, "I2", currency="USD"))
    assert still_allowed(state_of(firm), trigger, now_ms=ms(9.1)).because is CancelWhen.INVOICES_SETTLED
    assert [row.because for row in firm.outputs if isinstance(row, Retraction)] == [CancelWhen.INVOICES_SETTLED]


def test_more_money_open_in_one_currency_does_not_make_up_for_less_in_another() -> None:
    build = Events()
    firm = overdue_in(build, ("I1", 50_000, "EUR"), ("I2", 30_000, "USD"))
    firm.feed(build.amended(9.1, "I1", minor=90_000))
    assert not [row for row in firm.outputs if isinstance(row, Retraction)]
    firm.feed(build.paid(9.2, "P1", 5_000, "I2", currency="USD"))
    assert [row.because for row in firm.outputs if isinstance(row, Retraction)] == [CancelWhen.INVOICES_SETTLED]


def test_credit_is_shown_apart_from_the_lines_it_is_taken_off() -> None:
    build = Events()
    issued = build.issued(0, "I1", 50_000, due=3), build.issued(0.1, "I2", 30_000, due=3)
    credit = build.credit(1, "C1", 10_000, "I1"), build.credit(1.1, "C2", 5_000, None)
    firm = Firm().run([build.profiled(0), *issued, *credit], until_ms=ms(9))
    trigger = first_of(firm)
    assert [item.open.minor for item in trigger.statement] == [50_000, 30_000]
    (total,) = trigger.totals
    assert (total.open.minor, total.credit.minor) == (65_000, 15_000)
    assert trigger.facts["amount_open"] == total.open


def test_one_invoice_with_credit_gets_a_statement_so_that_the_sum_can_be_followed() -> None:
    build = Events()
    firm = Firm().run([build.profiled(0), build.issued(0, "I1", 50_000, due=3), build.credit(1, "C1", 10_000)], until_ms=ms(9))
    trigger = first_of(firm)
    assert [item.open.minor for item in trigger.statement] == [50_000]
    assert [(total.open.minor, total.credit.minor) for total in trigger.totals] == [(40_000, 10_000)]


def test_a_small_invoice_of_another_currency_rides_along_and_alone_it_waits() -> None:
    assert len(first_of(overdue_in(Events(), ("I1", 50_000, "EUR"), ("I2", 300, "USD"))).totals) == 2
    assert overdue_in(Events(), ("I1", 300, "EUR"), ("I2", 300, "USD")).triggers == []


def test_a_fourth_currency_waits_for_the_next_message_and_is_in_it() -> None:
    firm = overdue_in(Events(), *((f"I{place}", 50_000, code) for place, code in enumerate(CODES)))
    first = {total.open.currency for total in first_of(firm).totals}
    firm.wake(ms(60))
    second = {total.open.currency for total in firm.triggers[1].totals}
    assert len(first) == len(second) == MOST_CURRENCIES
    assert first | second == set(CODES)


def test_a_task_to_check_a_contact_stays_right_in_the_worker_while_anything_is_overdue() -> None:
    firm = Firm().run(turning_late(Events()), until_ms=ms(ALARM + 0.9))
    (check,) = named(firm, "contact_check")
    assert check.facts["invoice_count"] == 2
    assert still_allowed(state_of(firm), check, now_ms=ms(ALARM + 0.9)).allowed


amounts = st.tuples(st.integers(10_000, 500_000), st.sampled_from(CODES), st.integers(0, 9_000))


@given(invoices=st.lists(amounts, min_size=1, max_size=16))
def test_every_statement_adds_up_in_every_currency_and_never_across(invoices: list[tuple[int, str, int]]) -> None:
    build = Events()
    events: list[AnyClientEvent] = [build.profiled(0)]
    for place, (minor, code, credit) in enumerate(invoices):
        events.append(build.issued(place / 64, f"I{place}", minor, due=3, currency=code))
        if credit and code == "EUR":
            events.append(build.credit(1 + place / 64, f"C{place}", credit, f"I{place}"))
    for trigger in Firm().run(events, until_ms=ms(40)).triggers:
        counted = [total.open.currency for total in trigger.totals]
        assert len(set(counted)) == len(counted) <= MOST_CURRENCIES
        assert {item.open.currency for item in trigger.statement} <= set(counted)
        for total in trigger.totals:
            mine = [item for item in trigger.statement if item.open.currency == total.open.currency]
            listed = sum(item.open.minor for item in mine)
            assert len(mine) <= total.invoices
            if len(mine) == total.invoices:
                assert listed == total.open.minor + total.credit.minor
            else:
                assert listed < total.open.minor + total.credit.minor
        assert sum(total.invoices for total in trigger.totals) in {0, trigger.facts["invoice_count"]}
