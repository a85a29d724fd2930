"""How many of a client's invoices passed each limit: counted when everybody is answered, and taken back with the invoice."""

from math import exp

from models.events.union import AnyEvent
from models.features import LATE_DAYS, NAMES, Landmark, lateness_features
from models.firm_view import FirmView
from models.learners.trainer import LatenessTrainer
from models.state.answers import Answer
from models.state.codec import decode, encode
from tests.models.builders import Events, ms, tick
from tests.models.examples import example, trained
from tests.models.views import final

NONE = (0, 0, 0, 0)


def test_each_limit_is_counted_when_it_has_passed_for_everybody() -> None:
    build = Events()
    log: list[AnyEvent] = [build.issued(0, "I1", 1_000, due=10), build.issued(0, "I2", 1_000, due=10)]
    log.append(build.paid(28, "P1", 1_000, "I1"))
    state = final(log).habits
    assert (state.known, state.late, state.beyond) == (2, 2, (2, 2, 0, 0))
    state = final([*log, tick(41)]).habits
    assert (state.known, state.late, state.beyond) == (2, 2, (2, 2, 2, 1))
    assert {row.longer for row in state.answers} == {(True, False), (True, True)}


def test_a_voided_invoice_is_no_longer_one_of_those_that_passed_a_limit() -> None:
    build = Events()
    state = final([build.issued(0, "I1", due=10), tick(45), build.voided(46, "I1")])
    assert (state.habits.known, state.habits.beyond) == (0, NONE)


def test_a_settlement_reported_later_than_its_day_corrects_every_limit_in_its_place() -> None:
    build = Events()
    log: list[AnyEvent] = [build.issued(0, "I1", 1_000, due=10), build.issued(0, "I2", 1_000, due=10), tick(45)]
    assert final(log).habits.beyond == (2, 2, 2, 2)
    first, second = final(log).habits.answers
    found = final([*log, build.paid(18, "P1", 1_000, "I1", received=50)]).habits
    assert (found.known, found.late, found.beyond) == (2, 2, (2, 1, 2, 1))
    told = {row.mark: row.longer for row in found.answers}
    assert [told[row.mark] for row in (first, second)] == [(False, False), (True, True)]


def test_an_adopted_invoice_counts_for_every_limit_at_once_and_an_overdue_one_for_those_it_has_passed() -> None:
    build = Events()
    paid: list[AnyEvent] = [
        build.issued(0, "I1", 1_000, due=5, received=400),
        build.paid(27, "P1", 1_000, "I1", received=400),
    ]
    assert final(paid).habits.beyond == (1, 1, 1, 0)
    entered = final([build.issued(0, "I1", 1_000, due=5, received=25)]).habits
    assert (entered.known, entered.late, entered.beyond) == (1, 1, (1, 1, 0, 0))


def test_what_passed_a_limit_survives_storage_and_an_answer_of_an_older_release_has_none() -> None:
    build = Events()
    state = final([build.issued(0, "I1", due=10), tick(45)])
    assert decode(encode(state)).habits == state.habits
    assert Answer(1, late=True).longer == ()


def test_the_share_beyond_a_limit_is_drawn_to_the_firms_by_three_invoices() -> None:
    build = Events()
    state = final([build.issued(0, "I1", due=10), tick(45), build.issued(46, "I2", due=60)])
    row = next(row for row in state.ledger.invoices if row.invoice_id == "I2")
    firm = FirmView(late_share=0.4, late_beyond=(1 / 3, 0.2))
    values = lateness_features(state, row, now_ms=ms(46), seen_ms=ms(46), landmark=Landmark.ISSUE, firm=firm)
    found = dict(zip(NAMES, values, strict=True))
    odds = [round(exp(found[f"passed_{days}"]), 4) for days in LATE_DAYS]
    assert odds == [round(2.2 / 1.8, 4), 1.0, round(1.6 / 2.4, 4)]


def test_the_firm_counts_what_passed_each_limit_of_all_clients() -> None:
    trainer = trained(20, over_days=15)
    trainer.take(example(20))
    trainer.turn(trainer.day + 1)
    late = sum(example(number, over_days=15).late for number in range(20))
    assert trainer.publish().firm.late_beyond == ((late + 1) / 24, 1 / 4)
    assert LatenessTrainer.restore(trainer.save()).publish().firm.late_beyond == ((late + 1) / 24, 1 / 4)
