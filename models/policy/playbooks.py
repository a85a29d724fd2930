"""When a playbook begins: a pattern is complete, a season has ended, a contract renews when many do. Pure.

What is sent then stands in the policy's tables. Each occurrence has one anchor, so it makes one run however often it is seen;
none begins within the cooldown of the one before.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

from models.events.envelope import ClientEvent
from models.events.invoices import InvoiceIssued
from models.events.payments import PaymentFailed, PaymentReceived
from models.events.union import AnyClientEvent
from models.patterns import Pattern, find_pattern, widening_ms
from models.policy.gate import pattern_anchor
from models.policy.journeys import PatternEntry, Playbook, Season, SurgeEntry
from models.policy.material import owes
from models.policy.policy import Policy
from models.policy.turn import Turn, find_run
from models.state.client import ClientState, Run, Timer, TimerKind, place_of
from models.state.runs import runs_of
from models.state.windows import day_of, tail_before
from models.workdays import DAY_MS

SEASON: Final = "season"
_EPOCH_DAY: Final = date(1970, 1, 1)
_YEAR_DAYS: Final = 365
_LEAST_SPAN: Final = 90
_SURGE: Final = 2
_WOKEN_BY: Final[Mapping[Pattern, type[ClientEvent]]] = {
    Pattern.SMALL_BURST: PaymentReceived,
    Pattern.METHOD_SHIFT: PaymentReceived,
    Pattern.DECLINE_STREAK: PaymentFailed,
    Pattern.MICRO_INVOICES: InvoiceIssued,
    Pattern.BUNDLED_INVOICES: InvoiceIssued,
}
"""The event that can complete a pattern; a widening gap is completed by time alone."""
_WOKEN: Final = {kind: frozenset(one for one, by in _WOKEN_BY.items() if by is kind) for kind in set(_WOKEN_BY.values())}


def enter_playbooks(turn: Turn, event: AnyClientEvent) -> None:
    """Begin the playbooks whose pattern `event` has completed."""
    woken = _WOKEN.get(type(event))
    if woken is None:
        return
    for playbook in turn.policy.journeys.playbooks:
        entry = playbook.entry
        if not isinstance(entry, PatternEntry) or entry.pattern not in woken or not playbook.enabled:
            continue
        state, rules = turn.state, turn.policy.patterns
        if _too_few(state, turn.policy, entry.pattern) or is_cooling(state, playbook):
            continue
        if find_pattern(state, entry.pattern, rules) is not None:
            _enter(turn, playbook, pattern_anchor(entry.pattern, day_of(state.now_ms)))


def playbook_entry_timers(state: ClientState, policy: Policy) -> list[Timer]:
    """Return when a gap will have become wide, and when a season ends in which enough was paid."""
    if not state.rhythm.pay_days:
        return []
    timers = []
    for playbook in policy.journeys.playbooks:
        entry = playbook.entry
        # Asked after every event, and few playbooks are begun by time: the others are told apart without a call.
        if isinstance(entry, PatternEntry) and entry.pattern in _WOKEN_BY:
            continue
        at = _entry_ms(playbook, state, policy) if playbook.enabled else None
        if at is not None:
            timers.append(Timer(max(at, state.now_ms), TimerKind.PLAYBOOK, _entry_anchor(playbook, state, at)))
    return timers


def enter_by_time(turn: Turn, timer: Timer) -> bool:
    """Begin the playbook that time has completed; says whether `timer` was about the beginning of one."""
    state, policy = turn.state, turn.policy
    for playbook in policy.journeys.playbooks:
        at = _entry_ms(playbook, state, policy) if playbook.enabled else None
        if at is not None and at <= state.now_ms and _entry_anchor(playbook, state, at) == timer.anchor:
            _enter(turn, playbook, timer.anchor)
            return True
    return False


def is_cooling(state: ClientState, playbook: Playbook, *, subject: str = "", anchor: str = "") -> bool:
    """Say whether another run of the playbook (about `subject`) began within its cooldown."""
    edge = state.now_ms - playbook.cooldown_days * DAY_MS
    return any(
        run.started_ms > edge and run.anchor != anchor and subject in {"", run.subject}
        for run in runs_of(state, playbook.journey)
    )


def is_in_season(day: int, seasons: tuple[Season, ...]) -> bool:
    """Say whether a day since 1970-01-01 lies in one of the seasons."""
    name = _month_and_day(day)
    return any(season.holds(name) for season in seasons)


@lru_cache(maxsize=4096)
def _month_and_day(day: int) -> str:
    # Asked after every event of every client who has paid, and of few days.
    return f"{_date(day):%m-%d}"


def season_payments(state: ClientState, season: Season, end_day: int) -> int:
    """Return how many payments fall into the season that ends on `end_day`; a week kept as one counts where its Sunday lies."""
    first, edge = _first_day(season, end_day), tail_before(day_of(state.now_ms))
    return sum(row.payments for row in state.rhythm.buckets if first <= _last_day(row.day, edge) and row.day <= end_day)


def _last_day(day: int, edge: int) -> int:
    """Return the last day of the bucket that begins on `day`: before `edge` days are kept as weeks (see models.state.windows)."""
    return day + 6 if day < edge else day


def _is_surge(state: ClientState, entry: SurgeEntry, end_day: int) -> bool:
    """Say whether enough was paid in the season, at twice the pace of the rest of the year before it at least.

    Of a client who came in or shortly before the season, nobody knows what pace is usual. As many payments as it takes must be
    remembered (see `_surge_ms`).
    """
    first, days = _first_day(entry.season, end_day), state.rhythm.pay_days
    if days[-entry.payments] < first:
        return False
    length = end_day - first + 1
    span = _YEAR_DAYS - length
    known = min(span, first - day_of(state.first_seen_ms))
    if known < _LEAST_SPAN:
        return False
    paid = season_payments(state, entry.season, end_day)
    if paid < entry.payments:
        return False
    edge = tail_before(day_of(state.now_ms))
    before = sum(row.payments for row in state.rhythm.buckets if first - span <= _last_day(row.day, edge) < first)
    return paid * known >= _SURGE * before * length


def _enter(turn: Turn, playbook: Playbook, anchor: str) -> None:
    now = turn.state.now_ms
    turn.put_run(Run(place_of(playbook.journey), anchor, started_ms=now, ready_ms=now))


def _entry_ms(playbook: Playbook, state: ClientState, policy: Policy) -> int | None:
    """Return when time alone completes what the playbook waits for, None when it does not."""
    # Not by patterns of classes, which cost more than what they lead to: this is asked after every event.
    entry = playbook.entry
    if isinstance(entry, SurgeEntry):
        return _surge_ms(playbook, entry, state)
    if isinstance(entry, PatternEntry) and entry.pattern is Pattern.WIDENING_GAP:
        return _gap_ms(playbook, state, policy)
    return None


def _surge_ms(playbook: Playbook, entry: SurgeEntry, state: ClientState) -> int | None:
    if len(state.rhythm.pay_days) < entry.payments:
        return None  # at a glance: most clients have not paid that often
    # Payments of the season's last day count until it is over, those of its first day from the first moment on.
    season, day = entry.season, day_of(state.now_ms) - 1
    if not season.holds(_month_and_day(day)):
        day += 1
        if not season.holds(_month_and_day(day)):
            return None
    end = _end_day(season, day)
    if not _is_surge(state, entry, end) or _known(state, playbook, f"{SEASON}@{_date(end)}"):
        return None
    return (end + 1) * DAY_MS


def _gap_ms(playbook: Playbook, state: ClientState, policy: Policy) -> int | None:
    if len(state.rhythm.pay_days) <= policy.patterns.gap_count:
        return None
    if owes(state, policy):
        return None  # what is open is a matter of support, not of silence
    last = state.rhythm.pay_days[-1]
    at = widening_ms(state, policy.patterns)
    if at is None or max(at, state.now_ms) > (last + policy.patterns.gap_lapsed_days) * DAY_MS:
        return None
    anchor = pattern_anchor(Pattern.WIDENING_GAP, last)
    if _known(state, playbook, anchor):
        return None
    cooldown = playbook.cooldown_days * DAY_MS
    ends = [run.started_ms + cooldown for run in runs_of(state, playbook.journey)]
    at = max(at, state.now_ms, *ends)
    return at if at <= (last + policy.patterns.gap_lapsed_days) * DAY_MS else None


def _entry_anchor(playbook: Playbook, state: ClientState, at_ms: int) -> str:
    if isinstance(playbook.entry, SurgeEntry):
        return f"{SEASON}@{_date(day_of(at_ms) - 1)}"
    return pattern_anchor(Pattern.WIDENING_GAP, state.rhythm.pay_days[-1])


def _known(state: ClientState, playbook: Playbook, anchor: str) -> bool:
    return find_run(state, playbook.journey, anchor) is not None


def _too_few(state: ClientState, policy: Policy, pattern: Pattern) -> bool:
    """Say whether a glance shows that the pattern cannot hold: it is asked after every payment."""
    rules, rhythm = policy.patterns, state.rhythm
    match pattern:
        case Pattern.SMALL_BURST:
            days, least = rhythm.pay_days, rules.burst_payments
            return len(days) < least or days[-least] <= day_of(state.now_ms) - rules.burst_days
        case Pattern.DECLINE_STREAK:
            return len(rhythm.failures) < rules.declines
        case _:
            return False


def _end_day(season: Season, day: int) -> int:
    """Return the last day of the season that holds `day`."""
    today = _date(day)
    month, last = (int(part) for part in season.last.split("-"))
    end = date(today.year, month, last)
    if end < today:
        end = date(today.year + 1, month, last)
    return (end - _EPOCH_DAY).days


@lru_cache(maxsize=64)
def _first_day(season: Season, end_day: int) -> int:
    """Return the first day of the season that ends on `end_day`."""
    end = _date(end_day)
    month, first = (int(part) for part in season.first.split("-"))
    begin = date(end.year, month, first)
    if begin > end:
        begin = date(end.year - 1, month, first)
    return (begin - _EPOCH_DAY).days


def _date(day: int) -> date:
    return _EPOCH_DAY + timedelta(days=day)
