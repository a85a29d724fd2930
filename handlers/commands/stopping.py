"""`rapport halt` and `rapport resume`: the emergency stop. Exposes the functions `halt` and `resume`."""

from typing import Annotated, TypeAlias

from cyclopts import Parameter

from handlers.commands.journey_choice import own_names
from handlers.commands.options import Author
from handlers.commands.regime_changes import author_named, put_in_force, regimes_now, worded
from models.events.control import HaltChanged, HaltScope
from models.events.envelope import epoch_ms
from models.events.signals import Purpose
from models.journey_names import OWN_JOURNEYS
from models.regime import Halt
from models.triggers import Journey
from models.workdays import moment
from streams.runtime.clock import make_clock
from streams.runtime.errors import UsageError
from streams.runtime.settings import load_settings
from streams.wire.control import control_id
from streams.wire.topics import CHANNELS

What: TypeAlias = Annotated[
    HaltScope | None, Parameter(help="all, journey, channel, purpose or experiment; none: show what is stopped.")
]
Target: TypeAlias = Annotated[str | None, Parameter(help="Which journey, channel, purpose or experiment; none with all.")]

_TARGETS = {
    HaltScope.JOURNEY: tuple(journey.value for journey in Journey),
    HaltScope.CHANNEL: tuple(CHANNELS),
    HaltScope.PURPOSE: tuple(purpose.value for purpose in Purpose),
}


def halt(
    what: What = None,
    target: Target = None,
    /,
    *,
    reason: Annotated[str, Parameter(help="Why; it stands in every decision that the stop holds back.")] = "",
    author: Author = None,
) -> int:
    """Stop contact at once: all, a journey, a channel or a purpose; or an experiment. Without words: show what is stopped.

    The stop travels through the log of every partition and beats every policy and every pin. Nothing new is decided in its reach
    (each silence is recorded with your reason), and what was decided but has not left is held by the channel workers, who look
    again every minute. Nothing is dropped: after `rapport resume` everything is decided anew, or leaves if it is still right.

    A stopped experiment holds nothing back: from then on every company gets the step as it stands.

    For example:

        rapport halt all --reason "wrong amounts in the feed"
        rapport halt journey pre_renewal --reason "new price list comes first"

    Exit codes: 0 in force on every partition, 1 a server is away or a worker has not followed yet, 2 wrong usage.
    """
    if what is None:
        return _show()
    if not reason.strip():
        message = 'say why: --reason "..."; people will read it beside every message that is held back'
        raise UsageError(message)
    return _change(what, target, halted=True, reason=reason, author=author)


def resume(
    what: Annotated[HaltScope, Parameter(help="all, journey, channel, purpose or experiment.")],
    target: Target = None,
    /,
    *,
    reason: Annotated[str, Parameter(help="Why it may go on.")] = "resumed",
    author: Author = None,
) -> int:
    """Let contact go on that `rapport halt` stopped, by the same words.

    Held messages are looked at again within a minute, held steps within an hour: each is decided anew, none is sent blindly.

    Example: rapport resume all --reason "amounts are right again"

    Exit codes: 0 in force on every partition, 1 a server is away or a worker has not followed yet, 2 nothing like it is stopped.
    """
    _checked(what, target)
    if not any(
        (row.scope, row.target) == (what, target or "") for regime in regimes_now(load_settings()) for row in regime.halts
    ):
        message = f"{_words(what, target)} is not stopped; rapport halt shows what is"
        raise UsageError(message)
    return _change(what, target, halted=False, reason=reason, author=author)


def _change(what: HaltScope, target: str | None, *, halted: bool, reason: str, author: str | None) -> int:
    _checked(what, target)
    settings = load_settings()
    now = make_clock(settings.clock_file).now()
    with worded():
        event = HaltChanged(
            event_id=control_id("halt", what.value, target or "", str(halted), epoch_ms(now)),
            source="cli",
            occurred_at=now,
            received_at=now,
            author=author_named(author),
            reason=reason,
            scope=what,
            target=target,
            halted=halted,
        )
    count = put_in_force(settings, event)
    print(f"{_words(what, target)} {'is stopped' if halted else 'goes on'}: in force on all {count} partitions")
    return 0


def _show() -> int:
    found: dict[tuple[str, str], Halt] = {}
    for regime in regimes_now(load_settings()):
        found.update({(row.scope.value, row.target): row for row in regime.halts})
    for row in found.values():
        since = moment(row.since_ms).strftime("%Y-%m-%d %H:%M")
        print(f"{_words(row.scope, row.target or None)} is stopped since {since} by {row.author}: {row.reason}")
    if not found:
        print("Nothing is stopped.")
    return 0


def _checked(what: HaltScope, target: str | None) -> None:
    if what is HaltScope.EXPERIMENT and target:
        return  # policies name them, of which a partition may know several
    known = () if what is HaltScope.EXPERIMENT else _TARGETS.get(what)
    if what is HaltScope.JOURNEY and known is not None and target not in known:
        known = (*known, OWN_JOURNEYS, *own_names())
    if known is None and target is not None:
        message = f"all has no target, got {target!r}; write: rapport halt all"
        raise UsageError(message)
    if known is not None and target not in known:
        message = f"{what.value} {target or '(none)'} is not known; use one of {', '.join(known) or 'the names in the policy'}"
        raise UsageError(message)


def _words(what: HaltScope, target: str | None) -> str:
    return f"{what.value} {target}" if target else "all contact"
