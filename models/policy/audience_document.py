"""The part of the policy document that names audiences, and what to object to in it."""

from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple, Self, TypeAlias

from pydantic import Field, StringConstraints, model_validator

from models.policy.audiences import Audience, Between, Figure, OneOf, Rule, Trait
from models.policy.document_parts import Name, Section, Words
from models.state.client import Segment

_Bound: TypeAlias = Annotated[float, Field(ge=0, le=1_000_000_000)]
_Word: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class FigureRule(Section):
    """A number of the client lies within bounds, both included."""

    figure: Figure
    at_least: _Bound | None = None
    at_most: _Bound | None = None

    @model_validator(mode="after")
    def _says_something_that_can_be(self) -> Self:
        if self.at_least is None and self.at_most is None:
            message = f"a rule about {self.figure.value} needs at_least, at_most or both"
            raise ValueError(message)
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            message = f"{self.figure.value} cannot be at least {self.at_least:g} and at most {self.at_most:g}"
            raise ValueError(message)
        return self


class TraitRule(Section):
    """A word about the client is one of these."""

    trait: Trait
    one_of: Annotated[tuple[_Word, ...], Field(min_length=1, max_length=50)]

    @model_validator(mode="after")
    def _segments_there_are(self) -> Self:
        unknown = set(self.one_of) - {row.value for row in Segment} if self.trait is Trait.SEGMENT else set()
        if unknown:
            message = f"there is no segment {', '.join(sorted(unknown))}; there are {', '.join(Segment)}"
            raise ValueError(message)
        return self


RuleDocument: TypeAlias = FigureRule | TraitRule
Rules: TypeAlias = Annotated[tuple[RuleDocument, ...], Field(max_length=12)]


class AudienceDocument(Section):
    """Those of whom each rule of `all` holds, and at least one of `any` where there are some."""

    name: Name
    why: Words = Field(description="What is special about them, for people.")
    all: Rules = ()
    any: Rules = ()
    dwell_days: Annotated[int, Field(ge=0, le=180)] = Field(
        default=0, description="A client joins after so many days in which the rules held, and leaves after as many without."
    )

    @model_validator(mode="after")
    def _means_somebody(self) -> Self:
        if not self.all and not self.any:
            message = f"{self.name} has no rule: everybody would belong to it"
            raise ValueError(message)
        return self

    @classmethod
    def of(cls, audience: Audience) -> Self:
        """Return the document of an audience."""
        every, either = (tuple(map(_rule_document, rules)) for rules in (audience.every, audience.either))
        return cls(name=audience.name, why=audience.why, all=every, any=either, dwell_days=audience.dwell_days)

    def audience(self) -> Audience:
        """Return the audience that is described."""
        return Audience(self.name, self.why, tuple(map(_rule, self.all)), tuple(map(_rule, self.any)), self.dwell_days)


Complaint: TypeAlias = tuple[tuple[str | int, ...], str, str]
"""Where in the document, what is wrong, and what to do about it."""


class Use(NamedTuple):
    """Where a policy names audiences; `lasts`: what follows would come and go with a client at the edge."""

    place: tuple[str | int, ...]
    names: Sequence[str]
    lasts: bool = False


def complaints(audiences: Sequence[AudienceDocument], uses: Sequence[Use]) -> Iterator[Complaint]:
    """Yield what to object to: names there twice, rules said twice, and uses of an audience that is not there, or flickers."""
    known: dict[str, AudienceDocument] = {}
    for place, row in enumerate(audiences):
        if row.name in known:
            yield ("audiences", place, "name"), f"there are two audiences {row.name}", "give each a name of its own"
        known[row.name] = row
        rules = [*row.all, *row.any]
        if any(rule in rules[:before] for before, rule in enumerate(rules)):
            yield ("audiences", place), f"a rule of {row.name} is there twice", "leave it where it decides: in `all` or in `any`"
    there = ", ".join(sorted(known)) or "none"
    for use, (place, name) in ((row, named) for row in uses for named in enumerate(row.names)):
        if name not in known:
            yield (*use.place, place), f"there is no audience {name}; there are: {there}", "define it under audiences"
        elif use.lasts and not known[name].dwell_days:
            problem = f"a client at the edge of {name} would come and go"
            yield (*use.place, place), problem, f"give {name} its dwell_days, e.g. 30"


def _rule(row: RuleDocument) -> Rule:
    match row:
        case FigureRule():
            return Between(row.figure, row.at_least, row.at_most)
        case TraitRule():
            return OneOf(row.trait, row.one_of)


def _rule_document(row: Rule) -> RuleDocument:
    match row:
        case Between():
            return FigureRule(figure=row.figure, at_least=row.at_least, at_most=row.at_most)
        case OneOf():
            return TraitRule(trait=row.trait, one_of=row.words)
