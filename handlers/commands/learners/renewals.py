"""`rapport learners renewals`: learn renewals anew from all answered ones on the log, and put the result in force."""

import asyncio
import getpass
import logging
from base64 import b64encode
from collections.abc import Iterable
from datetime import UTC, date
from typing import Annotated, Any, Final

from cyclopts import Parameter

from handlers.commands.regime_changes import put_in_force
from handlers.evaluation.renewal_judging import judge_after
from models.events.control import LearnerActivated
from models.ids import derive
from models.learners.activation import RENEWAL
from models.learners.renewal import FLOOR
from models.learners.renewal_snapshot import RenewalWeights, dump_renewal
from models.learners.renewal_trainer import RenewalTrainer, renewal_day
from models.renewal_features import RENEWAL_TABLE
from models.triggers import ExamplesWithdrawn, RenewalExample
from streams.runtime.clock import make_clock
from streams.runtime.settings import Settings, load_settings
from streams.wire.codec import output_key
from streams.wire.headers import read_origin
from streams.wire.reading import read_topic
from streams.wire.topics import EXAMPLES

KIND: Final = "renewal_example"
WITHDRAWN: Final = str(ExamplesWithdrawn.model_fields["kind"].default)


def renewals(
    *,
    upto: Annotated[date | None, Parameter(help="Learn only what was known before this day: how to go back.")] = None,
    dry_run: Annotated[bool, Parameter(negative=(), help="Say how good it is and put nothing in force.")] = False,
    reason: Annotated[str, Parameter(help="Why, for whoever reads the log later.")] = "learned anew from the log",
) -> int:
    """Learn renewals of contracts anew from all answered ones on the log, and put the result in force.

    Renewals are few, so they are learned from the beginning each time, which takes seconds and needs no process of its own: run
    it once a day or a week. The same log always gives the same weights. To go back, learn only --upto an earlier day.

    Example: rapport learners renewals --dry-run
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that Kafka is away is said once, by us
    settings = load_settings()
    examples, foreign = asyncio.run(_read(settings))
    if upto is not None:
        first = (upto - date(1970, 1, 1)).days
        examples = [row for row in examples if renewal_day(row) < first]
    weights = learn(examples)
    print(f"{weights.version}: {weights.learned:,} answered renewals of {len(weights.types)} contract types")
    if foreign:
        print(f"{foreign:,} renewals were asked about by another release, whose features this one cannot read: left out")
    for count, judged in judge_after(examples, {}):
        row = judged.rows[0]
        print(f"after {count} answers: AUC {row.auc:.3f}, log loss {row.log_loss:.3f} on {judged.questions:,} later renewals")
    if weights.learned < FLOOR:
        print(f"nothing is put in force: no chance is given before {FLOOR} renewals were answered")
        return 1
    if dry_run:
        return 0
    count = put_in_force(settings, _order(settings, weights, reason))
    print(f"in force on all {count} partitions")
    return 0


def learn(examples: Iterable[RenewalExample]) -> RenewalWeights:
    """Return the weights learned from answered renewals, in order of the day on which each became known."""
    trainer = RenewalTrainer()
    for row in sorted(examples, key=renewal_day):
        trainer.take(row)
    trainer.turn(trainer.day + 1)
    return trainer.publish()


def read_examples(records: Iterable[Any]) -> tuple[list[RenewalExample], int]:
    """Return the answered renewals in records of the topic, each once, and how many were made from another table of features.

    What was taken back, or belongs to a client who asked to be forgotten, is left out.
    """
    found: dict[tuple[int, object], RenewalExample] = {}
    foreign = 0
    for record in records:
        if not record.value:
            found = {key: row for key, row in found.items() if output_key(row) != record.key}
            continue
        origin = read_origin(record.headers)
        key = (origin.src_partition, origin.position)
        if origin.kind == WITHDRAWN:
            gone = ExamplesWithdrawn.model_validate_json(record.value).client_id
            found = {key: row for key, row in found.items() if row.client_id != gone}
        if origin.kind != KIND or key in found:
            continue
        example = RenewalExample.model_validate_json(record.value)
        foreign += example.table != RENEWAL_TABLE
        found[key] = example
    return [row for row in found.values() if row.table == RENEWAL_TABLE], foreign


async def _read(settings: Settings) -> tuple[list[RenewalExample], int]:
    by_partition = await read_topic(settings, EXAMPLES.name, partitions=[0])
    return read_examples(record for records in by_partition.values() for record in records)


def _order(settings: Settings, weights: RenewalWeights, reason: str) -> LearnerActivated:
    now = make_clock(settings.clock_file).now().astimezone(UTC)
    return LearnerActivated(
        event_id=derive("control", "person", RENEWAL, weights.version, round(now.timestamp() * 1000)),
        source="rapport learners",
        occurred_at=now,
        received_at=now,
        author=getpass.getuser(),
        reason=reason,
        learner=RENEWAL,
        version=weights.version,
        snapshot=b64encode(dump_renewal(weights)).decode(),
    )
