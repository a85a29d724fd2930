"""What a policy document must not do although its types are right. Pure: channels and templates that exist are arguments."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from models.events.signals import Purpose
from models.policy.audience_document import Use, complaints
from models.policy.document import Contact, PolicyDocument
from models.policy.experiment_lint import Place, objections
from models.policy.facts import ALLOWED_FACTS
from models.policy.finding import Finding, Path, Severity, StepPlace, repeated
from models.policy.guide_document import unreached
from models.policy.journey_document import (
    ONBOARDING_CANCELS,
    RENEWAL_CANCELS,
    SUPPORT_CANCELS,
    CliffDocument,
    JourneySection,
    StepDocument,
    entry_of,
    step_of,
)
from models.policy.journeys import MissedRun, cancels_of
from models.policy.own_lint import own_findings, own_places
from models.policy.policy import CONSOLE, EARLIEST, INTRUSIVE, LATEST, PHONE, PRIORITY, TASK
from models.policy.stakes import cost_findings
from models.policy.stated import FactsStated
from models.policy.tones import CEILINGS, RELATIONSHIP_CEILING, is_above, softer_than
from models.state.client import Segment
from models.triggers import AnyJourney, CancelWhen, Journey, Tone

_MONTH: Final = 30
_BOUND: Final = f"nobody is texted or called outside of {EARLIEST:%H:%M} to {LATEST:%H:%M}"
_SHORT_WINDOW: Final = 3
_JOURNEYS: Final = "journeys"
_PROMOTIONAL: Final = ("discount", "upgrade", "upsell", "special offer", "newsletter", "promotion", "new service", "cross-sell")
_SUPPORT: Final = frozenset(SUPPORT_CANCELS)


def lint(document: PolicyDocument, *, channels: Collection[str], facts_stated: FactsStated | None = None) -> list[Finding]:
    """Return everything to object to, in the order of the document; no template is asked for without `facts_stated`."""
    support = document.support
    found = [*_numbers(document), *_ways(document, channels)]
    found += cost_findings(support.contact_costs, support.small_units, channels)
    internal = document.contact.internal_channels
    places = [*_places(document), *own_places(document)]
    for place in places:
        found += _step(place, document.contact, channels=channels, facts_stated=facts_stated)
    found += own_findings(document)
    found += _ladders(document)
    found += _holdout(document)
    journeys = document.journeys
    after, before = journeys.post_payment_onboarding.steps, journeys.pre_renewal.steps
    found += _windows((_JOURNEYS, Journey.ONBOARDING, "steps"), after, document, is_before=False)
    found += _windows((_JOURNEYS, Journey.RENEWAL, "steps"), before, document, is_before=True)
    for journey, playbook in journeys.playbooks().items():
        is_before = isinstance(playbook.entry, CliffDocument)
        found += _windows((_JOURNEYS, journey, "steps"), playbook.steps, document, is_before=is_before)
    told = [row for row in places if row.journey is not Journey.STATEMENT]  # a list has no arms
    known = [Place(row.journey, row.step, row.ceiling, row.segment, row.is_person) for row in told]
    found += [
        Finding(*objection)
        for objection in objections(document.experiments, known, channels=channels, internal=internal, facts_stated=facts_stated)
    ]
    found += [Finding(*row, Severity.WARNING) for row in unreached(document.guides)]
    return found + [Finding(*row) for row in complaints(document.audiences, list(_audiences(document)))]


def _audiences(document: PolicyDocument) -> Iterator[Use]:
    """Yield where audiences are named: a person may look at who has just come in, all else needs clients that stay."""
    yield Use(("approval", "audiences"), document.approval.audiences)
    for place, own in enumerate(document.own_journeys):
        yield Use(("own_journeys", place, "begins", "audiences"), own.begins.audiences, lasts=True)
    for place, row in enumerate(document.experiments):
        yield Use(("experiments", place, "audiences"), row.audiences, lasts=True)


def errors_of(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings that keep a policy from being used."""
    return [finding for finding in findings if finding.severity is Severity.ERROR]


