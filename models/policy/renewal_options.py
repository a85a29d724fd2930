"""What a message before a renewal puts to the client, and in which order: all of it at once, in the same tone, whoever they are.

The policy says what is offered and in which order. A renewal that is less likely than not begins with a word together and with
less, one that may well grow names more right behind going on as it is. After a run of weekly invoices a word together comes
before any offer; whoever's money comes at another time reads first that it may begin later. Without a chance, with one that is
too old, and of a client held as new the order is the policy's. No chance is ever stated.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from models.learners.scorer import PER_CHANCE
from models.learnt import Learnt, Quality
from models.policy.favourable import is_outside
from models.policy.freshness import renewal_read
from models.policy.gate import is_running, renewal_anchor
from models.policy.material import material_lateness
from models.policy.policy import Policy
from models.policy.segments import effective_segment, is_unproven
from models.policy.turn import find_run
from models.state.client import ClientState, Contract, Segment
from models.state.history import decline_streak
from models.state.renewals import RenewalAsked
from models.state.windows import day_of, week_start
from models.triggers import Journey
from models.workdays import DAY_MS


class Option(StrEnum):
    """The tiers (as it is, less, more), a word together, and a later beginning."""

    SAME = "same"
    LESS = "less"
    MORE = "more"
    TALK = "talk"
    LATER = "later"


EVERY_OPTION: Final = tuple(option.value for option in Option)
IN_DOUBT: Final = ("talk", "less", "later", "same", "more")
"""The order where a renewal is in doubt: first what may be wrong with it, last what would make it larger."""

RUN_WEEKS: Final = 6
"""So many weeks with an invoice each are a run of them."""

_YEAR_DAYS: Final = 365.25
_SHOWN_DAYS: Final = 90  # from when on chances are asked for


@dataclass(frozen=True, slots=True)
class Put:
    """Options in order, why in this order, and the chance that was read, where one was."""

    options: tuple[str, ...]
    why: str
    read: Learnt | None = None

    @property
    def words(self) -> str:
        """Both, for people."""
        return f"options {', '.join(self.options)}: {self.why}"


def options_of(state: ClientState, contract: Contract, policy: Policy) -> Put:
    """Return what is put to the client before this renewal, at the state's time."""
    asked = asked_of(state, contract) if policy.renewal_unlikely_below or policy.renewal_more_from else None
    read = None if asked is None else renewal_read(asked, contract.contract_id, state.now_ms, policy.max_age)
    options, why = _by_chance(asked, read, policy, is_new=is_unproven(state, policy))
    if Option.TALK in options and options[0] != Option.TALK and is_billed_weekly(state):
        options = (Option.TALK.value, *(row for row in options if row != Option.TALK))
        why = f"{RUN_WEEKS} weeks of invoices in a row, so a word together goes before any offer; else {why}"
    reason = _no_money_now(state, contract, policy)
    if reason and Option.LATER in options and options[0] != Option.LATER:
        options = (Option.LATER.value, *(row for row in options if row != Option.LATER))
        why = f"{reason}, so a later beginning is named first; else {why}"
    return Put(options, why, read)


def asked_of(state: ClientState, contract: Contract) -> RenewalAsked | None:
    """Return the last answer about the renewal ahead that gives a chance; None where nobody asked or the learner abstained."""
    rows = [
        row for row in state.renewals.periods if (row.contract_id, row.renews_ms) == (contract.contract_id, contract.renews_ms)
    ]
    asked = rows[-1].asked[-1] if rows and rows[-1].asked else None
    return None if asked is None or asked.chances[0] < 0 else asked


def option_lines(state: ClientState, policy: Policy) -> list[str]:
    """Return what would be put to the client now, and why so: for each renewal near whose options are yet to be sent."""
    near = (row for row in state.person.contracts if state.now_ms < row.renews_ms <= state.now_ms + _SHOWN_DAYS * DAY_MS)
    open_ = (row for row in near if is_running(row) and not _is_put(state, row))
    return [f"before the renewal of {row.contract_id}: {options_of(state, row, policy).words}" for row in open_]


def together(contract: Contract, now_ms: int) -> str:
    """Return roughly how long a contract has been running: `months`, `year` (one at least), `years` (two), or nothing."""
    years = (now_ms - contract.started_ms) / DAY_MS / _YEAR_DAYS if contract.started_ms else 0
    return "years" if years >= 2 else "year" if years >= 1 else "months" if years >= 1 / 3 else ""  # noqa: PLR2004 - plain years


def is_tight(state: ClientState, policy: Policy) -> bool:
    """Say whether money seems to be short: a slow payer, cards that decline, or invoices late lately that count (decision 39)."""
    slow = effective_segment(state, state.now_ms) in {Segment.SLOW, Segment.PROBLEM}
    return slow or decline_streak(state) > 0 or material_lateness(state, policy).recent_late > 0


def is_billed_weekly(state: ClientState) -> bool:
    """Say whether each of the last full weeks brought an invoice: then a check-in beats an offer."""
    this_week = week_start(day_of(state.now_ms))
    weeks = {week_start(row.day) for row in state.rhythm.buckets if row.invoices > 0}
    return all(this_week - 7 * back in weeks for back in range(1, RUN_WEEKS + 1))


def _is_put(state: ClientState, contract: Contract) -> bool:
    run = find_run(state, Journey.RENEWAL, renewal_anchor(contract))
    return run is not None and (run.closed or run.stage > 0)


def _by_chance(asked: RenewalAsked | None, read: Learnt | None, policy: Policy, *, is_new: bool) -> tuple[tuple[str, ...], str]:
    offered = policy.renewal_options
    if not (policy.renewal_unlikely_below or policy.renewal_more_from):
        return offered, "in the order of the policy, which asks for no chance"
    flaw = _flaw(read, is_new=is_new)
    if asked is None or flaw:
        return offered, f"in the order of the policy, for {flaw}"
    renewed, raised = (row / PER_CHANCE for row in asked.chances[:2])
    said = f"it is {renewed:.0%} likely ({asked.version})"
    if renewed < policy.renewal_unlikely_below:
        return tuple(row for row in IN_DOUBT if row in offered), f"{said}, less than {policy.renewal_unlikely_below:.0%}"
    if policy.renewal_more_from and raised >= policy.renewal_more_from and {Option.SAME, Option.MORE} <= set(offered):
        rest = [row for row in offered if row != Option.MORE]
        place = rest.index(Option.SAME) + 1
        return (*rest[:place], Option.MORE.value, *rest[place:]), f"{said}, and {raised:.0%} to grow"
    return offered, f"in the order of the policy, for {said}"


def _flaw(read: Learnt | None, *, is_new: bool) -> str:
    """Return why a chance orders nothing, empty where it does."""
    if read is None:
        return "no chance of this renewal is given"
    if is_new:
        return "the client is new: no chance counts yet"
    return "the chance of this renewal is too old" if read.quality is Quality.STALE else ""


def _no_money_now(state: ClientState, contract: Contract, policy: Policy) -> str:
    """Return why a later beginning may be what helps, empty where nothing says so."""
    if is_outside(state, contract.renews_ms):
        return "billing falls outside the budget window"
    return "money seems to be short" if is_tight(state, policy) else ""
