"""What journeys of the firm's own must not do although their types are right. Pure."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from models.policy.document import PolicyDocument
from models.policy.finding import Finding, Path, StepPlace, repeated
from models.policy.journeys import cancels_of
from models.policy.own_document import OwnJourneyDocument, OwnStepDocument
from models.policy.timing import Anchor, Unit
from models.policy.tones import RELATIONSHIP_CEILING
from models.triggers import CancelWhen, Journey

SECTION: Final = "own_journeys"
_EXITS: Final = (CancelWhen.INVOICES_SETTLED, CancelWhen.INVOICES_PROMISED)
_OF_INVOICE: Final = frozenset({Anchor.ISSUE, Anchor.DUE})
_DAYS: Final = {Unit.HOURS: 1 / 24, Unit.DAYS: 1, Unit.BUSINESS_DAYS: 1.4, Unit.WEEKS: 7, Unit.MONTHS: 30}


def own_places(document: PolicyDocument) -> Iterator[StepPlace]:
    """Yield each step of the firm's own journeys, for the checks of all steps."""
    for index, row in enumerate(document.own_journeys):
        playbook = row.playbook()
        required = frozenset(cancels_of(playbook.entry))
        for place, step in enumerate(playbook.steps):
            path: Path = (SECTION, index, "steps", place)
            yield StepPlace(path, playbook.journey, step, RELATIONSHIP_CEILING, "a client whose money is not late", required)


def own_findings(document: PolicyDocument) -> Iterator[Finding]:
    """Yield what is wrong with the journeys themselves, and with words elsewhere that name none."""
    names: set[str] = set()
    for index, row in enumerate(document.own_journeys):
        path: Path = (SECTION, index)
        if row.name in names:
            yield Finding((*path, "name"), f"{row.name} is there twice", "rename it")
        names.add(row.name)
        yield from _begins(row, path)
        yield from repeated((*path, "steps"), [step.id for step in row.steps], set())
        for place, step in enumerate(row.steps):
            yield from _step(step, row, (*path, "steps", place))
        yield from _order(row, (*path, "steps"))
    known = {*names, *(journey.value for journey in Journey)}
    named: list[tuple[Path, str]] = [
        (("contact", "priority", place), name.value) for place, name in enumerate(document.contact.priority)
    ]
    named += [(("holdout", "journeys", name.value), name.value) for name in document.holdout.journeys]
    named += [(("experiments", place, "journey"), row.journey.value) for place, row in enumerate(document.experiments)]
    for where, name in named:
        if name not in known:
            yield Finding(where, f"there is no journey {name}", f"use one of {', '.join(sorted(known))}")


def _begins(row: OwnJourneyDocument, path: Path) -> Iterator[Finding]:
    begins = row.begins
    where = (*path, "begins")
    if begins.anchor is Anchor.LAST_CONTACT:
        yield Finding(
            (*where, "anchor"), "a contact of ours begins nothing: steps may count from it", "use an event of the client's"
        )
    if begins.methods and begins.anchor is not Anchor.PAYMENT:
        yield Finding((*where, "methods"), f"nothing was paid yet at the {begins.anchor}: it would never begin", "remove methods")
    if begins.service_lines and begins.anchor is Anchor.PROMISED:
        yield Finding((*where, "service_lines"), "a promise names no service: it would never begin", "remove service_lines")
    for place, exit_ in enumerate(row.ends_when):
        if exit_ not in _EXITS or begins.anchor not in _OF_INVOICE:
            fix = f"use {' or '.join(_EXITS)}" if begins.anchor in _OF_INVOICE else "remove it"
            yield Finding((*path, "ends_when", place), f"{exit_} ends no run that begins at the {begins.anchor}", fix)


def _step(step: OwnStepDocument, row: OwnJourneyDocument, path: Path) -> Iterator[Finding]:
    anchor, begins = step.anchor or row.begins.anchor, row.begins.anchor
    known = {begins, Anchor.LAST_CONTACT, *(_OF_INVOICE if begins in _OF_INVOICE else ())}
    if anchor not in known:
        message = f"a run that begins at the {begins} knows no {anchor.replace('_', ' ')}"
        yield Finding((*path, "anchor"), message, f"use one of {', '.join(sorted(known))}")
    if step.at is not None and step.unit is Unit.HOURS:
        yield Finding((*path, "at"), "hours are counted from the moment itself", "remove at, or count in days")
    if anchor is Anchor.RENEWAL and step.count >= 0:
        yield Finding(
            (*path, "count"), f"{step.id} is never reached: once renewed, the period is another", "use a negative count"
        )
    if anchor in {Anchor.PAYMENT, Anchor.ISSUE, Anchor.LAST_CONTACT} and step.count < 0:
        yield Finding(
            (*path, "count"), f"nobody knows of the {anchor.replace('_', ' ')} before it happens", "use a positive count"
        )


def _order(row: OwnJourneyDocument, path: Path) -> Iterator[Finding]:
    for place, (step, following) in enumerate(pairwise(row.steps)):
        if (step.anchor or row.begins.anchor) != (following.anchor or row.begins.anchor):
            continue
        first, second = (each.count * _DAYS[each.unit] for each in (step, following))
        if second <= first:
            message = f"{following.id} comes after {step.id} in the list but not in time"
            yield Finding((*path, place + 1, "count"), message, "list the steps in the order of their days")
        elif step.valid_days > second - first:
            message = f"{step.id} may still be sent after {step.valid_days} days, when {following.id} is due already"
            yield Finding((*path, place, "valid_days"), message, f"write at most {max(1, int(second - first))}")
