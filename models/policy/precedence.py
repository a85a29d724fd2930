"""Who has the say about a message: invoice, then named override, contact, segment, default; the first that speaks wins.

One function answers for every matter and says who won. An invoice may have a channel and an urgency of its own; it changes
neither the tone nor a segment's ceiling, and nothing here reaches a client through a channel they refused or within the gap.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from models.events.signals import OverrideEffect, Purpose, Style
from models.policy.gate import refusal
from models.policy.journeys import Step
from models.policy.policy import Policy
from models.policy.segments import effective_segment
from models.policy.tones import CEILINGS, is_above, nearest, softer_than, tone_for
from models.state.client import ClientState, Override, Run, journey_of
from models.state.person import in_force, overruling
from models.triggers import Journey, Ruled, Tone
from models.workdays import DAY_MS


class Level(IntEnum):
    """Who speaks, the first with the say."""

    INVOICE = 0
    OVERRIDE = 1
    CONTACT = 2
    SEGMENT = 3
    DEFAULT = 4


class Matter(StrEnum):
    """What is decided about a message."""

    CHANNEL = "channel"
    URGENCY = "urgency"
    TONE = "tone"
    SEGMENT = "segment"


MAY_SPEAK: Final = MappingProxyType(
    {
        Matter.CHANNEL: frozenset(Level),
        Matter.URGENCY: frozenset(Level),
        Matter.TONE: frozenset(Level) - {Level.INVOICE},
        Matter.SEGMENT: frozenset({Level.OVERRIDE, Level.SEGMENT}),
    }
)
"""An invoice says how soon and through what, never how one speaks."""

_EFFECTS: Final = MappingProxyType(
    {
        Matter.CHANNEL: OverrideEffect.CHANNEL.value,
        Matter.URGENCY: OverrideEffect.URGENCY.value,
        Matter.TONE: OverrideEffect.TONE.value,
    }
)
_OVERRULING: Final = frozenset({Level.INVOICE.name.lower(), Level.OVERRIDE.name.lower()})
_TONES: Final = frozenset(tone.value for tone in Tone)
_SOONEST_DAYS: Final = -30
_LATEST_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Claim:
    """What one level says about a matter, and in whose name."""

    level: Level
    value: str
    who: str
    why: str = ""
    """Why it is not what was said; empty where it is."""


def resolve(matter: Matter, claims: Iterable[Claim]) -> Claim | None:
    """Return the claim that holds: of those who may speak the highest, of one level the last; None where nobody speaks."""
    found: Claim | None = None
    for claim in claims:
        if claim.level in MAY_SPEAK[matter] and (found is None or claim.level <= found.level):
            found = claim
    return found


def ruled(matter: Matter, claim: Claim, *, instead: str | None = None) -> Ruled:
    """Return the record of who won, and of what would have held `instead`."""
    return Ruled(matter=matter.value, value=claim.value, level=claim.level.name.lower(), who=claim.who, instead=instead)


def channel_of(state: ClientState, step: Step, invoice_ids: tuple[str, ...]) -> Claim:
    """Return the channel of a message and who chose it; a channel that the client refused is chosen by nobody."""
    by_people = (
        claim for claim in _said(state, Matter.CHANNEL, invoice_ids) if refusal(state, step.purpose, claim.value) is None
    )
    default = Claim(Level.DEFAULT, step.channel, f"the step {step.id}")
    return resolve(Matter.CHANNEL, (default, *by_people)) or default


def tone_of_step(state: ClientState, step: Step, run: Run, policy: Policy, invoice_ids: tuple[str, ...] = ()) -> Claim:
    """Return the tone of a message and who chose it. Whoever chooses, the client's wish and the segment's ceiling soften it.

    A tone in which there are no words for the step gives way to the nearest that is no firmer, and colleagues are written to
    in the step's own.
    """
    who = f"the step {step.id}"
    if step.channel in policy.internal_channels:
        return Claim(Level.DEFAULT, step.tone.value, who)
    claim = tone_claimed(state, step.tone, step.purpose, run, invoice_ids, who=who)
    tone = Tone(claim.value)
    found = tone if tone is step.tone else nearest(tone, tones_said(policy, run, step))
    if found is tone:
        return claim
    lacks = f"{step.id} has no words in the tone {tone.value} ({claim.who}): {found.value} is the nearest that is no firmer"
    return Claim(claim.level, found.value, claim.who, lacks)


def tones_said(policy: Policy, run: Run, step: Step) -> frozenset[Tone]:
    """Return the tones in which there are words for a step: those that lint wants to find, as of others nobody knows."""
    journey, journeys = journey_of(run), policy.of_run(run).journeys
    tones = {step.tone, *(row.tone for name, row in journeys.named_steps() if (name, row.id) == (journey, step.id))}
    softer = (other for tone in tones for other in softer_than(tone)) if journey is Journey.DELAY_SUPPORT else ()
    return frozenset((*tones, *softer))


def tone_claimed(state: ClientState, tone: Tone, purpose: Purpose, run: Run, invoice_ids: tuple[str, ...], *, who: str) -> Claim:
    """Return the tone of a message that `who` wants to say in `tone`."""
    default = Claim(Level.DEFAULT, tone.value, who)
    if journey_of(run) is Journey.STATEMENT:
        return default  # a list has one register
    tones = (claim for claim in _said(state, Matter.TONE, invoice_ids) if claim.value in _TONES)
    wanted = resolve(Matter.TONE, (default, *tones)) or default
    if purpose is not Purpose.SERVICING:
        # There is one register for what is not about late money, and no word makes it firmer.
        return default if is_above(Tone(wanted.value), tone) else wanted
    segment = effective_segment(state, state.now_ms)
    tone = tone_for(Tone(wanted.value), state, run, segment=segment)
    if tone is Tone(wanted.value):
        return wanted
    gentle = state.person.style.value == Style.GENTLE.value and not is_above(tone, Tone.GENTLE)
    capped = is_above(Tone(wanted.value), CEILINGS[segment])
    if gentle and not (capped and CEILINGS[segment] is Tone.GENTLE):
        return Claim(Level.CONTACT, tone.value, "the client wants gentle messages")
    return Claim(Level.SEGMENT, tone.value, f"the ceiling of {segment.value} clients, and what else softens")


def urgency_of(state: ClientState, invoice_id: str) -> Claim | None:
    """Return by how many days support for an invoice comes later (or sooner: a negative number) and who said so."""
    if not state.person.overrides:
        return None
    days = (claim for claim in _said(state, Matter.URGENCY, (invoice_id,)) if _days(claim.value) is not None)
    return resolve(Matter.URGENCY, days)


def urgency_ms(state: ClientState, invoice_id: str) -> int:
    """Return that number of days in milliseconds, at most thirty days either way; 0 where nobody spoke."""
    claim = urgency_of(state, invoice_id)
    days = None if claim is None else _days(claim.value)
    return min(max(days or 0, _SOONEST_DAYS), _LATEST_DAYS) * DAY_MS


@dataclass(frozen=True, slots=True)
class Precedence:
    """Channel and tone of a message with who chose them, and the record of every word that was heard."""

    channel: Claim
    tone: Claim
    records: tuple[Ruled, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """Return what people read: where somebody overruled; what softens and reaches has words of its own."""
        said = (f"{row.matter} {row.value} by {row.level}, {row.who}" for row in self.records if row.level in _OVERRULING)
        return (*said, self.tone.why) if self.tone.why else tuple(said)


def precedence(state: ClientState, step: Step, run: Run, policy: Policy, invoice_ids: tuple[str, ...]) -> Precedence:
    """Return who has the say about a message; what is recorded are the matters in which somebody spoke above the default."""
    channel, tone = channel_of(state, step, invoice_ids), tone_of_step(state, step, run, policy, invoice_ids)
    if not state.person.overrides:
        return Precedence(channel, tone, (ruled(Matter.TONE, tone),) if tone.level < Level.DEFAULT else ())
    won = [(Matter.CHANNEL, channel), (Matter.TONE, tone)]
    won += [(Matter.URGENCY, claim) for name in invoice_ids[:1] if (claim := urgency_of(state, name)) is not None]
    won += [(Matter.SEGMENT, Claim(Level.OVERRIDE, row.value, _who(row))) for row in overruling(state, state.now_ms)[-1:]]
    silent = replace(state, person=replace(state.person, overrides=()))
    instead = {
        Matter.CHANNEL: channel_of(silent, step, invoice_ids).value,
        Matter.TONE: tone_of_step(silent, step, run, policy, invoice_ids).value,
        Matter.URGENCY: "0",
        Matter.SEGMENT: state.care.segment.value,
    }
    records = (ruled(matter, claim, instead=instead[matter]) for matter, claim in won if claim.level < Level.DEFAULT)
    return Precedence(channel, tone, tuple(records))


def reached_by(state: ClientState, found: Precedence, channel: str) -> tuple[Ruled, ...]:
    """Return the records of a message that leaves by `channel`: the client's own wish won where nobody overruled it."""
    won = channel == state.person.channel.value != found.channel.value and found.channel.level > Level.CONTACT
    if not won:
        return found.records
    wish = Claim(Level.CONTACT, channel, f"the client asked to be reached by {channel}")
    return (ruled(Matter.CHANNEL, wish, instead=found.channel.value), *found.records)


def _said(state: ClientState, matter: Matter, invoice_ids: tuple[str, ...]) -> Iterator[Claim]:
    """Yield what people have said, the latest last."""
    rows = [row for row in state.person.overrides if row.effect == _EFFECTS[matter] and in_force(row, state.now_ms)]
    for row in sorted(rows, key=lambda row: (row.set_at, row.override_id)):
        if not row.invoice_id:
            yield Claim(Level.OVERRIDE, row.value, _who(row))
        elif row.invoice_id in invoice_ids:
            yield Claim(Level.INVOICE, row.value, f"{_who(row)} (invoice {row.invoice_id})")


def _who(row: Override) -> str:
    return f"{row.author}: {row.reason}"


def _days(text: str) -> int | None:
    sign = text.removeprefix("-").removeprefix("+")
    return int(text) if sign.isdecimal() and len(sign) <= 3 else None  # noqa: PLR2004 - beyond years