def _places(document: PolicyDocument) -> Iterator[StepPlace]:
    support = document.journeys.delayed_payment_support
    base: Path = (_JOURNEYS, Journey.DELAY_SUPPORT)
    for name, asked in (("person", support.person), ("contact_check", support.contact_check), ("ladder_end", support.ladder_end)):
        yield StepPlace(
            (*base, name), Journey.DELAY_SUPPORT, step_of(asked, support), Tone.GENTLE, "a colleague", _SUPPORT, is_person=True
        )
    plan = (Tone.GENTLE, "a client who keeps a plan", _SUPPORT)
    yield from _listed((*base, "instalment", "steps"), Journey.DELAY_SUPPORT, support.instalment.steps, support, plan)
    for segment in Segment:
        ladder = getattr(support.ladders, segment.value)
        home: Path = (*base, "ladders", segment.value)
        reader = f"a {segment.value} client"
        if ladder.person is not None:
            step = step_of(ladder.person, support)
            yield StepPlace((*home, "person"), Journey.DELAY_SUPPORT, step, CEILINGS[segment], reader, _SUPPORT, is_person=True)
        known = (CEILINGS[segment], reader, _SUPPORT)
        for place in _listed((*home, "steps"), Journey.DELAY_SUPPORT, ladder.steps, support, known):
            yield replace(place, segment=segment)
    monthly = document.journeys.monthly_statement
    yield StepPlace(
        (_JOURNEYS, Journey.STATEMENT, "step"),
        Journey.STATEMENT,
        step_of(monthly.step, monthly),
        Tone.GENTLE,
        "a client who owes little",
        _SUPPORT,
    )
    reader = "a client whose money is not late"
    onboarding, renewal = document.journeys.post_payment_onboarding, document.journeys.pre_renewal
    sections: list[tuple[AnyJourney, JourneySection, tuple[StepDocument, ...], tuple[CancelWhen, ...]]] = [
        (Journey.ONBOARDING, onboarding, onboarding.steps, ONBOARDING_CANCELS),
        (Journey.RENEWAL, renewal, renewal.steps, RENEWAL_CANCELS),
    ]
    for journey, playbook in document.journeys.playbooks().items():
        sections.append((journey, playbook, playbook.steps, cancels_of(entry_of(playbook.entry))))
    for journey, section, steps, required in sections:
        known = (RELATIONSHIP_CEILING, reader, frozenset(required))
        yield from _listed((_JOURNEYS, journey, "steps"), journey, steps, section, known)


def _listed(
    path: Path,
    journey: AnyJourney,
    steps: Sequence[StepDocument],
    section: JourneySection,
    known: tuple[Tone, str, frozenset[CancelWhen]],
) -> Iterator[StepPlace]:
    ceiling, reader, required = known
    for index, step in enumerate(steps):
        yield StepPlace((*path, index), journey, step_of(step, section), ceiling, reader, required)


def _ways(document: PolicyDocument, channels: Collection[str]) -> Iterator[Finding]:
    """Object to channels that nobody serves, that lead to the wrong people, or that ring where the client sleeps."""
    contact, approval = document.contact, document.approval.channel
    if approval not in contact.internal_channels:
        yield Finding(("approval", "channel"), f"{approval} reaches the client, not a colleague", "use task")
    elif approval == CONSOLE:
        yield Finding(("approval", "channel"), f"nobody can answer what {approval} tells", f"use {TASK}")
    known = ", ".join(sorted(set(channels) - set(contact.internal_channels)))
    for index, name in enumerate(contact.fallback_channels):
        path = ("contact", "fallback_channels", index)
        if name in contact.internal_channels:
            why = f"{name} reaches colleagues, not the client: a person is asked last, without being named here"
            yield Finding(path, why, f"remove {name}")
        elif name not in channels:
            yield Finding(path, f"no worker delivers by {name}", f"use some of {known}")
    for name, hours in sorted(contact.channel_hours.items()):
        where, span = ("contact", "channel_hours", name), f"{hours.opens:%H:%M} to {hours.closes:%H:%M}"
        if name not in {*channels, PHONE} - {*contact.internal_channels}:
            yield Finding(where, f"no worker delivers to clients by {name}", f"remove it, or use {PHONE} for calls by colleagues")
        elif name in INTRUSIVE and not (hours.opens >= EARLIEST and hours.closes <= LATEST):
            yield Finding(where, f"{name} from {span}: {_BOUND}", "keep it within that")


