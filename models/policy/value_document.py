"""How the firm counts what a client is worth and what winning one costs, as part of the policy document."""

from types import MappingProxyType
from typing import Annotated, Final, Self, TypeAlias

from pydantic import Field, StringConstraints

from models.learners.lifetime import ValueTerms
from models.policy.document_parts import Section, Share, Units

_V: Final = ValueTerms()

Group: TypeAlias = Annotated[str, StringConstraints(pattern=r"^(type|segment):.+$", max_length=110)]


class ValueSection(Section):
    """What is left of a price, and what winning a client costs: for lifetime values and paybacks. It sends nothing."""

    margin: Share = Field(default=_V.margin, description="Share of the price that remains.")
    servicing_units: Units = Field(default=_V.servicing_units, description="What a contract costs a month.")
    discount_rate: Share = Field(default=_V.discount_rate, description="Per year; 0: later money counts as much.")
    horizon_years: Annotated[float, Field(gt=0, le=20)] = Field(default=_V.horizon_years, description="How far ahead is counted.")
    acquisition_units: Units = Field(default=_V.acquisition_units, description="What winning a client costs.")
    acquisition_of: dict[Group, Units] = Field(
        default_factory=dict, description="Groups that cost another amount: type:retainer, segment:slow."
    )
    most_shift: Annotated[float, Field(ge=0, le=0.5)] = Field(
        default=_V.most_shift, description="Share of a group's budget of care that a quarter's suggestion moves at most."
    )

    @classmethod
    def of(cls, terms: ValueTerms) -> Self:
        """Return the section that describes `terms`."""
        names = [name for name in cls.model_fields if name != "acquisition_of"]
        return cls(**{name: getattr(terms, name) for name in names}, acquisition_of=dict(terms.acquisition_of))

    def terms(self) -> ValueTerms:
        """Return the terms that the section describes."""
        return ValueTerms(
            margin=self.margin,
            servicing_units=self.servicing_units,
            discount_rate=self.discount_rate,
            horizon_years=self.horizon_years,
            acquisition_units=self.acquisition_units,
            acquisition_of=MappingProxyType(dict(self.acquisition_of)),
            most_shift=self.most_shift,
        )
