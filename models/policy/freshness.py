"""How old what was learnt may be when something is decided. Beyond that the soft path: rules decide, and never more firmly.

Ages count on the client's own clock: from the moment a question was put (its features are what had been received by then), or
from the end of the newest invoice a segment rests on. The clock of the log alone moves them, so a replay decides alike.
"""

from binascii import b2a_base64
from dataclasses import dataclass
from typing import Final

from models.features import TABLE
from models.learners.scorer import PER_CHANCE, Score
from models.learnt import Learnt, LearntKind, Quality
from models.renewal_features import RENEWAL_TABLE
from models.state.history import Lateness
from models.state.renewals import RenewalAsked
from models.workdays import DAY_MS, moment

_ROUNDED: Final = 3


@dataclass(frozen=True, slots=True)
class MaxAge:
    """Days up to which a learnt value counts; 0: however old it is.

    `score_days`: a question about an invoice, `learner_days`: what its learner was trained on, `pay_date_days`: the day by which
    an invoice is thought to be paid, `renewal_days`: the chance of a renewal, `segment_days`: the newest invoice that ended, of
    those a move between segments rests on.
    """

    score_days: int = 0
    learner_days: int = 0
    pay_date_days: int = 0
    renewal_days: int = 0
    segment_days: int = 0


ANY_AGE: Final = MaxAge()


def is_stale(as_of_ms: int, at_ms: int, most_days: int) -> bool:
    """Say whether what was learnt at a moment is too old at another; 0 days: never."""
    return bool(most_days) and at_ms - as_of_ms > most_days * DAY_MS


def score_read(score: Score | None, at_ms: int, ages: MaxAge) -> tuple[Score | None, Learnt | None]:
    """Return the score as far as it may be used at a moment, and how it was read; nothing of rules whose age nobody bounds."""
    if score is None or not (score.features or ages.score_days):
        return score, None
    old = is_stale(score.as_of_ms, at_ms, ages.score_days)
    outlived = bool(score.trained_ms) and is_stale(score.trained_ms, at_ms, ages.learner_days)
    read = _read(
        LearntKind.SCORE,
        value=score.plain,
        as_of_ms=score.as_of_ms,
        at_ms=at_ms,
        quality=_quality(is_old=old or outlived, is_fair=score.is_leaned),
        most_days=ages.learner_days if outlived and not old else ages.score_days,
        about=score.about,
        trained_ms=score.trained_ms,
        version=score.version,
        table=TABLE if score.features else None,
        features=score.features,
    )
    return (None if old or outlived else score), read


def renewal_read(asked: RenewalAsked, contract_id: str, at_ms: int, ages: MaxAge) -> Learnt:
    """Return how the chance of a renewal is read at a moment."""
    return _read(
        LearntKind.RENEWAL,
        value=asked.chances[0] / PER_CHANCE,
        as_of_ms=asked.at_ms,
        at_ms=at_ms,
        quality=_quality(is_old=is_stale(asked.at_ms, at_ms, ages.renewal_days), is_fair=asked.is_leaned),
        most_days=ages.renewal_days,
        about=contract_id,
        version=asked.version,
        table=RENEWAL_TABLE,
        features=asked.features,
    )


def segment_read(past: Lateness, sure: float, at_ms: int, ages: MaxAge) -> Learnt:
    """Return how sure one may be of a segment at a moment, and what that rests on."""
    as_of_ms = evidence_ms(past, at_ms)
    return _read(
        LearntKind.SEGMENT,
        value=round(sure, 4),
        as_of_ms=as_of_ms,
        at_ms=at_ms,
        quality=_quality(is_old=is_stale(as_of_ms, at_ms, ages.segment_days)),
        most_days=ages.segment_days,
    )


def pay_date_read(days: float, invoice_id: str, *, as_of_ms: int, at_ms: int, version: str, ages: MaxAge) -> Learnt:
    """Return how the day by which an invoice is paid is read at a moment; `days` after it is due."""
    return _read(
        LearntKind.PAY_DATE,
        value=days,
        as_of_ms=as_of_ms,
        at_ms=at_ms,
        quality=_quality(is_old=is_stale(as_of_ms, at_ms, ages.pay_date_days)),
        most_days=ages.pay_date_days,
        about=invoice_id,
        version=version,
    )


def evidence_ms(past: Lateness, at_ms: int) -> int:
    """Return when what is known of how a client pays was last true: now while an invoice is late, else when the newest ended."""
    return at_ms if past.overdue or not past.recent else past.recent[-1].settled_ms


def told(read: Learnt) -> str:
    """Return in words what was read, as of when and how old it was, and whether it counted."""
    about = f" of {read.about}" if read.about else ""
    as_of = f"{_NAMES[read.what]}{about}: as of {read.as_of:%Y-%m-%d}, {_days(read.age_days)} old"
    if read.quality is Quality.STALE:
        outlived = read.trained_at is not None and not _exceeds(read)
        since = f", by a learner that knows nothing after {read.trained_at:%Y-%m-%d}" if outlived else ""
        return (
            f"{as_of}{since}: older than the {read.most_days} days of the policy, so it {_SOFT.get(read.what, 'does not count')}"
        )
    if read.quality is Quality.FAIR:
        return f"{as_of}, said while {_CHANGED.get(read.what, 'clients paid')} differently than before"
    return as_of


_NAMES: Final = {
    LearntKind.SCORE: "score",
    LearntKind.PAY_DATE: "expected pay date",
    LearntKind.RENEWAL: "chance of the renewal",
    LearntKind.SEGMENT: "how sure the segment is",
}


_CHANGED: Final = {LearntKind.RENEWAL: "renewals went"}
_SOFT: Final = {LearntKind.PAY_DATE: "does not count alone", LearntKind.SEGMENT: "moves nobody to a firmer one"}


def _exceeds(read: Learnt) -> bool:
    return read.most_days is not None and read.age_days > read.most_days


def _days(days: float) -> str:
    return f"{days:.1f} days" if days < 1 else "1 day" if days < 2 else f"{int(days)} days"  # noqa: PLR2004 - whole days read best


def _quality(*, is_old: bool, is_fair: bool = False) -> Quality:
    return Quality.STALE if is_old else Quality.FAIR if is_fair else Quality.GOOD


def _read(
    what: LearntKind,
    *,
    value: float,
    as_of_ms: int,
    at_ms: int,
    quality: Quality,
    most_days: int,
    about: str = "",
    trained_ms: int = 0,
    version: str = "",
    table: str | None = None,
    features: bytes = b"",
) -> Learnt:
    return Learnt(
        what=what,
        about=about or None,
        value=value,
        as_of=moment(as_of_ms),
        age_days=round(max(0, at_ms - as_of_ms) / DAY_MS, _ROUNDED),
        quality=quality,
        most_days=most_days or None,
        trained_at=moment(trained_ms) if trained_ms else None,
        version=version,
        table=table,
        features=b2a_base64(features, newline=False).decode() if features else None,
    )
