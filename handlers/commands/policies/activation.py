"""`rapport policy activate`: put a policy in force through the log, after lint, differences, who moves, and a yes."""

import difflib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from handlers.channels.template_facts import facts_of
from handlers.commands.options import Author, SampleOption
from handlers.commands.policies.choosing import active_policy
from handlers.commands.policies.moving import backtested, draws
from handlers.commands.regime_changes import author_named, put_in_force, worded
from handlers.commands.segments.shifts import tell
from models.events.control import PolicyActivated
from models.events.envelope import epoch_ms
from models.policy.document import PolicyDocument, document_of, policy_of
from models.policy.lint import errors_of, lint
from models.policy.policy import DEFAULT_POLICY, Policy
from models.regime import ActivePolicy
from streams.runtime.clock import make_clock
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings, load_settings
from streams.wire.control import control_id
from streams.wire.policy_file import PolicyFile, PolicyFileError, read_policy_file, write_policy
from streams.wire.topics import CHANNELS


def activate(
    file: Annotated[Path, Parameter(help="The policy file.")],
    /,
    *,
    reason: Annotated[str, Parameter(help="Why; it is kept with the activation.")],
    author: Author = None,
    yes: Annotated[bool, Parameter(name="--yes", negative=(), help="Do not ask.")] = False,
    sample: SampleOption = None,
    movers: Annotated[int, Parameter(help="With --yes: so many clients may come to stand elsewhere, as the list says.")] = 0,
    without_backtest: Annotated[
        str | None, Parameter(help="Why nobody looks first who moves, where that cannot wait; it is kept with the activation.")
    ] = None,
) -> int:
    """Put a policy in force for all clients through the log: no restart, and a replay decides as the live run did.

    Refuses what `rapport policy lint` calls wrong, shows what differs from the policy in force, and asks. One that draws segments
    or audiences otherwise is first back-tested: the whole log is lived under both, and who would stand elsewhere is listed.
    With --yes it goes in force only if that is nobody, or at most --movers; what was found is kept with the reason. Where clients
    are very many, --sample 2000 lives that many and says how many of all would move, with the 95 % interval; --movers is then
    held against its upper end.

    Journeys that have begun keep steps and tones of the policy they were begun under, until `rapport policy migrate` moves them;
    hours, gaps, budgets and emergency stops are always those in force, and a stop never waits for any of this. To go back,
    activate the old file again. First see who gains or loses: rapport policy backtest.

    Example: rapport policy activate firm.yaml --reason "longer grace in August"

    Exit codes: 0 in force on every partition, 1 refused, a server is away or a worker has not followed yet, 2 no policy file,
    or nobody is there to say yes.
    """
    settings = load_settings()
    read = sound_policy(file, settings)
    active = active_policy(settings)
    after = policy_of(read.document, home_zone=settings.firm_timezone)
    if active is not None and active.version == after.version:
        print(f"{after.version} is in force already.")
        return 0
    print("\n".join(differences(settings, active, read)))
    found = tried(settings, active, after, without=without_backtest, sample=sample)
    check_movers(found, yes=yes, most=movers)
    if not yes and not _agreed(after.version, settings.partitions):
        print("Nothing was changed.")
        return 1
    check_unchanged(active, active_policy(settings))
    now = make_clock(settings.clock_file).now()
    said = "; ".join(filter(None, (reason, found.note)))
    count = put_in_force(settings, activated(read, settings, now, author=author, reason=said))
    print(f"{after.version} is in force on all {count} partitions")
    return 0


@dataclass(frozen=True, slots=True)
class Tried:
    """What is known of an activation before it: how many clients come to stand elsewhere, at most, and what is kept of that."""

    movers: int = 0
    note: str = ""


