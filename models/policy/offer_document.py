"""The table of what messages may offer, as part of the policy document. A cell that would offer nothing is refused here."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Annotated, Final, Self, TypeAlias

from pydantic import Field, model_validator

from models.policy.causes import Cause
from models.policy.document_parts import Section, Units
from models.policy.offers import EVERY_WAY, IN_PARTS, Offers, Terms, Way
from models.state.client import Segment

_T: Final = Terms()

Ways: TypeAlias = Annotated[tuple[Way, ...], Field(min_length=1)]


def _in_order(ways: Iterable[Way]) -> tuple[Way, ...]:
    return tuple(way for way in Way if way in set(ways))


class TermsSection(Section):
    """What messages to one segment may offer by themselves; beyond it a person is asked."""

    ways: Ways = Field(default=_in_order(_T.ways), description="Ways out that messages name.")
    most_instalments: Annotated[int, Field(ge=2, le=36)] = Field(default=_T.most_instalments, description="Of a plan.")
    most_days: Annotated[int, Field(ge=1, le=365)] = Field(default=_T.most_days, description="Of a later day.")
    least_units: Units = Field(default=_T.least_units, description="Less than this is not offered in parts.")

    def terms(self) -> Terms:
        """Return these terms as the policy keeps them."""
        return Terms(frozenset(self.ways), self.most_instalments, self.most_days, self.least_units)

    @classmethod
    def of(cls, terms: Terms) -> Self:
        """Return the section that describes `terms`."""
        return cls(
            ways=_in_order(terms.ways),
            most_instalments=terms.most_instalments,
            most_days=terms.most_days,
            least_units=terms.least_units,
        )


class OffersSection(Section):
    """Which ways out a message about late money may offer, by segment and by what its lateness probably comes from."""

    new: TermsSection = TermsSection()
    reliable: TermsSection = TermsSection()
    slow: TermsSection = TermsSection()
    problem: TermsSection = TermsSection()
    causes: dict[Cause, Ways] = Field(
        default_factory=dict, description="Only these where the cause is guessed, e.g. cash: [plan, deferral]."
    )

    @model_validator(mode="after")
    def _leaves_a_way_out(self) -> Self:
        for segment in Segment:
            terms: TermsSection = getattr(self, segment.value)
            for cause, named in (("", EVERY_WAY), *((cause.value, frozenset(ways)) for cause, ways in self.causes.items())):
                left = frozenset(terms.ways) & named
                if not (left - IN_PARTS if terms.least_units else left):
                    about = f" whose cause is {cause}" if cause else ""
                    small = f" for less than {terms.least_units}" if terms.least_units else ""
                    message = (
                        f"a message to a {segment.value} client{about} would offer no way out{small}: add deferral, method or"
                        " contact, every message offers one at least"
                    )
                    raise ValueError(message)
        return self

    def offers(self) -> Offers:
        """Return the table as the policy keeps it."""
        return Offers(
            MappingProxyType({segment: getattr(self, segment.value).terms() for segment in Segment}),
            MappingProxyType({cause: frozenset(ways) for cause, ways in self.causes.items()}),
        )

    @classmethod
    def of(cls, offers: Offers) -> Self:
        """Return the section that describes `offers`."""
        return cls(
            **{segment.value: TermsSection.of(terms) for segment, terms in offers.segments.items()},
            causes={cause: _in_order(ways) for cause, ways in offers.causes.items()},
        )