def _numbers(document: PolicyDocument) -> Iterator[Finding]:
    contact, segments, rfm = document.contact, document.segments, document.rfm
    if TASK not in contact.internal_channels:
        severity = Severity.WARNING if CONSOLE in contact.internal_channels else Severity.ERROR
        why = f"{TASK} must be among them: colleagues are asked there, and nowhere else can they answer"
        yield Finding(("contact", "internal_channels"), why, f"add {TASK}", severity)
    most = _MONTH // contact.min_gap_days + 1 if contact.min_gap_days else contact.contacts_per_month
    if most < contact.contacts_per_month:
        yield Finding(
            ("contact", "contacts_per_month"),
            f"{contact.contacts_per_month} are never reached: {contact.min_gap_days} days between any two allow {most}",
            f"write {most}, or a smaller min_gap_days",
            Severity.WARNING,
        )
    yield from _priority(contact.priority)
    if segments.reliable_share >= segments.slow_share:
        yield Finding(
            ("segments", "reliable_share"),
            f"must lie below slow_share ({segments.slow_share}): between the two nobody moves",
            "lower reliable_share or raise slow_share",
        )
    for name, cuts, rising in (
        ("recency_days", rfm.recency_days, False),
        ("frequency", rfm.frequency, True),
        ("monetary", rfm.monetary, True),
    ):
        if list(cuts) != sorted(set(cuts), reverse=not rising):
            way = "rise" if rising else "fall"
            yield Finding(("rfm", name), f"the cut-points must {way}: {', '.join(map(str, cuts))}", "put them in order")


def _holdout(document: PolicyDocument) -> Iterator[Finding]:
    for journey, what in ((Journey.DELAY_SUPPORT, "support in a delay"), (Journey.STATEMENT, "a statement")):
        if document.holdout.journeys.get(journey):
            path: Path = ("holdout", "journeys", journey)
            yield Finding(path, f"{what} is servicing and is withheld from nobody", f"remove {journey}")


def _priority(order: Sequence[AnyJourney]) -> Iterator[Finding]:
    path: Path = ("contact", "priority")
    missing = [journey for journey in PRIORITY if journey not in order]
    if missing or len(set(order)) != len(order):
        yield Finding(
            path, "it must name each journey once: two with one place would have no winner", f"name {', '.join(PRIORITY)}"
        )
    elif order[0] is not Journey.DELAY_SUPPORT:
        yield Finding(path, f"{order[0]} would go before help with money that is late", f"put {Journey.DELAY_SUPPORT} first")


