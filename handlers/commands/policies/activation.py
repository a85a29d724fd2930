"""`rapport policy activate`: put a policy in force through the log, after lint, differences and a yes."""

import difflib
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from handlers.channels.template_facts import facts_of
from handlers.commands.options import Author
from handlers.commands.regime_changes import author_named, put_in_force, regimes_now, worded
from models.events.control import PolicyActivated
from models.events.envelope import epoch_ms
from models.policy.document import PolicyDocument, document_of, policy_of
from models.policy.lint import errors_of, lint
from models.policy.policy import DEFAULT_POLICY
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
) -> int:
    """Put a policy in force for all clients through the log: no restart, and a replay decides as the live run did.

    Refuses what `rapport policy lint` calls wrong, shows what differs from the policy in force, and asks. Journeys that have
    begun keep steps and tones of the policy they were begun under, until `rapport policy migrate` moves them; hours, gaps,
    budgets and emergency stops are always those in force. To go back, activate the old file again. First see who gains or loses:
    rapport policy backtest.

    Example: rapport policy activate firm.yaml --reason "longer grace in August"

    Exit codes: 0 in force on every partition, 1 refused, a server is away or a worker has not followed yet, 2 no policy file.
    """
    settings = load_settings()
    read = sound_policy(file, settings)
    active = _active(settings)
    version = policy_of(read.document, home_zone=settings.firm_timezone).version
    if active is not None and active.version == version:
        print(f"{version} is in force already.")
        return 0
    print("\n".join(differences(settings, active, read)))
    if not yes and not _agreed(version, settings.partitions):
        print("Nothing was changed.")
        return 1
    now = make_clock(settings.clock_file).now()
    count = put_in_force(settings, activated(read, settings, now, author=author, reason=reason))
    print(f"{version} is in force on all {count} partitions")
    return 0


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


def _active(settings: Settings) -> ActivePolicy | None:
    """Return the policy that was activated last, of the first partition that has one."""
    return next((found for regime in regimes_now(settings) if (found := regime.policy()) is not None), None)


def differences(settings: Settings, active: ActivePolicy | None, read: PolicyFile) -> Iterator[str]:
    """Yield what a policy file says otherwise than the policy in force; where that moves clients, how to see which."""
    if active is not None:
        before, name = PolicyDocument.model_validate_json(active.document), active.version
    elif settings.policy_file is not None:
        before, name = read_policy_file(settings.policy_file).document, str(settings.policy_file)
    else:
        before, name = document_of(DEFAULT_POLICY), "the shipped policy"
    old, new = (write_policy(document_of(policy_of(row))).splitlines() for row in (before, read.document))
    changed = list(difflib.unified_diff(old, new, fromfile=name, tofile=read.name, n=1, lineterm=""))
    yield from changed or [f"{read.name} says the same as {name}, under another name."]
    if (before.segments, before.audiences) != (read.document.segments, read.document.audiences):
        yield f"It draws segments or audiences otherwise. Who moves: rapport segments backtest --live --policy {read.name}"


def _agreed(version: str, partitions: int) -> bool:
    if not sys.stdin.isatty():
        message = "nobody is there to say yes; look at the differences above, then add --yes"
        raise UsageError(message)
    return input(f"Put {version} in force on {partitions} partitions? Write yes: ").strip().lower() == "yes"
