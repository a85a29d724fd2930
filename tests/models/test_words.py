"""What became of promises to pay: remembered of a client, counted from when it is known, taken back with what it hangs on."""

from collections.abc import Callable

import pytest

from models.events.delays import DisputeOutcome
from models.events.union import AnyClientEvent, AnyEvent
from models.features import NAMES, Landmark, lateness_features, unpack
from models.firm_view import NEW_FIRM
from models.learners.explanation import explain
from models.learners.lateness import Compiled
from models.state.client import ClientState
from models.state.codec import decode, encode
from models.state.habits import questions_of
from models.state.joining import joined
from models.state.words import WORDS, Word, counted, trust, with_word
from tests.models.builders import Events, ms, tick
from tests.models.views import final

OF_PROMISES = ("promises_kept", "promised_now", "promised_days", "promise_trusted")


def told(log: list[AnyEvent]) -> list[int]:
    """Return what the promises that were judged count for after a log."""
    return [word.says for word in final(log).habits.words]


def promised(build: Events) -> list[AnyEvent]:
    """An invoice due on day 10, promised by day 20, a Sunday: its two bank days end on Tuesday, day 22."""
    return [build.issued(0, due=10), build.promised(12, by=20)]


def features(state: ClientState, invoice: str, day: float, *, landmark: Landmark = Landmark.DUE) -> dict[str, float]:
    row = next(row for row in state.ledger.invoices if row.invoice_id == invoice)
    found = lateness_features(state, row, now_ms=ms(day), seen_ms=row.seen_ms, landmark=landmark, firm=NEW_FIRM)
    return {name: value for name, value in zip(NAMES, found, strict=True) if name in OF_PROMISES}


def test_a_promise_counts_from_when_its_bank_days_have_passed_whether_it_is_kept_early_or_not_at_all() -> None:
    build = Events()
    kept: list[AnyEvent] = [*promised(build), build.paid(13)]
    for day, said in ((21.9, []), (22.1, [1])):
        assert told([*kept, tick(day)]) == said
        assert told([*promised(Events()), tick(day)]) == [-row for row in said]


def test_a_part_that_was_promised_and_came_is_a_promise_kept() -> None:
    build = Events()
    log: list[AnyEvent] = [build.issued(0, due=10), build.promised(12, by=20, minor=30_000)]
    assert told([*log, build.paid(20, minor=30_000), tick(30)]) == [1]
    assert told([*log, build.paid(20, minor=29_000), tick(30)]) == [-1]


def test_a_promise_that_names_no_invoice_is_kept_by_what_came_since() -> None:
    build = Events()
    log: list[AnyEvent] = [build.issued(0, due=10), build.promised(12, invoice=None, by=20)]
    assert told([*log, build.paid(19), tick(30)]) == [1]
    assert told([*log, tick(30)]) == [-1]
    assert told([*log, build.voided(15), tick(30)]) == []


NOTHING: dict[str, Callable[[Events], AnyClientEvent]] = {
    "disputed": lambda build: build.disputed(19),
    "promised anew": lambda build: build.promised(19, "Y2", by=60),
    "in a plan": lambda build: build.planned(19, "L1", parts=[(40, 50_000), (60, 50_000)]),
    "money under way": lambda build: build.pending(21, expected=22),
    "given up": lambda build: build.written_off(19),
    "voided": lambda build: build.voided(19),
    "credited": lambda build: build.credit(19, minor=100_000),
    "withdrawn": lambda build: build.promise_withdrawn(19),
}


@pytest.mark.parametrize("news", NOTHING)
def test_a_promise_whose_place_was_taken_says_nothing_of_the_client(news: str) -> None:
    build = Events()
    assert told([*promised(build), NOTHING[news](build), tick(24)]) == []


BACK: dict[str, tuple[bool, int, list[Callable[[Events], AnyClientEvent]]]] = {
    "withdrawn": (False, 0, [lambda build: build.promise_withdrawn(30)]),
    "made anew": (False, 0, [lambda build: build.promised(30, by=60)]),
    "voided": (False, 0, [lambda build: build.voided(30)]),
    "issued again": (False, -1, [lambda build: build.voided(30), lambda build: build.issued(31, due=10)]),
    "credited": (False, 0, [lambda build: build.credit(30, minor=100_000)]),
    "credit voided": (
        False,
        -1,
        [lambda build: build.credit(30, minor=100_000), lambda build: build.credit_voided(31)],
    ),
    "given up": (False, -1, [lambda build: build.written_off(30)]),
    "paid too late": (False, -1, [lambda build: build.paid(30)]),
    "paid in time, told later": (False, 1, [lambda build: build.paid(20, received=30)]),
    "and that money bounced": (False, -1, [lambda build: build.paid(20, received=30), lambda build: build.failed(31)]),
    "charged back": (True, 0, [lambda build: build.charged_back(30)]),
    "chargeback reversed": (True, 1, [lambda build: build.charged_back(30), lambda build: build.chargeback_reversed(31)]),
    "refunded by the firm": (True, 1, [lambda build: build.refunded(30)]),
    "bounced": (True, 0, [lambda build: build.failed(30)]),
}


@pytest.mark.parametrize("news", BACK)
def test_what_a_promise_hangs_on_takes_back_what_it_says_and_gives_it_again(news: str) -> None:
    paid, said, events = BACK[news]
    build = Events()
    log = [*promised(build), *([build.paid(19)] if paid else []), tick(24)]
    assert told(log) == [1 if paid else -1]
    assert told([*log, *(event(build) for event in events)]) == [said]


