"""Versions and their records in words and tables."""

from base64 import b64decode
from collections.abc import Iterator
from itertools import product
from typing import Any, Final

from handlers.commands.learners.desk import Stand, size_of
from models.events.control import LearnerRole
from models.learners.activation import LATENESS, RENEWAL
from models.learners.consistency import ExamplesChecked
from models.learners.judging import BINS, Judge, Series
from models.learners.lifetime import ValueTerms
from models.learners.payback import paybacks
from models.learners.published import LearnerSnapshot, Record, record_of
from models.learners.renewal_snapshot import RenewalWeights
from models.learners.snapshot import SnapshotError, libraries_here, libraries_of
from models.learners.subjects import SUBJECTS, Subject
from models.money import Money

_WITHOUT: Final = {LATENESS: "the plain rules decide", RENEWAL: "no chance of a renewal is given"}


def role_of(version: str, stand: Stand) -> str:
    """Return what a version does now, in words; empty: nothing."""
    said = []
    for role, subject in product(LearnerRole, SUBJECTS):
        active = stand.active(role, learner=subject.learner)
        if active is not None and active.version == version:
            said.append(role.value + (", pinned" if active.pinned else ""))
    return "; ".join(said)


def as_json(row: LearnerSnapshot, stand: Stand) -> dict[str, Any]:
    """Return a version for programs, without its bytes."""
    return {**row.model_dump(mode="json", exclude={"snapshot"}), "bytes": size_of(row), "role": role_of(row.version, stand)}


def table_of(stand: Stand) -> Iterator[str]:
    """Yield the versions as a table."""
    yield f"{'version':24} {'trained':>10} {'learned':>9} {'log loss':>9} {'rules':>7} {'AUC':>6} {'range':>6}  role"
    for row in stand.versions:
        auc = f"{row.candidate.auc:.3f}" if row.candidate.auc is not None else "-"
        held = f"{row.range_held:.1%}" if row.range_held is not None else "-"
        yield (
            f"{row.version:24} {row.trained_at:%Y-%m-%d} {row.learned:>9,} {row.candidate.log_loss:>9.3f}"
            f" {row.rules.log_loss:>7.3f} {auc:>6} {held:>6}  {role_of(row.version, stand)}"
        )
    for subject in SUBJECTS:
        active = stand.active(learner=subject.learner)
        if active is not None and active.version not in {row.version for row in stand.versions}:
            yield f"{active.version} decides; its record has left the topic, its bytes are in every partition"


def show_lines(stand: Stand, row: LearnerSnapshot | None) -> Iterator[str]:
    """Yield one version as it was published or, without one, what is in force and the trainer's latest record, by learner."""
    if row is not None:
        yield f"{row.version} ({row.learner}), {size_of(row):,} bytes; {role_of(row.version, stand) or 'not in use'}"
        yield f"trained up to {row.trained_at:%Y-%m-%d} from {row.learned:,} examples, feature table {row.table}"
        yield written_with(b64decode(row.snapshot))
        yield f"weight against the rules {row.trust:.0%}; {row.drifts} drifts noticed so far"
        yield from _records({"itself": row.candidate, "live": row.live, "rules": row.rules})
        return
    if stand.distrusted:
        yield f"no version puts itself in force: the last check of stored features failed ({stand.distrusted})"
    for place, subject in enumerate(SUBJECTS):
        if place:
            yield ""
        yield from _in_force(stand, subject.learner)
        judge = stand.judges.get(subject.learner)
        if judge is None:
            yield "no record yet: rapport run-trainer has not stored one that this release can read"
            continue
        yield from _judged(judge, subject)


def written_with(raw: bytes) -> str:
    """Return in words with which libraries the bytes of a version were written, and where others run here."""
    try:
        then = libraries_of(raw)
    except SnapshotError as error:
        return f"its bytes cannot be used: {error}"
    here = libraries_here()
    other = ", ".join(f"{name} {here.get(name, '(not used)')}" for name in then if here.get(name) != then[name])
    said = "written with " + ", ".join(f"{name} {number}" for name, number in then.items())
    return f"{said}; here runs {other}" if other else f"{said}, as run here"


