"""Every feature names the clock it is read by: what moves as time alone passes says so, and nothing else moves."""

from functools import lru_cache

from msgspec.structs import replace

from models.events.union import AnyClientEvent
from models.features import FEATURES, ClockUsed, Landmark, lateness_features
from models.firm_view import FirmView
from models.patterns import PATTERNS, PatternRules, measure
from models.renewal_features import NEW_RENEWAL_FIRM, RENEWAL_FEATURES, renewal_features
from models.state.client import ClientState
from models.workdays import DAY_MS
from tests.models.builders import Events, ms
from tests.models.examples import noise
from tests.models.test_renewals import agreed
from tests.models.views import final

ASKED = "X"
STORIES = 12
LATER = (2, 9, 40, 200, 400)
COLUMNS = {
    f"{table}: {row.name}": row
    for table, known in (("lateness", FEATURES), ("renewal", RENEWAL_FEATURES), ("pattern", PATTERNS))
    for row in known
}
AT_ISSUE = {"lateness: to_go", "lateness: past_due", "lateness: entered_late"}
"""Told at issue only, as it was then."""


def story(number: int) -> tuple[ClientState, int]:
    """Return a client with bills paid around their day, some never, a promise kept, a dispute, a contract, and the day."""
    build, day = Events(), 0
    events: list[AnyClientEvent] = [agreed(0, 900), agreed(0, 800, contract="K2")]
    for bill in range(9):
        due = day + 14
        events.append(build.issued(day, f"I{bill}", 100_000 + 1_000 * bill, due=due))
        if noise("paid", number, bill) < 0.8:
            events.append(build.paid(due + 20 * noise("delay", number, bill) - 5, f"P{bill}", 100_000 + 1_000 * bill, f"I{bill}"))
        day += 5 + round(20 * noise("gap", number, bill))
    events += [build.promised(20, "Y0", "I1", by=21), build.disputed(day - 30, "D0", "I5"), build.failed(day, "F0", invoice="I8")]
    asked = build.issued(day, ASKED, 150_000, due=day + 20)
    word = build.disputed(day + 1, "D", ASKED) if number % 2 else build.promised(day + 1, "Y", ASKED, by=day + 15)
    told = sorted([*events, asked, word], key=lambda event: event.received_ms)
    return final([event for event in told if event.received_ms <= ms(day + 2)]), day + 2


def rows(state: ClientState, at_ms: int) -> dict[str, float]:
    """Return the features of all tables at a moment, nothing having happened since."""
    firm = FirmView(late_share=0.3, recent_share=0.5, mean_days=6.0, first_day=ms(0) // DAY_MS - 900)
    (invoice,) = (row for row in state.ledger.invoices if row.invoice_id == ASKED)
    seen_ms = invoice.issued_ms
    lateness = lateness_features(state, invoice, now_ms=at_ms, seen_ms=seen_ms, landmark=Landmark.DUE, firm=firm)
    period, contract = state.renewals.periods[0], state.person.contracts[0]
    renewal = renewal_features(state, period, contract, now_ms=at_ms, firm=NEW_RENEWAL_FIRM)
    seen = measure(replace(state, now_ms=at_ms), PatternRules()).row()
    return dict(zip(COLUMNS, (*lateness, *renewal, *seen), strict=True))


@lru_cache
def moving() -> frozenset[str]:
    """Return the features that another moment alone gives another value, in any of the stories."""
    found = set[str]()
    for number in range(STORIES):
        state, day = story(number)
        before = rows(state, ms(day))
        for later in LATER:
            found |= {name for name, value in rows(state, ms(day + later)).items() if value != before[name]}
    return frozenset(found)


def test_what_moves_as_time_alone_passes_is_read_by_the_clock_of_arrival_and_nothing_else_is() -> None:
    by_clock = {name for name, row in COLUMNS.items() if row.clock is ClockUsed.RECEIVED}
    assert moving() == by_clock - AT_ISSUE


def test_what_learners_of_renewals_see_serves_no_collection_and_what_those_of_lateness_see_no_sale() -> None:
    assert {row.purpose for row in FEATURES} == {"servicing"}
    assert {row.purpose for row in RENEWAL_FEATURES} == {"relationship"}