def tried(
    settings: Settings, active: ActivePolicy | None, after: Policy, *, without: str | None, sample: int | None = None
) -> Tried:
    """Say who moves, where a policy draws segments or audiences otherwise than the one in force; of all, or by a sample."""
    before = policy_of(_document_before(settings, active)[0], home_zone=settings.firm_timezone)
    if draws(before) == draws(after):
        return Tried()
    if without is not None:
        if not without.strip():
            message = 'say why nobody looks first who moves: --without-backtest "..."'
            raise UsageError(message)
        print("It draws segments or audiences otherwise, and nobody has looked who moves.")
        return Tried(note=f"without a back-test: {without.strip()}")
    print("It draws segments or audiences otherwise. Who moves, by the log of this deployment:")
    found = backtested(before, after, sample=sample)
    if found is None:
        print("nobody is known yet")
        return Tried(note="back-tested: nobody is known yet")
    print("\n".join(tell(found)))
    said = f"back-tested: {len(found.movers):,} of {found.clients:,} clients move"
    if (of_all := found.of_all) is not None:
        said += f", a sample of {of_all.clients:,}: about {of_all.about:,} move (95 %: {of_all.least:,} to {of_all.most:,})"
    return Tried(found.at_most, said)


def check_movers(found: Tried, *, yes: bool, most: int) -> None:
    """Refuse, by UsageError, to move more clients than were named where nobody is asked."""
    if yes and found.movers > most:
        message = f"{found.movers:,} clients would stand elsewhere; look at the list above, then add --movers {found.movers}"
        raise UsageError(message)


def check_unchanged(before: ActivePolicy | None, now: ActivePolicy | None) -> None:
    """Refuse, by UsageError, to replace another policy than the one that the differences were told against."""
    if now != before:
        message = (
            f"meanwhile {now.version if now else 'another policy'} came into force, so this was held against another one; again"
        )
        raise UsageError(message)


def activated(read: PolicyFile, settings: Settings, now: datetime, *, author: str | None, reason: str) -> PolicyActivated:
    """Return what puts a policy file in force."""
    version = policy_of(read.document, home_zone=settings.firm_timezone).version
    with worded():
        return PolicyActivated(
            event_id=control_id("policy", version, epoch_ms(now)),
            source="cli",
            occurred_at=now,
            received_at=now,
            author=author_named(author),
            reason=reason or "preview",
            version=version,
            document=read.document.model_dump_json(exclude_none=True),
            approvals=read.document.approval.first_sends,
        )


def sound_policy(file: Path, settings: Settings) -> PolicyFile:
    """Return a policy file that lint calls sound; PolicyFileError says what is wrong with it."""
    read = read_policy_file(file)
    wrong = errors_of(lint(read.document, channels=CHANNELS, facts_stated=facts_of(settings)))
    if wrong:
        raise PolicyFileError(read.name, [f"{read.where(row)}: {row.message}; fix: {row.fix}" for row in wrong])
    return read


def differences(settings: Settings, active: ActivePolicy | None, read: PolicyFile) -> Iterator[str]:
    """Yield what a policy file says otherwise than the policy in force."""
    before, name = _document_before(settings, active)
    old, new = (write_policy(document_of(policy_of(row))).splitlines() for row in (before, read.document))
    changed = list(difflib.unified_diff(old, new, fromfile=name, tofile=read.name, n=1, lineterm=""))
    yield from changed or [f"{read.name} says the same as {name}, under another name."]


def _document_before(settings: Settings, active: ActivePolicy | None) -> tuple[PolicyDocument, str]:
    """Return the policy in force, and what it is called."""
    if active is not None:
        return PolicyDocument.model_validate_json(active.document), active.version
    if settings.policy_file is not None:
        return read_policy_file(settings.policy_file).document, str(settings.policy_file)
    return document_of(DEFAULT_POLICY), "the shipped policy"


def _agreed(version: str, partitions: int) -> bool:
    if not sys.stdin.isatty():
        message = "nobody is there to say yes; look at the differences above, then add --yes"
        raise UsageError(message)
    return input(f"Put {version} in force on {partitions} partitions? Write yes: ").strip().lower() == "yes"
