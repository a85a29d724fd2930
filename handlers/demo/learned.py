"""What the demo's last page says of learning: which version decides, from what, and one score with its reasons."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import orjson

from handlers.demo.people import Person
from handlers.demo.verifying import Evidence
from models.learners.activation import LATENESS, scorer_of
from models.learners.lateness import LatenessScorer, next_watch
from models.learners.scorer import Score
from models.regime import decode_regime
from models.state.client import ClientState
from streams.wire.topics import EXAMPLES

GUARD_ANSWERS: Final = 60
"""Answers to be judged before a version may decide: fewer than usual, as the firm of the demo is small."""

_OPEN: Final = 0.5  # a client who is neither surely late nor surely on time is the one to tell about


def learned(clients: Sequence[Person], states: Mapping[str, ClientState], evidence: Evidence) -> Iterator[str]:
    """Yield the lines about learning; without an activation, what is missing for one."""
    active = decode_regime(evidence.regimes[0] if evidence.regimes else b"").learner(LATENESS)
    versions = [row for row in evidence.versions if row.learner == LATENESS]
    if active is None:
        answers = max((row.candidate.answers for row in versions), default=0)
        yield f"Learner     none decides yet: {answers} answers judged, {GUARD_ANSWERS} needed, and not worse than the rules"
        return
    asked = Counter(
        question["version"] == active.version
        for value in evidence.outputs.get(EXAMPLES.name, ())
        for question in orjson.loads(value).get("questions", ())
    )
    yield f"Learner     {active.version} put itself in force and has answered {asked[True]:,} of {asked.total():,} questions;"
    for row in versions:
        if row.version == active.version:
            against = f"{row.candidate.log_loss:.3f}, against {row.rules.log_loss:.3f} of the rules"
            yield f"            log loss (lower is better) on the {row.candidate.answers} answers it was judged by: {against}"
    scorer = scorer_of(active.snapshot)
    scored = [(person, score) for person in clients if (score := _score(states.get(person.client_id), scorer)) is not None]
    if scored:
        person, score = min(scored, key=lambda told: (abs(told[1].probability - _OPEN), told[0].client_id))
        yield f"Score       {person.name} pays the next invoice late with {score.probability:.0%}:"
        yield from (f"            {reason}" for reason in score.reasons)


def _score(state: ClientState | None, scorer: LatenessScorer) -> Score | None:
    """Return what the learners say of a client's next invoice, None where nothing is open or too little is known."""
    return None if state is None or next_watch(state) is None else scorer.score(state)
