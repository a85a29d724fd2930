"""A policy in the words of a credit controller: who gets what, when, in which tone, and what stops it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from models.policy.experiments import share_of
from models.policy.journeys import CliffEntry, Entry, Ladder, MissedRun, OwnEntry, PatternEntry, Playbook, Step, SurgeEntry
from models.policy.policy import Policy
from models.policy.timing import ANCHORS, in_words
from models.state.client import Segment
from models.state.reckoning import TRANSFER_BANK_DAYS
from models.triggers import AnyJourney, CancelWhen, Journey
from models.workdays import WORKWEEK, Window

HUMAN: Final = "a colleague"
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
TITLES: Final = {
    Journey.DELAY_SUPPORT: "Delayed-payment support",
    Journey.ONBOARDING: "Care after a first payment",
    Journey.RENEWAL: "Care before a renewal",
    Journey.RENEWAL_CLIFF: "Playbook: renewals when many renew",
    Journey.SEASON_CLEANUP: "Playbook: in order again after the season",
    Journey.BANK_DEBIT: "Playbook: bank debit after declined cards",
    Journey.BURST_CHECKIN: "Playbook: a burst of small payments",
    Journey.GAP_CHECKIN: "Playbook: quiet for longer than usual",
    Journey.STATEMENT: "Monthly statement",
}


_STOPS: Final[Mapping[CancelWhen, str]] = {
    CancelWhen.INVOICES_SETTLED: "it is paid, or less is open than the message says",
    CancelWhen.INVOICES_DISPUTED: "a dispute is open",
    CancelWhen.INVOICES_PROMISED: "payment is promised or under way",
    CancelWhen.PAYMENT_REVERSED: "the payment is refunded, charged back or returned",
    CancelWhen.CONTRACT_ENDED: "the contract ends",
    CancelWhen.CONTRACT_RENEWED: "the contract renews on another day",
    CancelWhen.CONSENT_WITHDRAWN: "the client does not want it, or the channel is closed to us",
    CancelWhen.ON_HOLD: "a relationship manager puts it on hold",
    CancelWhen.PATTERN_ENDED: "what it is about is over: a payment came, or the way of paying changed",
    CancelWhen.CLIENT_ERASED: "the client asks to be forgotten",
    CancelWhen.CLIENT_ANSWERED: "the client has answered",
    CancelWhen.EARLIER_UNSENT: "the step before it was not delivered",
    CancelWhen.DECIDED_ANEW: "it may not be said any more as it was decided",
}


_MISSED: Final[Mapping[MissedRun, str]] = {
    MissedRun.LATEST: "left out",
    MissedRun.SEQUENCE: "taken when found",
    MissedRun.REVIEW: "a colleague looks first",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One contact: to whom, when, through what, in which tone, until when, what becomes of it after that, why."""

    who: str
    step: str
    when: str
    through: str
    tone: str
    sendable: str
    missed: str
    why: str
    again: str = ""


@dataclass(frozen=True, slots=True)
class Chapter:
    """One journey: its contacts and what stops each of them."""

    journey: AnyJourney
    lines: tuple[Line, ...]
    stops: tuple[str, ...]
    title: str = ""
    begins: tuple[str, ...] = ()


def chapters(policy: Policy) -> list[Chapter]:
    """Return the journeys of a policy, each as a table."""
    journeys = policy.journeys
    support = [line for segment in Segment for line in _ladder(segment, journeys.delay[segment], policy)]
    delayed = [step for ladder in journeys.delay.values() for step in ladder.steps]
    onboarding = [_line("after a first payment", step, _after_payment(step), policy) for step in journeys.onboarding]
    renewal = [_line("with a contract", step, f"{_days(-step.after_days)} before it renews", policy) for step in journeys.renewal]
    return [
        Chapter(Journey.DELAY_SUPPORT, tuple(support), _stops(delayed)),
        Chapter(Journey.ONBOARDING, tuple(onboarding), _stops(journeys.onboarding)),
        Chapter(Journey.RENEWAL, tuple(renewal), _stops(journeys.renewal)),
        *_statement(policy),
        *(_playbook(playbook, policy) for playbook in journeys.every_playbook if playbook.enabled),
    ]


def _weekdays(window: Window) -> str:
    return "Monday to Friday" if window.weekdays == WORKWEEK else ", ".join(_DAYS[day] for day in sorted(window.weekdays))


