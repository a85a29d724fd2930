"""A challenger beside the champion: it answers the same questions and decides nothing."""

from base64 import b64decode

from models.features import Landmark, unpack
from models.learners.lateness import LatenessScorer
from models.learners.scorer import DECIDED, PER_CHANCE
from models.triggers import Example, Question
from models.workdays import DAY_MS


def shadowed(example: Example, challenger: LatenessScorer) -> Example:
    """Return an answered example with what the challenger says to its questions, from the features stored with them.

    Only to questions that were put after the challenger was trained: to an earlier one it may have learned the answer.
    """
    questions = tuple(_answered(asked, challenger, due_day=example.due_day) for asked in example.questions)
    return example.model_copy(update={"questions": questions})


def _answered(asked: Question, challenger: LatenessScorer, *, due_day: int) -> Question:
    if asked.asked_ms < challenger.trained_ms:
        return asked
    overdue = asked.asked_ms // DAY_MS - due_day
    chances = challenger.chances(unpack(b64decode(asked.features)), landmark=Landmark(asked.landmark), overdue=overdue)
    said = tuple([DECIDED if part == DECIDED else part / PER_CHANCE for part in chances])
    return asked.model_copy(update={"shadow": said, "shadow_version": challenger.version})
