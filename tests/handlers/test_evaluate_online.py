"""The online learner that ours are held against: it hears of an answer when it is known and no earlier, and it does learn."""

import numpy as np
import pytest
from numpy.typing import NDArray

from handlers.evaluation.metrics import auc
from handlers.evaluation.online import chances_online, days_online

Case = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float16], NDArray[np.float64]]


def case(count: int = 900, *, late: int = 20) -> Case:
    """Questions in order, known so many days `late`, whose outcome hangs on the first of five features."""
    dice = np.random.default_rng(7)
    features = dice.normal(size=(count, 5)).astype(np.float16)
    asked = np.arange(count, dtype=np.float64) // 3
    labels = (dice.uniform(size=count) < 1 / (1 + np.exp(-2.5 * features[:, 0].astype(np.float64)))).astype(np.float64)
    return asked, asked + late, features, labels


def test_it_learns_what_there_is_to_learn() -> None:
    asked, known, features, labels = case()
    said = chances_online(asked=asked, known=known, features=features, labels=labels)
    assert auc(said[400:], labels[400:]) > 0.85
    days = 3.0 * features[:, 1].astype(np.float64)
    told = days_online(asked=asked, known=known, features=features, days=days, usual=np.ones(len(days)))
    assert np.abs(told - days)[400:].mean() < 0.5 * np.abs(1.0 - days)[400:].mean()


@pytest.mark.parametrize("cut", [1, 300, 601, 899])
def test_what_is_not_yet_known_when_it_is_asked_says_nothing(cut: int) -> None:
    asked, known, features, labels = case()
    days = 10.0 * labels
    unknown = known >= asked[cut]
    other = np.where(unknown, 1 - labels, labels)
    chances = [chances_online(asked=asked, known=known, features=features, labels=given)[cut] for given in (labels, other)]
    assert chances[0] == chances[1]
    usual = np.zeros(len(days))
    told = [days_online(asked=asked, known=known, features=features, days=given, usual=usual) for given in (days, 10 * other)]
    assert told[0][cut] == told[1][cut]


def test_what_never_ended_is_never_learned_and_nothing_asked_is_nothing_said() -> None:
    asked, known, features, labels = case(60)
    never = np.full(len(known), np.inf)
    usual = np.full(len(known), 4.0)
    told = days_online(asked=asked, known=never, features=features, days=np.full(len(known), np.inf), usual=usual)
    assert told.tolist() == usual.tolist()
    assert set(chances_online(asked=asked, known=never, features=features, labels=labels).tolist()) == {0.5}
    assert not len(chances_online(asked=asked[:0], known=known[:0], features=features[:0], labels=labels[:0]))


def test_all_that_is_asked_is_counted() -> None:
    asked, known, features, labels = case(1_203)
    parts: list[int] = []
    chances_online(asked=asked, known=known, features=features, labels=labels, done=parts.append)
    assert sum(parts) == 1_203
    assert len(parts) > 2
