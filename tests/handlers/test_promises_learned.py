"""Promises to pay make learners better where they mean something, and nothing of them reaches a question before it is known."""

from base64 import b64decode, b64encode
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from handlers.commands.book.plan import Asked
from handlers.commands.held_history import hold_history
from handlers.evaluation.answers import answers_of
from handlers.evaluation.kept import Kept
from handlers.evaluation.metrics import auc, log_loss
from handlers.evaluation.telling import Telling
from models.events.union import AnyClientEvent
from models.features import NAMES, Landmark, pack, unpack
from models.learners.trainer import LatenessTrainer
from models.triggers import Example, Question
from tests.handlers.test_learning_floors import LEARNED, Recorder, answered_by, kept
from tests.histories.firms import promising
from tests.histories.told import write_told

BILLS: Final = 400
FEW: Final = 150
OF_PROMISES: Final = {"promises_kept", "promised_days", "promise_trusted"}


def history(bills: int) -> list[AnyClientEvent]:
    with TemporaryDirectory() as folder:
        return list(hold_history(write_told(Path(folder) / "told.jsonl", promising(1, bills)), asked=Asked())[0])


def lived(bills: int) -> list[Example]:
    telling, recorder = Telling(), Recorder()
    telling.trainer = recorder
    telling.tell(history(bills))
    return recorder.log


def blind(question: Question) -> Question:
    """Return a question whose features know of a promise only that there is one."""
    values = unpack(b64decode(question.features))
    told = [0.0 if name in OF_PROMISES else value for name, value in zip(NAMES, values, strict=True)]
    return question.model_copy(update={"features": b64encode(pack(told)).decode()})


def judged(examples: Kept, landmark: Landmark) -> tuple[float, float]:
    """Return (AUC, log loss) of more than 15 days late."""
    answers = answers_of(examples, landmark, 15)
    rows = slice(int(LEARNED * len(answers.labels)), None)
    return auc(answers.chances[rows], answers.labels[rows]), log_loss(answers.chances[rows], answers.labels[rows])


def test_a_firm_whose_clients_promise_is_foretold_better_by_what_became_of_promises() -> None:
    log = lived(BILLS)
    without = answered_by(
        LatenessTrainer(), [row.model_copy(update={"questions": tuple(map(blind, row.questions))}) for row in log]
    )
    for landmark, gain in ((Landmark.DUE, 0.02), (Landmark.WEEK_AFTER, 0.04)):
        ranked, lost = judged(kept(log), landmark)
        ranked_without, lost_without = judged(without, landmark)
        assert ranked > ranked_without + gain
        assert lost < lost_without


def test_cutting_the_future_off_changes_no_question_about_what_is_promised() -> None:
    events = history(FEW)
    part = events[: 2 * len(events) // 3]
    cut = list(Telling().tell(part).examples)
    assert cut == [row for row in Telling().tell(events).examples if row.known_ms <= part[-1].received_ms]
    seen = np.array([unpack(put.features) for row in cut for put in row.questions])
    assert {name for place, name in enumerate(NAMES) if seen[:, place].any()} >= OF_PROMISES
