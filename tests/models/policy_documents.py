"""Random policy documents that are sound: whatever a firm may write down and lint accepts."""

from typing import Final

from hypothesis import strategies as st

from models.policy.document import Contact, PolicyDocument, SegmentsSection, Support
from models.policy.hours_document import Hours
from models.policy.journey_document import (
    JourneysDocument,
    LadderDocument,
    Ladders,
    OnboardingJourney,
    RenewalJourney,
    StepDocument,
    SupportJourney,
)
from models.policy.lint import errors_of, lint
from models.policy.tones import CEILINGS, is_above
from models.state.client import Segment
from models.triggers import Tone
from streams.wire.topics import CHANNELS

PERSON: Final = StepDocument(id="ask", after_days=0, valid_days=10, tone=Tone.GENTLE, why="a person asks", channel="console")


def _ladder(draw: st.DrawFn, segment: Segment) -> LadderDocument:
    waits = draw(st.lists(st.integers(1, 20), min_size=1, max_size=4))
    waits[0] = draw(st.integers(0, 12))
    tones = [tone for tone in Tone if not is_above(tone, CEILINGS[segment])]
    steps = tuple(
        StepDocument(
            id=f"{segment.value}_{index}",
            after_days=wait,
            valid_days=draw(st.integers(1, waits[index + 1] if index + 1 < len(waits) else 14)),
            tone=draw(st.sampled_from(tones)),
            why=f"step {index} of {segment.value}",
            channel=draw(st.sampled_from(("email", "email", "email", "console"))),
        )
        for index, wait in enumerate(waits)
    )
    return LadderDocument(person_first=draw(st.booleans()), steps=steps)


def _windows(draw: st.DrawFn, name: str, *, start: int, stop: int, gap: int) -> tuple[StepDocument, ...]:
    days = sorted(draw(st.sets(st.integers(start, stop), min_size=1, max_size=4)))
    apart = [day for index, day in enumerate(days) if not index or day - days[index - 1] > gap]
    return tuple(
        StepDocument(
            id=f"{name}_{index}",
            after_days=day,
            valid_days=draw(st.integers(1, apart[index + 1] - day if index + 1 < len(apart) else 10)),
            tone=draw(st.sampled_from((Tone.EDUCATIONAL, Tone.GENTLE))),
            why=f"{name} on day {day}",
        )
        for index, day in enumerate(apart)
    )


@st.composite
def documents(draw: st.DrawFn) -> PolicyDocument:
    """Return a sound document: other ladders, windows, gaps, graces, hours."""
    gap = draw(st.integers(0, 10))
    ladders = {segment.value: _ladder(draw, segment) for segment in Segment}
    weekdays = draw(st.sampled_from((("mon", "tue", "wed", "thu", "fri"), ("tue", "thu"), ("mon", "sat", "sun"))))
    journeys = JourneysDocument(
        delayed_payment_support=SupportJourney(person=PERSON, ladders=Ladders.model_validate(ladders)),
        post_payment_onboarding=OnboardingJourney(steps=_windows(draw, "care", start=0, stop=60, gap=gap)),
        pre_renewal=RenewalJourney(steps=_windows(draw, "renewal", start=-60, stop=-1, gap=gap)),
    )
    document = PolicyDocument(
        version="drawn",
        contact=Contact(hours=Hours(weekdays=weekdays), min_gap_days=gap, contacts_per_month=draw(st.integers(1, 20))),
        support=Support(
            grace_days=draw(st.integers(0, 10)),
            segment_grace=draw(st.dictionaries(st.sampled_from(Segment), st.integers(0, 14), max_size=2)),
            settle_days=draw(st.integers(0, 3)),
            contact_costs=draw(st.dictionaries(st.sampled_from(("email", "task")), st.sampled_from((0.0, 0.1, 8.0)), max_size=2)),
            high_value_ratio=draw(st.sampled_from((1.0, 2.0, 50.0))),
        ),
        segments=SegmentsSection(new_days=draw(st.integers(0, 90)), persist_days=draw(st.integers(0, 60))),
        journeys=journeys,
    )
    assert not errors_of(lint(document, channels=CHANNELS))
    return document
