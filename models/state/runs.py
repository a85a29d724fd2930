"""What can be said of a run by itself, and which runs a journey has."""

from models.journey_names import AnyJourney
from models.state.client import ClientState, Run, own_anchor, place_of


def is_begun(run: Run) -> bool:
    """Say whether a run has begun: a step was taken, a person was asked, or it was moved from a policy that had begun it."""
    return bool(run.stage or run.human or run.begun_under)


def runs_of(state: ClientState, journey: AnyJourney) -> list[Run]:
    """Return the runs of `journey`."""
    place, begins = place_of(journey), own_anchor(journey, "")
    return [run for run in state.care.runs if run.journey == place and run.anchor.startswith(begins)]