def test_a_promise_made_anew_is_judged_anew() -> None:
    build = Events()
    log: list[AnyEvent] = [*promised(build), tick(24), build.promised(30, by=40), build.paid(39), tick(50)]
    assert told(log) == [1]


def test_what_was_promised_is_remembered_when_its_rows_are_gone_and_never_more_than_a_dozen() -> None:
    build = Events()
    log: list[AnyEvent] = [*promised(build), build.paid(19), tick(24)]
    state = final([*log, *(build.called(day) for day in range(30, 200, 7))])
    assert not state.ledger.promises
    assert [word.says for word in state.habits.words] == [1]
    words: tuple[Word, ...] = ()
    for number in range(3 * WORDS):
        words = with_word(words, number, kept=True)
    assert [word.mark for word in words] == list(range(2 * WORDS, 3 * WORDS))


def test_words_survive_storage_and_belong_to_both_when_two_clients_are_one() -> None:
    build, other = Events(), Events("client-2")
    one = final([*promised(build), build.paid(19), tick(24)])
    two = final([other.issued(0, "I9", due=10), other.promised(12, "Y9", "I9", by=20), other.called(24)])
    assert decode(encode(one)).habits == one.habits
    assert sorted(word.says for word in joined(one, two).habits.words) == [-1, 1]
    assert [word.says for word in joined(one, one).habits.words] == [1]


def test_trust_is_drawn_to_nothing_by_two_promises() -> None:
    words = (Word(1, kept=True, says=1), Word(2, kept=True, says=1), Word(3, kept=False, says=-1), Word(4, kept=False, says=0))
    assert counted(words) == (2, 3)
    assert trust(words) == pytest.approx(1 / 5)
    assert trust(()) == 0


def test_a_question_knows_the_promised_day_and_how_promises_were_kept() -> None:
    build = Events()
    log: list[AnyEvent] = [*promised(build), build.paid(19), tick(24), build.issued(40, "I2", due=60)]
    state = final([*log, build.promised(50, "Y2", "I2", by=72.3)])
    kept = 1 / 3
    assert features(state, "I2", 60) == pytest.approx(
        {"promises_kept": kept, "promised_now": 1, "promised_days": 12 / 15, "promise_trusted": kept}
    )
    held = {"promised_now": 0.0, "promised_days": 0.0, "promise_trusted": 0.0}
    assert features(state, "I2", 73) == pytest.approx({"promises_kept": kept, **held})
    broken = final([*log, build.promised(50, "Y2", "I2", by=62), tick(70)])
    assert features(broken, "I2", 70) == pytest.approx({"promises_kept": 0, **held})
    assert features(final([*log, tick(70)]), "I2", 70) == pytest.approx({"promises_kept": kept, **held})


def test_of_two_promises_the_later_word_says_the_day_and_one_that_was_withdrawn_says_none() -> None:
    build = Events()
    log: list[AnyEvent] = [build.issued(0, due=10), build.promised(3, "Y1", by=40), build.promised(4, "Y2", None, by=13)]
    assert features(final(log), "I1", 10)["promised_days"] == pytest.approx(3 / 15)
    assert features(final([*log, build.promise_withdrawn(5, "Y2")]), "I1", 10)["promised_days"] == pytest.approx(30 / 15)
    assert features(final([*log, build.promised(6, by=500)]), "I1", 10)["promised_days"] == 4


def test_no_question_sees_a_promise_or_its_end_before_it_is_known() -> None:
    """Questions are put on days 3, 7, 10 and 17; the promise is told on day 8, of day 2, and judged on day 16."""
    build = Events()
    log: list[AnyEvent] = [build.issued(0, due=10), build.promised(2, by=14, received=8), tick(17.5)]
    (watch,) = final(log).habits.watches
    asked = [dict(zip(NAMES, unpack(row.features), strict=True)) for row in questions_of(watch)]
    assert [row["promised_now"] for row in asked] == [0, 0, 0, 1, 0]
    assert [row["promises_kept"] for row in asked] == pytest.approx([0, 0, 0, 0, -1 / 3], abs=1e-3)
    assert [round(row["promised_days"] * 15) for row in asked] == [0, 0, 0, 4, 0]


def test_a_reason_says_how_many_promises_were_kept() -> None:
    build = Events()
    log: list[AnyEvent] = [*promised(build), tick(24), build.issued(40, "I2", due=60), build.promised(50, "Y2", "I2", by=62)]
    state = final([*log, tick(66)])
    place = NAMES.index("promises_kept")
    line = Compiled(0.0, tuple(-4.0 * (number == place) for number in range(len(NAMES))), (), 1.0, 0)
    row = next(row for row in state.ledger.invoices if row.invoice_id == "I2")
    values = lateness_features(state, row, now_ms=ms(66), seen_ms=ms(40), landmark=Landmark.DUE, firm=NEW_FIRM)
    (reason,) = explain(line, tuple(values), state)
    assert reason == "disputes, declines and promises (0 of 2 promises kept) raises it from 50 % to 88 %".replace(" %", "%")


def test_a_dispute_that_ended_before_the_promised_day_excuses_nothing() -> None:
    build = Events()
    log = [*promised(build), build.disputed(13), build.dispute_closed(15, outcome=DisputeOutcome.WON), tick(24)]
    assert told(log) == [-1]
