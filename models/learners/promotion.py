"""When a snapshot is taken, and whether it may replace the active one without a person. Rules as data; time is an argument."""

from dataclasses import dataclass

from models.learners.judging import Judge


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationRule:
    """How often snapshots are taken, and what an automatic activation must have shown.

    One is taken at the turn of a day (of the examples' own time) when `every_ms` of the log's time or `every_examples` examples
    have passed since the last; at once after a drift, and when the guard is passed for the first time.
    """

    automatic: bool = True
    every_ms: int = 6 * 3_600_000
    every_examples: int = 2_000
    least_answers: int = 100
    margin: float = 0.0

    def is_due(self, *, past_ms: int, past_examples: int) -> bool:
        """Return whether enough has passed since the last snapshot."""
        return past_ms >= self.every_ms or past_examples >= self.every_examples

    def passes(self, judge: Judge) -> bool:
        """Return whether the learners were, on enough answers, not worse than the rules by more than the margin."""
        candidate = judge.candidate
        return candidate.answers >= self.least_answers and candidate.loss <= judge.rules.loss + self.margin

    def tell(self, judge: Judge) -> str:
        """Return in words what the guard rests on."""
        candidate, rules = judge.candidate, judge.rules
        if candidate.answers < self.least_answers:
            return f"{candidate.answers} answers judged, {self.least_answers} are needed"
        return f"log loss {candidate.loss:.3f} against {rules.loss:.3f} of the rules, on {candidate.answers} answers"