def _step(
    place: StepPlace, contact: Contact, *, channels: Collection[str], facts_stated: FactsStated | None
) -> Iterator[Finding]:
    step, path, internal = place.step, place.path, contact.internal_channels
    if step.channel not in channels:
        known = ", ".join(sorted(channels))
        yield Finding((*path, "channel"), f"no worker delivers by {step.channel}", f"use one of {known}")
    elif place.is_person and step.channel not in internal:
        yield Finding((*path, "channel"), f"{step.channel} reaches the client, not a colleague", f"use {TASK}")
    elif step.channel == CONSOLE:
        yield Finding((*path, "channel"), f"nobody can say on the {CONSOLE} how it ended", f"use {TASK}", Severity.WARNING)
    if is_above(step.tone, place.ceiling):
        yield Finding(
            (*path, "tone"),
            f"{step.tone} is firmer than {place.reader} may meet ({place.ceiling} at most)",
            f"use {place.ceiling}, or another step",
        )
    if step.missed is MissedRun.REVIEW and place.journey is not Journey.DELAY_SUPPORT:
        yield Finding((*path, "missed"), "only support in a delay has a person to ask", "use latest or sequence")
    if step.receipt and (place.journey is not Journey.ONBOARDING or step.after_days):
        yield Finding(
            (*path, "receipt"),
            f"{step.id} answers no payment at once: outside the contact budget it could crowd",
            "remove receipt",
        )
    if place.journey is Journey.STATEMENT:
        yield from _statement(place, internal)
    yield from _purpose(place)
    yield from _cancels(place)
    yield from _unanswered(place, contact)
    if facts_stated is not None:
        yield from _template(place, facts_stated)


def _statement(place: StepPlace, internal: Collection[str]) -> Iterator[Finding]:
    if place.step.missed is not MissedRun.LATEST:
        yield Finding((*place.path, "missed"), "late, it would be said beside the next one", "use latest")
    if place.step.channel in internal:
        yield Finding((*place.path, "channel"), f"{place.step.channel} reaches colleagues, not the client", "use email")


def _unanswered(place: StepPlace, contact: Contact) -> Iterator[Finding]:
    step, path = place.step, (*place.path, "unanswered_hours")
    if not step.unanswered_hours:
        return
    if place.journey is not Journey.DELAY_SUPPORT or place.is_person or step.channel in contact.internal_channels:
        yield Finding(path, "only a message about late money is said once more: elsewhere silence is an answer", "remove it")
        return
    if not set(contact.fallback_channels) - {step.channel}:
        yield Finding(path, f"there is no channel but {step.channel} to say it by", "name some in contact.fallback_channels")
    wait_days = max(step.unanswered_hours / 24, contact.min_gap_days)
    if wait_days >= step.valid_days:
        yield Finding(
            path,
            f"it would come after {wait_days:g} days (the gap between two contacts counts), when {step.id} is no longer sent",
            f"let it come within {step.valid_days} days, or let {step.id} be valid for longer",
        )


def _purpose(place: StepPlace) -> Iterator[Finding]:
    step, path = place.step, (*place.path, "purpose")
    if place.journey in {Journey.DELAY_SUPPORT, Journey.STATEMENT}:
        if step.purpose is not Purpose.SERVICING:
            what = "support in a delay" if place.journey is Journey.DELAY_SUPPORT else "a statement"
            yield Finding(
                path,
                f"{what} is servicing; as {step.purpose} it could not name the invoice, and a client could miss it",
                "leave purpose out",
            )
    elif step.purpose is Purpose.SERVICING:
        yield Finding(
            path,
            "this is no servicing: it would reach clients who refused relationship messages",
            "use relationship",
        )
    elif step.purpose is Purpose.PROMOTION:
        yield Finding(path, "no promotion leaves from this journey: its facts may not be used for that", "use relationship")
    word = next((word for word in _PROMOTIONAL if word in step.why.lower()), None)
    if step.purpose is Purpose.SERVICING and word:
        yield Finding(
            (*place.path, "why"),
            f"a servicing message must not promote anything ({word!r}): consent for one is none for the other",
            "make it a step of its own, with its own purpose",
        )


def _cancels(place: StepPlace) -> Iterator[Finding]:
    step, path = place.step, (*place.path, "cancel_when")
    missing = [predicate for predicate in CancelWhen if predicate in place.required - set(step.cancel_when)]
    if missing:
        names = ", ".join(missing)
        yield Finding(path, f"{names} must stop it, else it would be sent although it is no longer true", f"add {names}")
    strange = [predicate for predicate in step.cancel_when if predicate not in place.required]
    if strange:
        names = ", ".join(strange)
        yield Finding(path, f"{names} says nothing about {place.journey}: it would always or never hold", f"remove {names}")


