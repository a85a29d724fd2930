"""The part of the policy document that describes experiments: written down whole before the first company is drawn."""

from types import MappingProxyType
from typing import Annotated, Self

from pydantic import Field, StringConstraints

from models.policy.document_parts import Name, Section, Share
from models.policy.experiments import Arm, Experiment, Guardrail
from models.state.client import Segment
from models.triggers import AnyJourney, Tone


class ArmDocument(Section):
    """What one group gets: the step as it stands, but for what is named here."""

    name: Name
    weight: Annotated[int, Field(ge=1, le=9)] = 1
    words: Name | None = Field(default=None, description="Said in the words of this other step of the journey.")
    tone: Tone | None = None
    channel: Name | None = Field(default=None, description="Where it reaches the client; everybody else gets the step's own.")
    wait_days: Annotated[int, Field(ge=0, le=7)] = Field(
        default=0, description="The step waits so long. To try an earlier day, move the step and let the arm of today's day wait."
    )


class ExperimentDocument(Section):
    """Arms of one step, the first of which the others are held against. No arm can withhold a message or a way out."""

    name: Name
    hypothesis: Annotated[str, StringConstraints(min_length=10, max_length=300, strip_whitespace=True)] = Field(
        description="What is expected, and why; written before it begins."
    )
    journey: AnyJourney
    step: Name
    arms: Annotated[tuple[ArmDocument, ...], Field(min_length=2, max_length=4)]
    segments: tuple[Segment, ...] = Field(default=(), description="Only companies of these when first exposed; none: all.")
    audiences: Annotated[tuple[Name, ...], Field(max_length=20)] = Field(
        default=(), description="Only companies in one of these audiences when first exposed; none: all."
    )
    key: Annotated[str, StringConstraints(min_length=1, max_length=20)] = Field(
        default="1", description="Another key draws other groups: for a repetition."
    )
    horizon_days: Annotated[int, Field(ge=7, le=90)] = Field(
        default=30, description="How long after its first exposure a company's outcome is known."
    )
    least_days: Annotated[float, Field(gt=0, le=60)] = Field(
        default=2.0, description="The smallest difference in days to pay that would matter."
    )
    planned: Annotated[int, Field(ge=20, le=1_000_000)] = Field(default=200, description="Companies it is planned for.")
    limits: dict[Guardrail, Share] = Field(
        default_factory=dict,
        description="How much larger a guardrail's share may be than in the first arm; left out: not at all.",
    )

    @classmethod
    def of(cls, experiment: Experiment) -> Self:
        """Return the document of an experiment."""
        arms = tuple(
            ArmDocument(
                name=arm.name,
                weight=arm.weight,
                words=arm.words or None,
                tone=arm.tone,
                channel=arm.channel or None,
                wait_days=arm.wait_days,
            )
            for arm in experiment.arms
        )
        names = ("name", "hypothesis", "journey", "step", "segments", "audiences", "key", "horizon_days", "least_days", "planned")
        return cls(**{name: getattr(experiment, name) for name in names}, arms=arms, limits=dict(experiment.limits))

    def experiment(self) -> Experiment:
        """Return the experiment that is described."""
        arms = tuple(Arm(arm.name, arm.weight, arm.words or "", arm.tone, arm.channel or "", arm.wait_days) for arm in self.arms)
        return Experiment(
            self.name,
            self.hypothesis,
            self.journey,
            self.step,
            arms,
            segments=self.segments,
            audiences=self.audiences,
            key=self.key,
            horizon_days=self.horizon_days,
            least_days=self.least_days,
            planned=self.planned,
            limits=MappingProxyType({row: self.limits.get(row, 0.0) for row in Guardrail}),
        )