def checked_words(result: ExamplesChecked) -> str:
    """Return in words what a check of stored features found."""
    if not result.says_something:
        return "nothing was answered in that time, so nothing was compared: what the check before found still holds"
    read = f" and {result.decisions:,} values that decisions read" if result.decisions else ""
    said = f"{result.questions:,} questions{read} of {result.clients:,} clients held against a replay of the log"
    if result.passed and not result.first:
        return f"{said}: the same"
    counts = f"{result.mismatched} differ, {result.missing} are missing, {result.extra} too many"
    verdict = "within the limit" if result.passed else "no version goes in force until a check passes"
    return f"{said}: {counts}; {verdict}\nfirst: {result.first}"


def payback_lines(weights: RenewalWeights, terms: ValueTerms) -> Iterator[str]:
    """Yield in how many months each group pays back what winning a client costs."""
    yield f"{'group':32} {'contracts':>9} {'cost':>14} {'earned in a year':>17} {'after a year':>13}  paid back after"
    for row in paybacks(weights.retention, terms):
        cost, earned = Money(row.cost, row.currency), Money(row.earned, row.currency)
        said = row.words if row.cost else "what winning cost is not known"
        yield f"{row.group:32} {row.contracts:>9,} {cost!s:>14} {earned!s:>17} {row.staying:>13.0%}  {said}"


def _in_force(stand: Stand, learner: str) -> Iterator[str]:
    active = stand.active(learner=learner)
    if active is None:
        yield f"no learner of {learner} is active: {_WITHOUT[learner]}"
    else:
        pinned = ", pinned" if active.pinned else ""
        yield f"{active.version} decides{pinned}, activated by {active.author}"
    challenger = stand.active(LearnerRole.CHALLENGER, learner=learner)
    if challenger is not None:
        yield f"{challenger.version} is scored beside it as challenger, set by {challenger.author}"
    versions = {None if (found := regime.learner(learner)) is None else found.version for regime in stand.regimes}
    if len(versions) > 1:
        yield f"partitions differ: {', '.join(sorted(map(str, versions)))}; a change is on its way, or a worker does not run"


def _judged(judge: Judge, subject: Subject) -> Iterator[str]:
    rows = {"learners": judge.candidate, "live": judge.live, "rules": judge.rules}
    yield ""
    yield f"{subject.judged}, judged before it was learned (about the last 500 answers):"
    yield from _records({name: record_of(series) for name, series in rows.items()})
    if judge.challenger.answers:
        yield f"challenger {judge.challenger.version} and, on the same questions, what was decided by:"
        yield from _records({"challenger": record_of(judge.challenger), "champion": record_of(judge.beside)})
    if judge.ranges:
        yield f"90 % range of the pay date: held for {judge.held:.1%} of the invoices (open past it: not held)"
    yield ""
    yield "reliability of the live answers:"
    yield from _reliability(judge.live)


def _records(rows: dict[str, Record]) -> Iterator[str]:
    yield f"  {'':10} {'answers':>8} {'log loss':>9} {'AUC':>6} {'calibration error':>18}"
    for name, row in rows.items():
        auc = f"{row.auc:.3f}" if row.auc is not None else "-"
        yield f"  {name:10} {row.answers:>8,} {row.log_loss:>9.3f} {auc:>6} {row.calibration_error:>18.3f}"


def _reliability(series: Series) -> Iterator[str]:
    yield f"  {'said':>9} {'mean said':>10} {'came true':>10} {'weight':>7}"
    for place, (seen, chances, late) in enumerate(series.bins):
        if seen >= 1:
            span = f"{place / BINS:.0%}-{(place + 1) / BINS:.0%}"
            yield f"  {span:>9} {chances / seen:>10.1%} {late / seen:>10.1%} {seen:>7.0f}"
