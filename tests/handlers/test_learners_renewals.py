"""`rapport learners renewals`: what is on the log is learned once, in the order in which it became known."""

from handlers.commands.learners.renewals import learn, read_examples
from models.triggers import ExamplesWithdrawn, RenewalExample
from streams.wire.codec import encode_output, output_key
from streams.wire.headers import Position, origin_headers
from streams.wire.records import PlainRecord
from streams.wire.topics import CLIENT_EVENTS, EXAMPLES
from tests.models.examples import example
from tests.models.renewal_examples import renewal_example, renewal_trained


def record(number: int, row: RenewalExample | None = None, *, kind: str = "renewal_example") -> PlainRecord:
    value = (
        encode_output(renewal_example(number) if row is None else row)
        if kind == "renewal_example"
        else encode_output(example(number))
    )
    headers = origin_headers(CLIENT_EVENTS.name, number % 3, Position(number, 0), kind=kind)
    return PlainRecord(topic=EXAMPLES.name, partition=0, offset=number, timestamp=0, key=b"c", value=value, headers=headers)


def test_the_log_is_learned_as_a_trainer_beside_the_workers_would_have_learned_it() -> None:
    records = [record(number) for number in range(60)]
    examples, foreign = read_examples(records)
    assert foreign == 0
    assert learn(reversed(examples)) == renewal_trained(60).publish()


def test_what_was_published_twice_counts_once_and_other_learners_examples_are_passed_over() -> None:
    records = [record(1), record(2), record(1), record(3, kind="example")]
    assert [row.contract_id for row in read_examples(records)[0]] == ["contract-1", "contract-2"]


def test_what_was_asked_with_another_table_of_features_is_left_out_and_counted() -> None:
    other = renewal_example(2).model_copy(update={"table": "0123456789ab"})
    examples, foreign = read_examples([record(1), record(2, other)])
    assert ([row.contract_id for row in examples], foreign) == (["contract-1"], 1)


def test_what_was_taken_back_and_who_was_forgotten_is_not_learned() -> None:
    first, second = renewal_example(1), renewal_example(2)
    tombstone = PlainRecord(
        topic=EXAMPLES.name, partition=0, offset=9, timestamp=0, key=output_key(first), value=b"", headers=[]
    )  # fmt: skip
    assert [row.contract_id for row in read_examples([record(1), record(2), tombstone])[0]] == ["contract-2"]
    erased = ExamplesWithdrawn(client_id=second.client_id, decided_at=second.decided_at)
    headers = origin_headers(CLIENT_EVENTS.name, 2, Position(8, 0), kind=erased.kind)
    withdrawn = PlainRecord(
        topic=EXAMPLES.name, partition=0, offset=8, timestamp=0, key=b"c", value=encode_output(erased), headers=headers
    )
    assert [row.contract_id for row in read_examples([record(1), record(2), withdrawn])[0]] == ["contract-1"]