def _template(place: StepPlace, facts_stated: FactsStated) -> Iterator[Finding]:
    step = place.step
    softer = () if place.is_person or place.journey is not Journey.DELAY_SUPPORT else softer_than(step.tone)
    for tone in (step.tone, *softer):
        stated = facts_stated(place.journey, step.id, tone)
        if stated is None:
            may = "" if tone is step.tone else ", which it is softened to for some clients"
            yield Finding(
                (*place.path, "tone"),
                f"there is no template for {place.journey}/{step.id} in the tone {tone}{may}",
                "use a tone that has one, or write the template",
            )
            continue
        forbidden = sorted(set(stated.facts) - ALLOWED_FACTS[step.purpose])
        if forbidden:
            yield Finding(
                (*place.path, "id"),
                f"its template states {', '.join(forbidden)}, which a {step.purpose} message may not",
                "take the facts out of the template",
            )
        if stated.untranslated:
            yield Finding(
                (*place.path, "id"),
                f"its template in the tone {tone} is not written in {', '.join(stated.untranslated)}",
                "write it in every language: a client would get English without having asked for it",
            )


def _ladders(document: PolicyDocument) -> Iterator[Finding]:
    support = document.journeys.delayed_payment_support
    for segment in Segment:
        ladder = getattr(support.ladders, segment.value)
        path: Path = (_JOURNEYS, Journey.DELAY_SUPPORT, "ladders", segment.value, "steps")
        person = ladder.person or support.person
        yield from repeated(path, [step.id for step in ladder.steps], {person.id})
        for index, step in enumerate(ladder.steps):
            if step.after_days < 0:
                yield Finding(
                    (*path, index, "after_days"), "support never starts before the money is late", "count from the step before"
                )
        for index, (step, following) in enumerate(pairwise(ladder.steps)):
            if step.valid_days > following.after_days:
                yield _too_long((*path, index, "valid_days"), step, following, following.after_days)
            if 0 <= following.after_days < document.contact.min_gap_days:
                yield Finding(
                    (*path, index + 1, "after_days"),
                    f"it waits for the gap of {document.contact.min_gap_days} days between any two contacts",
                    "write at least as many days",
                    Severity.WARNING,
                )


def _windows(path: Path, steps: Sequence[StepDocument], document: PolicyDocument, *, is_before: bool) -> Iterator[Finding]:
    yield from repeated(path, [step.id for step in steps], set())
    for index, step in enumerate(steps):
        if is_before == (step.after_days >= 0):
            side = "before the renewal: a negative number" if is_before else "after what it is about: no negative number"
            yield Finding((*path, index, "after_days"), f"{step.id} is never reached; it must lie {side}", "correct after_days")
        if step.valid_days < _SHORT_WINDOW:
            yield Finding(
                (*path, index, "valid_days"),
                f"a window of {step.valid_days} days may fall on closed days altogether",
                f"write at least {_SHORT_WINDOW}",
                Severity.WARNING,
            )
    gap_days = document.contact.min_gap_days
    for index, (step, following) in enumerate(pairwise(steps)):
        gap = following.after_days - step.after_days
        if gap <= 0:
            yield Finding(
                (*path, index + 1, "after_days"),
                f"{following.id} comes after {step.id} in the list but not in time",
                "list the steps in the order of their days",
            )
        elif step.valid_days > gap:
            yield _too_long((*path, index, "valid_days"), step, following, gap)
        if 0 < gap <= gap_days - following.valid_days:
            yield Finding(
                (*path, index + 1, "after_days"),
                f"{following.id} is never reached after {step.id}: its window closes within the gap of {gap_days} days",
                "move it, or let it be valid for longer",
            )


def _too_long(path: Path, step: StepDocument, following: StepDocument, gap: int) -> Finding:
    return Finding(
        path,
        f"{step.id} may still be sent after {step.valid_days} days, when {following.id} is due already ({gap} days later)",
        f"write at most {max(gap, 1)}",
    )