def rules(policy: Policy) -> Iterator[str]:
    """Yield what holds for all journeys, a sentence a line."""
    window = policy.window
    days = _weekdays(window)
    hours = f"{window.opens:%H:%M} to {window.closes:%H:%M}"
    yield f"Contact {days} from {hours} in the client's own time ({policy.zone} if unknown)."
    for name, own in sorted(policy.channel_windows.items()):
        yield f"By {name} {_weekdays(own)} from {own.opens:%H:%M} to {own.closes:%H:%M}."
    if policy.holidays:
        yield "Nothing on public holidays of the client's country."
    yield (
        f"At least {_days(policy.min_gap_days)} between any two contacts, at most {policy.contacts_per_month} in 30 days, over"
        " all journeys, channels and people; receipts do not count."
    )
    banked = ", two of them bank days" if policy.grace_days >= TRANSFER_BANK_DAYS else ""
    yield (
        f"Money is late {_days(policy.grace_days)} after its due date{banked}{_graces(policy)}."
        f" Less than {policy.small_share:.0%} of the client's usual invoice, or than {policy.small_units} currency units, waits"
        f" {'for the next statement' if policy.journeys.statement.day else 'until more is open'}{_costs(policy)}."
    )
    end = policy.journeys.ladder_end
    yield (
        f"{_days(end.after_days)} after the last message about money that is still open, {HUMAN} decides, within"
        f" {_days(end.valid_days)} ({end.id})."
    )
    if policy.reply_days:
        business = "business day" if policy.reply_days == 1 else "business days"
        yield (
            f"Whoever wrote back is asked for no money for {policy.reply_days} {business}, or until {HUMAN} has answered;"
            " who wrote about one invoice, for none of that one."
        )
    yield f"From {policy.high_value_ratio:g} times the client's usual invoice on, {HUMAN} asks before anything is sent."
    yield (
        f"Invoices first seen more than {_days(policy.adopt_after_days)} past due are not written about until a person releases"
        " them."
    )
    yield from _left_out(policy)
    for audience in policy.audiences:
        seen = f"; {HUMAN} sees every message to them first" if audience.name in policy.approval.audiences else ""
        yield f"Audience {audience.name}: {audience.why}{seen}."
    for guide in policy.guides:
        whom = ", ".join((*(segment.value for segment in guide.segments), *guide.service_lines)) or "everybody"
        parts = [row.title for row in guide.resources] + ["a scheduler"] * bool(guide.scheduler)
        parts += [guide.person or "office hours"] * bool(guide.person or guide.office)
        yield f"Thanks for a first payment name, to {whom}: {', '.join(parts)}."
    for row in policy.experiments:
        arms = ", ".join(f"{arm.name} {share_of(arm, row):.0%}" for arm in row.arms)
        yield f"Experiment {row.name} with {row.journey.value}/{row.step} ({arms}): {row.hypothesis}"


def _statement(policy: Policy) -> Iterator[Chapter]:
    day, step = policy.journeys.statement.day, policy.journeys.statement.step
    if day:
        when = f"from day {day} of the month on, or the next business day" if day > 1 else "the month's first business day"
        line = _line("who owes too little for a message of its own", step, when, policy)
        yield Chapter(Journey.STATEMENT, (line,), _stops((step,)))


def _left_out(policy: Policy) -> Iterator[str]:
    named = ", ".join(f"{share:g} % without {journey.value}" for journey, share in policy.holdout.journeys.items() if share)
    parts = [f"{policy.holdout.percent:g} % without any" if policy.holdout.percent else "", named]
    if any(parts):
        months = policy.holdout.rotate_months
        anew = f" Others are drawn every {months} months." if months else ""
        left_out = ", ".join(filter(None, parts))
        yield f"Companies left without care, to see its effect: {left_out}.{anew} Servicing reaches everybody."


def stop_words(predicate: CancelWhen) -> str:
    """Return when a message is stopped, in words."""
    return _STOPS[predicate]


def _playbook(playbook: Playbook, policy: Policy) -> Chapter:
    if isinstance(playbook.entry, OwnEntry):
        return own_chapter(playbook, playbook.entry, policy)
    who, since = _entry(playbook.entry)
    lines = tuple(
        _line(who, step, f"{_days(abs(step.after_days))} {since}" if step.after_days else "at once", policy)
        for step in playbook.steps
    )
    return Chapter(playbook.journey, lines, _stops(playbook.steps))


