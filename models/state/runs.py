"""What can be said of a run by itself, and which runs a journey has."""

from msgspec.structs import replace

from models.journey_names import AnyJourney
from models.state.client import ClientState, Run, own_anchor, place_of


def is_begun(run: Run) -> bool:
    """Say whether a run has begun: a step was taken, a person was asked, or it was moved from a policy that had begun it."""
    return bool(run.stage or run.human or run.begun_under)


def runs_of(state: ClientState, journey: AnyJourney) -> list[Run]:
    """Return the runs of `journey`."""
    place, begins = place_of(journey), own_anchor(journey, "")
    return [run for run in state.care.runs if run.journey == place and run.anchor.startswith(begins)]


def said_at(run: Run, place: int) -> Run:
    """Return a run after the step at `place` was said of it: the next is the one behind it.

    Whoever rides along in the message of another may hear a step before those that come before it. They are passed by: what
    was said of an invoice is neither said again nor followed by less. They are only kept in mind for `unsaid_at`.
    """
    between = range(run.stage, place)
    passed = run.passed & ~(1 << place) | sum(1 << each for each in between)
    return replace(run, stage=max(run.stage, place + 1), passed=passed)


def unsaid_at(run: Run, place: int) -> Run:
    """Return a run whose step at `place` was not said after all: it goes on behind the furthest step that was."""
    if place >= run.stage:
        return run
    stage, passed = run.stage, run.passed | 1 << place
    while stage and passed >> (stage - 1) & 1:
        stage -= 1
    return replace(run, stage=stage, passed=passed & ((1 << stage) - 1))


def softer(run: Run) -> Run:
    """Return a run one step softer, since a word was not kept; what people were asked to decide about is over."""
    return replace(one_step_back(run), epoch=run.epoch + 1, told="", decide_ms=0, last=False)


def one_step_back(run: Run) -> Run:
    """Return a run one step before where it stood; it has taken one at least. What is now before it counts as said."""
    stage = run.stage - 1
    return replace(run, stage=stage, passed=run.passed & ((1 << max(0, stage - 1)) - 1))
