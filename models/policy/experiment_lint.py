"""What an experiment must not do although its types are right: above all, leave anybody with less help than the others."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from models.policy.experiment_document import ArmDocument, ExperimentDocument
from models.policy.facts import ALLOWED_FACTS
from models.policy.journeys import Step
from models.policy.stated import FactsStated
from models.policy.tones import is_above, softer_than
from models.state.client import Segment
from models.triggers import AnyJourney, Journey, Tone

Path: TypeAlias = tuple[str | int, ...]
Objection: TypeAlias = tuple[Path, str, str]
"""Where, what is wrong, and the fix."""

NOTICE: Final = frozenset({"amount_open", "due_date", "invoice_numbers", "plan_possible", "later_possible", "deferral_possible"})
"""What a message tells of the matter and of the ways out: every arm tells it where the step does."""

_SECTION: Final = "experiments"


class Place(NamedTuple):
    """A step as the policy has it: in which journey, for which segment (none: any), and how firm it may be at most."""

    journey: AnyJourney
    step: Step
    ceiling: Tone
    segment: Segment | None
    is_person: bool


def objections(
    experiments: Sequence[ExperimentDocument],
    places: Sequence[Place],
    *,
    channels: Collection[str],
    internal: Collection[str],
    facts_stated: FactsStated | None,
) -> Iterator[Objection]:
    """Yield everything to object to, in the order of the document."""
    names = Counter(row.name for row in experiments)
    steps = Counter((row.journey, row.step) for row in experiments)
    for index, row in enumerate(experiments):
        path: Path = (_SECTION, index)
        if names[row.name] > 1:
            yield (*path, "name"), f"{row.name} is there twice: their companies could not be told apart", "rename it"
        if steps[row.journey, row.step] > 1:
            yield (*path, "step"), f"{row.step} is in two experiments: neither could be read", "let one end first"
        found = [
            place
            for place in places
            if (place.journey, place.step.id) == (row.journey, row.step)
            and (not row.segments or place.segment is None or place.segment in row.segments)
        ]
        if not found:
            yield (*path, "step"), f"{row.journey} has no step {row.step} for these companies", "name one of its steps"
        elif any(place.is_person or place.step.channel in internal for place in found):
            yield (
                (*path, "step"),
                f"{row.step} is a person's help, and nobody is left with another one by a draw",
                "name a step that sends a message",
            )
        else:
            yield from _arms(row, path, found, channels=channels, internal=internal, facts_stated=facts_stated)


def _arms(
    row: ExperimentDocument,
    path: Path,
    places: Sequence[Place],
    *,
    channels: Collection[str],
    internal: Collection[str],
    facts_stated: FactsStated | None,
) -> Iterator[Objection]:
    seen: set[tuple[object, ...]] = set()
    named = Counter(arm.name for arm in row.arms)
    for index, arm in enumerate(row.arms):
        where: Path = (*path, "arms", index)
        same = (arm.words, arm.tone, arm.channel, arm.wait_days)
        if same in seen:
            yield where, f"{arm.name} changes the same as an arm before it", "change one thing, or remove it"
        seen.add(same)
        if named[arm.name] > 1:
            yield (*where, "name"), f"{arm.name} is there twice", "rename it"
        if arm.channel is not None and arm.channel in internal:
            yield (
                (*where, "channel"),
                f"{arm.channel} reaches colleagues: the client would be left without the message",
                "use a channel that reaches the client",
            )
        elif arm.channel is not None and arm.channel not in channels:
            yield (*where, "channel"), f"no worker delivers by {arm.channel}", f"use one of {', '.join(sorted(channels))}"
        for place in places:
            yield from _arm(arm, where, place, facts_stated)


def _arm(arm: ArmDocument, where: Path, place: Place, facts_stated: FactsStated | None) -> Iterator[Objection]:
    step, tone = place.step, arm.tone or place.step.tone
    if is_above(tone, place.ceiling):
        yield (*where, "tone"), f"{tone} is firmer than its readers may meet ({place.ceiling} at most)", f"use {place.ceiling}"
    if arm.wait_days >= step.valid_days:
        yield (
            (*where, "wait_days"),
            f"after {arm.wait_days} days {step.id} may not be sent any more: it would be withheld",
            f"write at most {step.valid_days - 1}",
        )
    if facts_stated is None:
        return
    own = facts_stated(place.journey, step.id, step.tone)
    notice = set(own.own if own else ()) & NOTICE
    softer = softer_than(tone) if place.journey is Journey.DELAY_SUPPORT else ()
    for spoken in (tone, *softer):
        yield from _words(arm, where, place, tone=spoken, facts_stated=facts_stated, notice=notice)


def _words(
    arm: ArmDocument, where: Path, place: Place, *, tone: Tone, facts_stated: FactsStated, notice: Collection[str]
) -> Iterator[Objection]:
    words, purpose = arm.words or place.step.id, place.step.purpose
    stated = facts_stated(place.journey, words, tone)
    if stated is None or stated.untranslated:
        lacks = f" in {', '.join(stated.untranslated)}" if stated else ""
        yield (
            (*where, "words" if arm.words else "tone"),
            f"there is no template for {place.journey}/{words} in the tone {tone}{lacks}",
            "use words and a tone that have one, or write the template",
        )
        return
    forbidden = sorted(set(stated.facts) - ALLOWED_FACTS[purpose])
    if forbidden:
        yield (*where, "words"), f"its template states {', '.join(forbidden)}, which a {purpose} message may not", "use others"
    left_out = sorted(set(notice) - set(stated.own))
    if left_out:
        yield (
            (*where, "words"),
            f"its readers would not learn {', '.join(left_out)}, as the others do",
            "use words that tell as much: no arm withholds a notice or a way out",
        )
