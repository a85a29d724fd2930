"""Months of senseless events: whatever happens, sums hold, ids are unique, and waking a client ends."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from models.events.signals import DeliveryOutcome, OverrideEffect, Purpose
from models.events.union import AnyClientEvent
from models.state.closing import STATE_LIMIT_BYTES
from models.state.codec import decode, encode
from tests.models.builders import Events, ms, tick_at
from tests.models.test_journey_laws import Firm
from tests.models.test_money_laws import accounted

AMOUNTS = (500, 10_000, 100_000, 1_000_000)
CURRENCIES = ("EUR", "EUR", "USD")


class Storm:
    """Draws events about ids it has used before, some of them late, some about things that never were."""

    def __init__(self, dice: Random) -> None:
        self.dice = dice
        self.build = Events()
        self.invoices = ["never issued"]
        self.payments = ["never paid"]
        self.firm = Firm()
        self.day = 0.0

    def blow(self, number: int) -> AnyClientEvent:
        dice, build = self.dice, self.build
        self.day += dice.random() * dice.choice((0.2, 3, 20))
        late = max(0.0, self.day - dice.choice((0, 0, 0, dice.random() * 6)))
        family = dice.choice((self._billing, self._billing, self._money, self._money, self._claims, self._people))
        event = family(number, late)
        if self.firm.triggers and dice.random() < 0.1:
            event = build.reported(self.day, dice.choice(self.firm.triggers).trigger_id, dice.choice(list(DeliveryOutcome)))
        return event

    def _billing(self, number: int, at: float) -> AnyClientEvent:
        dice, build, invoice, amount = self.dice, self.build, self.dice.choice(self.invoices), self.dice.choice(AMOUNTS)
        choice = dice.randrange(8)
        match choice:
            case 0:
                return dice.choice((build.voided, build.written_off))(at, invoice, received=self.day)
            case 1:
                return build.credit(at, f"C{number}", amount, dice.choice((invoice, None)), received=self.day)
            case 2:
                return build.credit_voided(at, f"C{dice.randrange(number + 1)}", received=self.day)
            case 3:
                return build.amended(at, invoice, minor=amount, due=self.day + dice.randrange(20), received=self.day)
            case _:
                self.invoices.append(f"I{number}")
                due = at + dice.choice((-40, 0, 7, 30))
                return build.issued(at, f"I{number}", amount, due=due, currency=dice.choice(CURRENCIES), received=self.day)

    def _money(self, number: int, at: float) -> AnyClientEvent:
        dice, build, amount = self.dice, self.build, self.dice.choice(AMOUNTS)
        invoice, payment = dice.choice((dice.choice(self.invoices), None)), dice.choice(self.payments)
        match dice.randrange(9):
            case 0:
                return build.refunded(at, f"R{number}", payment, amount, received=self.day)
            case 1:
                return build.charged_back(at, f"B{number % 9}", payment, amount, received=self.day)
            case 2:
                return build.chargeback_reversed(at, f"B{number % 9}", payment, amount, received=self.day)
            case 3:
                return build.pending(at, dice.choice((payment, f"P{number}")), amount, invoice, received=self.day)
            case 4:
                return build.failed(at, payment, amount, retry=dice.choice((None, self.day + 2)), received=self.day)
            case _:
                self.payments.append(f"P{number}")
                return build.paid(at, f"P{number}", amount, invoice, currency=dice.choice(CURRENCIES), received=self.day)

    def _claims(self, number: int, at: float) -> AnyClientEvent:
        dice, build, invoice = self.dice, self.build, self.dice.choice((self.dice.choice(self.invoices), None))
        match dice.randrange(5):
            case 0:
                return build.disputed(at, f"D{number % 4}", invoice, received=self.day)
            case 1:
                return build.dispute_closed(at, f"D{number % 4}", received=self.day)
            case 2:
                minor = dice.choice((None, dice.choice(AMOUNTS)))
                return build.promised(at, f"Y{number}", invoice, by=at + dice.randint(-3, 30), minor=minor, received=self.day)
            case 3:
                return build.promise_withdrawn(at, f"Y{dice.randrange(number + 1)}", received=self.day)
            case _:
                return build.delay(at, dice.choice(self.invoices), expected=self.day + dice.randrange(50), received=self.day)

    def _people(self, number: int, _at: float) -> AnyClientEvent:  # noqa: PLR0911 - one return per kind of event
        dice, build, day = self.dice, self.build, self.day
        match dice.randrange(7):
            case 0:
                return build.hold(day, until=day + dice.randrange(20), override=f"O{number}")
            case 1:
                return build.contract(day, f"K{number % 3}", renews=dice.choice((None, day + dice.randint(1, 60))))
            case 2:
                return build.profiled(day, timezone=dice.choice(("Asia/Tokyo", "no zone", "America/New_York")))
            case 3:
                return build.override(day, OverrideEffect.RELEASE, until=day + 20, override=f"O{number}")
            case 4:
                return build.override(day, OverrideEffect.SEGMENT, until=day + 20, override=f"O{number}", value="slow")
            case 5:
                return build.consent(day, dice.choice(list(Purpose)), granted=dice.random() < 0.6)
            case _:
                return build.called(day)


def test_a_message_that_an_answer_brings_to_the_moment_of_its_question_is_sent_at_that_moment() -> None:
    storm = Storm(Random(2842))  # noqa: S311 - a seeded storm, not a secret
    for number in range(40):
        event = storm.blow(number)
        while (due := storm.firm.due) is not None and due <= event.received_ms:
            storm.firm.feed(tick_at(due))
            assert storm.firm.due is None or storm.firm.due > due
        storm.firm.feed(event)


@given(st.randoms(use_true_random=False), st.integers(20, 120))
@settings(max_examples=25, deadline=None)
def test_sums_hold_ids_are_unique_and_every_wake_up_moves_on(dice: Random, length: int) -> None:
    storm = Storm(Random(dice.getrandbits(64)))  # noqa: S311 - a seeded storm, not a secret
    firm = storm.firm
    for number in range(length):
        event = storm.blow(number)
        while firm.due is not None and firm.due <= event.received_ms:
            due = firm.due
            firm.feed(tick_at(due))
            assert firm.due is None or firm.due > due
        firm.feed(event)
        assert firm.state is not None
        assert accounted(firm.state)
    firm.wake(ms(storm.day + 400))
    assert firm.state is not None
    assert len(encode(firm.state)) < STATE_LIMIT_BYTES
    assert decode(encode(firm.state)) == firm.state
    for ids in (
        [trigger.trigger_id for trigger in firm.triggers],
        [output.decision_id for output in firm.outputs if output.kind == "decision"],
    ):
        assert len(set(ids)) == len(ids)