def own_chapter(playbook: Playbook, entry: OwnEntry, policy: Policy) -> Chapter:
    """Return a journey of the firm's own: what begins it, each step by its anchor and unit, and how often it may begin."""
    lines = tuple(_line("", step, in_words(step.timing) if step.timing else "", policy) for step in playbook.steps)
    conditions = {
        "segment": entry.segments,
        "service": entry.service_lines,
        "contract": entry.contract_types,
        "paid by": entry.methods,
        "size": entry.sizes,
        "pattern": (entry.pattern,) if entry.pattern else (),
    }
    where = [f"{name} {' or '.join(str(value) for value in values)}" for name, values in conditions.items() if values]
    again = "once for a client" if entry.once else f"at most once in {_days(playbook.cooldown_days)}"
    begins = (f"Begins at {ANCHORS[entry.anchor]}{', where ' + ' and '.join(where) if where else ''}; {again}",)
    return Chapter(playbook.journey, lines, _stops(playbook.steps), f"The firm's own: {entry.title}", begins)


def _entry(entry: Entry) -> tuple[str, str]:
    """Return whom a playbook is for, and what its days count from."""
    match entry:
        case CliffEntry(seasons=seasons):
            return f"renews {' or '.join(f'{row.first} to {row.last}' for row in seasons)}", "before it renews"
        case SurgeEntry(season=season, payments=payments):
            return f"paid {payments} times from {season.first} to {season.last}", "after that season"
        case PatternEntry(pattern=pattern):
            return pattern.value.replace("_", " "), "after it is seen"
        case OwnEntry(anchor=anchor):
            return ANCHORS[anchor], f"after {ANCHORS[anchor]}"
        case _:
            assert_never(entry)


def _graces(policy: Policy) -> str:
    return "".join(f", of {segment.value} clients {_days(days)}" for segment, days in sorted(policy.segment_grace.items()))


def _costs(policy: Policy) -> str:
    dear = [f"{cost:g} by {name}" for name, cost in sorted(policy.contact_costs.items()) if cost]
    return f", and so does what is less than its contact costs: {', '.join(dear)}" if dear else ""


def _ladder(segment: Segment, ladder: Ladder, policy: Policy) -> Iterator[Line]:
    grace = policy.segment_grace.get(segment, policy.grace_days)
    late = f"{_days(grace)} after the due date"
    if ladder.human_first:
        yield _line(segment.value, ladder.human, late, policy)
    for index, step in enumerate(ladder.steps):
        if index:
            when = f"{_days(step.after_days)} after {ladder.steps[index - 1].id}"
        elif ladder.human_first:
            when = f"{_days(step.after_days)} after {HUMAN} has asked"
        else:
            when = f"{_days(grace + step.after_days)} after the due date"
        yield _line(segment.value, step, when, policy)


def _line(who: str, step: Step, when: str, policy: Policy) -> Line:
    through = HUMAN if step.channel in policy.internal_channels else step.channel
    again = f"{_hours(step.unanswered_hours)} after {step.id}" if step.unanswered_hours else ""
    return Line(who, step.id, when, through, step.tone.value, _days(step.valid_days), _MISSED[step.if_missed], step.why, again)


def again_words(chapter: Chapter, policy: Policy) -> str:
    """Say which steps are said once more when nobody answers, when, and by which channels; empty where none is."""
    times = tuple(dict.fromkeys(f"{line.again} ({line.who})" for line in chapter.lines if line.again))
    return f"{', '.join(times)}, by {' or '.join(policy.fallback_channels)}" if times else ""


def missed_words(chapter: Chapter) -> str:
    """Say what becomes of the steps that are found too late; which ones only where they differ."""
    fates = tuple(dict.fromkeys(line.missed for line in chapter.lines))
    if len(fates) == 1:
        return fates[0]
    return "; ".join(f"{', '.join(line.step for line in chapter.lines if line.missed == fate)} {fate}" for fate in fates)


def _after_payment(step: Step) -> str:
    return f"{_days(step.after_days)} after the payment" if step.after_days else "at once, in the next open hour"


def _stops(steps: Sequence[Step]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(stop_words(predicate) for step in steps for predicate in step.cancel_when))


def _hours(count: int) -> str:
    return _days(count // 24) if not count % 24 else f"{count} hours"


def _days(count: int) -> str:
    return f"{count} day" if count == 1 else f"{count} days"
