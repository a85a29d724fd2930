"""How old what was learnt may be, as part of the policy document."""

from dataclasses import asdict
from typing import Final, Self

from pydantic import Field

from models.policy.document_parts import Days, Section
from models.policy.freshness import MaxAge

_M: Final = MaxAge()


class MaxAgeSection(Section):
    """Days after which something learnt is not relied on any more: rules decide, never firmer or sooner. 0: however old."""

    score_days: Days = Field(
        default=_M.score_days, description="A score, counted from when its question was put; older: as with too little history."
    )
    learner_days: Days = Field(
        default=_M.learner_days, description="A score by a learner that knows nothing of the last so many days: likewise."
    )
    pay_date_days: Days = Field(
        default=_M.pay_date_days,
        description="The expected pay date of support.foresight_days; older: the client's own habit, where it waits longer.",
    )
    renewal_days: Days = Field(
        default=_M.renewal_days, description="The chance of a renewal; older: it begins at the usual time, not earlier."
    )
    segment_days: Days = Field(
        default=_M.segment_days, description="The newest invoice a move rests on; older: nobody moves to a firmer segment."
    )

    @classmethod
    def of(cls, ages: MaxAge) -> Self:
        """Return the section that describes `ages`."""
        return cls(**asdict(ages))

    def ages(self) -> MaxAge:
        """Return the ages that the section describes."""
        return MaxAge(**self.model_dump())
