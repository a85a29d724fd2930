"""What an inspection tells of how a client stands beside their state: by which clock, with whom, under which policy.

The clock is the client's own or the firm's, and says who stated it; open tasks and replies hold messages back; runs keep the
policy under which they began.
"""

from collections.abc import Iterator
from typing import Final

from models.policy.belonging import belongs, fits, stay_in
from models.policy.migrating import moves
from models.policy.policy import Policy
from models.policy.renewal_options import option_lines
from models.policy.replies import reply_about, reply_silence
from models.state.client import ClientState, journey_of
from models.triggers import AnyJourney
from models.workdays import DAY_MS, moment

_RUNS_TOLD: Final = 4


def standing(state: ClientState, policy: Policy) -> list[str]:
    """Return a line each: the clock, tasks, the pause after a reply, audiences, runs that follow another policy, renewals."""
    lines = [_clock(state, policy), *_tasks(state), *_pause(state, policy), *_audiences(state, policy)]
    return [*lines, *_pinned(state, policy), *_moved(state, policy), *_to_move(state, policy), *option_lines(state, policy)]


def _audiences(state: ClientState, policy: Policy) -> Iterator[str]:
    for row in policy.audiences:
        why, stay = belongs(state, row), stay_in(state, row)
        turns = f"{_day(stay.turned_ms + row.dwell_days * DAY_MS)}" if stay is not None and stay.turned_ms else ""
        if why is not None:
            yield f"in the audience {row.name}: {why}{f'; leaves on {turns} unless they hold again' if turns else ''}"
        elif turns:
            yield f"joins the audience {row.name} on {turns} if its rules hold until then: {fits(state, row)}"


def _clock(state: ClientState, policy: Policy) -> str:
    """Return the clock by which messages leave, and where it comes from. A country says nothing of it: many have several."""
    stated, zone = state.person.timezone, policy.zone_of(state).key
    said = f"stated{f' by {stated.by}' if stated.by else ''} on {_day(stated.at)}"
    if stated.value == zone:
        return f"clock: {zone}, {said}"
    if stated.value:
        return f"clock: {zone}, the firm's own: {stated.value!r}, {said}, is no time zone"
    return f"clock: {zone}, the firm's own: nobody has stated the client's"


def _tasks(state: ClientState) -> Iterator[str]:
    for row in state.care.tasks:
        what = f"{journey_of(row).value}/{row.step} about {', '.join(row.invoice_ids) or row.anchor}"
        yield f"open task {row.trigger_id[:12]}: {what}, due {_day(row.expires_ms)}"


def _pause(state: ClientState, policy: Policy) -> Iterator[str]:
    silence = reply_silence(state, policy)
    if silence is not None:
        yield f"nothing asks for money: {silence.reasons[0]}"
    for invoice_id in sorted({named for _, named in state.care.replies}):
        about = reply_about(state, policy, invoice_id)
        if about is not None:
            yield f"nothing asks for this one: {about.reasons[0]}"


def _pinned(state: ClientState, policy: Policy) -> Iterator[str]:
    found: dict[str, list[str]] = {}
    for run in state.care.runs:
        version = policy.of_run(run).version
        if not run.closed and version != policy.version:
            found.setdefault(version, []).append(_about(journey_of(run), run.anchor))
    for version, runs in found.items():
        more = f" and {len(runs) - _RUNS_TOLD} more" if len(runs) > _RUNS_TOLD else ""
        yield f"pinned to policy {version}, under which they began: {', '.join(runs[:_RUNS_TOLD])}{more}"


def _moved(state: ClientState, policy: Policy) -> Iterator[str]:
    told = (row for row in policy.migrations if row.is_of(state.client_id))
    said = {(row.of, row.to): f", as {row.author} said on {_day(row.since_ms)}: {row.reason}" for row in told}
    for run in state.care.runs:
        if run.begun_under and not run.closed:
            why = said.get((run.begun_under, run.pinned), "")
            yield f"{_about(journey_of(run), run.anchor)} was begun under policy {run.begun_under} and follows {run.pinned}{why}"


def _to_move(state: ClientState, policy: Policy) -> Iterator[str]:
    for row in moves(state, policy):
        about = _about(journey_of(row.run), row.run.anchor)
        yield f"{about} is to go on by policy {row.by.to}: {row.waits or 'as soon as the client is looked at'}"


def _about(journey: AnyJourney, anchor: str) -> str:
    return f"{journey.value} about {anchor}"


def _day(at_ms: int) -> str:
    return moment(at_ms).date().isoformat()
