"""The part of the policy document in which a firm declares journeys of its own: closed sets of anchors, units and conditions."""

from datetime import time
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from models.events.payments import PaymentMethod
from models.events.signals import Purpose
from models.journey_names import OWN_JOURNEYS
from models.patterns import Pattern
from models.policy.document_parts import Name, Section, Words
from models.policy.journeys import OwnEntry, Playbook, Size, Step, cancels_of
from models.policy.timing import Anchor, Timing, Unit
from models.state.client import Segment
from models.triggers import CancelWhen, Journey, OwnJourney, Tone

Text = Annotated[str, StringConstraints(min_length=1, max_length=60, strip_whitespace=True)]


class BeginsDocument(Section):
    """What begins a run: the event at its anchor, where every condition that is given holds (of several values one is enough)."""

    anchor: Anchor = Field(
        description="payment: money arrived; issue, due: an invoice was sent; promised: a day was promised; renewal: a contract"
        " renews."
    )
    segments: tuple[Segment, ...] = ()
    audiences: Annotated[tuple[Name, ...], Field(max_length=20)] = Field(
        default=(), description="Of clients in one of these audiences, each of which takes its time (dwell_days)."
    )
    service_lines: tuple[Text, ...] = Field(default=(), description="Of the invoice, the paid invoice or the contract.")
    contract_types: tuple[Text, ...] = Field(default=(), description="Of its contract, else of any that the client has.")
    methods: tuple[PaymentMethod, ...] = Field(default=(), description="How it was paid; of payments only.")
    sizes: tuple[Size, ...] = Field(default=(), description="Its amount, by onboarding.micro_units and large_units.")
    pattern: Pattern | None = Field(default=None, description="This pattern is complete in the client's rhythm at that moment.")


class OwnStepDocument(Section):
    """One contact: so many units after an anchor (negative: before it), in words of the firm's own."""

    id: Name = Field(description="Its name; with the tone it chooses the template, NAME/ID.TONE.j2 in the firm's own folder.")
    count: Annotated[int, Field(ge=-400, le=400)] = Field(description="How many units after the anchor; negative is before it.")
    unit: Unit
    anchor: Anchor | None = Field(default=None, description="What it counts from; none: what begins the journey.")
    at: time | None = Field(
        default=None, description="Not before this hour of that day, in the client's own time; not with hours."
    )
    valid_days: Annotated[int, Field(ge=1, le=90)] = 14
    tone: Tone = Tone.GENTLE
    why: Words = Field(description="Its reason, in words for people.")
    channel: Name = "email"


class OwnJourneyDocument(Section):
    """A journey of the firm's own. It serves the relationship: about money that is late, support alone speaks."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
    title: Words = Field(description="What it is called where people read of it.")
    enabled: bool = True
    begins: BeginsDocument
    steps: Annotated[tuple[OwnStepDocument, ...], Field(min_length=1, max_length=6)]
    ends_when: tuple[CancelWhen, ...] = Field(
        default=(), description="Ends a run early, besides what must: invoices_settled or invoices_promised (issue and due only)."
    )
    cooldown_days: Annotated[int, Field(ge=30, le=800)] = Field(
        default=90, description="No run begins within so many days of the one before."
    )
    again: bool = Field(default=True, description="It may begin anew after the cooldown; false: once per client.")

    @model_validator(mode="after")
    def _is_no_name_of_ours(self) -> Self:
        if self.name in {OWN_JOURNEYS, *(journey.value for journey in Journey)}:
            message = f"{self.name} is a journey of ours: change it under journeys, or take another name"
            raise ValueError(message)
        return self

    def playbook(self) -> Playbook:
        """Return the journey as the engine runs it."""
        begins = self.begins
        entry = OwnEntry(
            begins.anchor,
            segments=begins.segments,
            service_lines=begins.service_lines,
            contract_types=begins.contract_types,
            methods=begins.methods,
            sizes=begins.sizes,
            pattern=begins.pattern,
            exits=self.ends_when,
            once=not self.again,
            title=self.title,
            audiences=begins.audiences,
        )
        cancels = cancels_of(entry)
        steps = tuple(
            Step(
                row.id,
                0,
                row.valid_days,
                row.tone,
                Purpose.RELATIONSHIP,
                cancels,
                row.why,
                channel=row.channel,
                timing=Timing(row.anchor or begins.anchor, row.count, row.unit, row.at),
            )
            for row in self.steps
        )
        return Playbook(OwnJourney(self.name), entry, steps, self.cooldown_days, enabled=self.enabled)

    @classmethod
    def of(cls, playbook: Playbook) -> "OwnJourneyDocument":
        """Return the document of a journey, with nothing left out."""
        entry = playbook.entry
        if not isinstance(entry, OwnEntry):
            message = f"{playbook.journey} is no journey of the firm's own"
            raise TypeError(message)
        return cls(
            name=playbook.journey.value,
            title=entry.title,
            enabled=playbook.enabled,
            begins=BeginsDocument(
                anchor=entry.anchor,
                segments=entry.segments,
                audiences=entry.audiences,
                service_lines=entry.service_lines,
                contract_types=entry.contract_types,
                methods=entry.methods,
                sizes=entry.sizes,
                pattern=entry.pattern,
            ),
            steps=tuple(_step_document(step, entry) for step in playbook.steps),
            ends_when=entry.exits,
            cooldown_days=playbook.cooldown_days,
            again=not entry.once,
        )


def _step_document(step: Step, entry: OwnEntry) -> OwnStepDocument:
    timing = step.timing or Timing(entry.anchor, step.after_days, Unit.DAYS)
    return OwnStepDocument(
        id=step.id,
        count=timing.count,
        unit=timing.unit,
        anchor=timing.anchor,
        at=timing.at,
        valid_days=step.valid_days,
        tone=step.tone,
        why=step.why,
        channel=step.channel,
    )
