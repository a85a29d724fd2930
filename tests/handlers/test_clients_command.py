"""`rapport clients merge|split|parent`: what goes on the log, what is refused before, and how simulate tells it."""

from pathlib import Path

import pytest

from handlers.commands.clients.desk import contact_of, left_behind, merge_of, split_of, word_of_payer
from handlers.commands.simulate import simulate
from models.events.envelope import epoch_ms
from models.events.signals import ContactLogged
from models.events.union import AnyClientEvent
from models.state.client import ClientState
from models.state.codec import encode
from models.state.describe import describe
from streams.runtime.errors import UsageError
from streams.state.memory_store import MemoryPartitions, MemoryStateStore
from streams.state.merged import read_standing
from streams.wire.codec import encode_event
from streams.wire.topics import CLIENT_EVENTS
from tests.models.builders import Events, on
from tests.models.test_merging import Firm


def firm() -> Firm:
    told: list[AnyClientEvent] = [
        Events("a").profiled(0, name="Ada's Bakery"),
        Events("a").issued(1, "I1", 90_000, event_id="i1"),
        Events("b").profiled(0),
        Events("c").profiled(0),
        Events("c").erased(1).model_copy(update={"event_id": "c-erased"}),
        Events("d").profiled(0),
        Events("d").merged(1, "b", event_id="d-merged"),
    ]
    return Firm().tell(told).read()


def asked(one: str, other: str) -> str:
    """Return what is refused, as the command says it: it looks up whom the names stand for first."""
    states = firm().states

    def standing(name: str) -> ClientState | None:
        state = states.get(name)
        return states[state.identity.into] if state is not None and state.identity.into else state

    with pytest.raises(UsageError) as raised:
        merge_of(standing(one), standing(other), client_id=one, into=other, reason="one company", author="dana", now=on(3))
    return str(raised.value)


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("x", "b", "no client 'x' is known"),
        ("a", "x", "no client 'x' is known"),
        ("a", "a", "are one client already"),
        ("d", "b", "d and b are one client already: b"),
        ("b", "d", "are one client already"),
        ("d", "a", "d was merged into b"),
        ("a", "d", "d was merged into b"),
        ("c", "a", "c asked to be forgotten"),
        ("a", "c", "c asked to be forgotten"),
    ],
)
def test_what_makes_no_sense_is_refused_before_it_is_on_the_log(one: str, other: str, said: str) -> None:
    assert said in asked(one, other)


def test_a_contact_of_ones_own_accord_takes_a_place_in_the_budget_and_is_one_however_often_it_is_told() -> None:
    here = firm()

    def told(name: str, *, day: float = 2, by: str = "phone") -> ContactLogged:
        state = here.states.get(name)
        return contact_of(state, client_id=name, by=by, at=on(day), note="all is\nwell", author="dana", now=on(3))

    once = told("b")
    assert (once.channel, once.note, once.occurred_at) == ("phone", "all is well", on(2))
    here.tell([once, told("b")]).read()
    care = here.states["b"].care
    assert care.contacts == (epoch_ms(on(2)),)
    assert care.last_human_ms == epoch_ms(on(2))
    for name, day, by, said in (
        ("x", 2, "phone", "no client 'x' is known"),
        ("c", 2, "phone", "c asked to be forgotten"),
        ("b", 4, "phone", "is still to come"),
        ("b", 2, " ", "how they were reached"),
        ("b", 2, "p" * 41, "how they were reached"),
    ):
        with pytest.raises(UsageError) as raised:
            told(name, day=day, by=by)
        assert said in str(raised.value)


def test_only_what_was_merged_is_split_off_and_not_from_one_that_was_forgotten() -> None:
    here = firm()
    here.tell([Events("g").merged(2, "c", event_id="g-merged")]).read()

    def refused(name: str) -> str:
        own = here.states.get(name)
        whole = here.states[own.identity.into] if own is not None and own.identity.into else own
        with pytest.raises(UsageError) as raised:
            split_of(own, whole, client_id=name, reason="two after all", author="dana", now=on(3))
        return str(raised.value)

    assert "no client 'x' is known" in refused("x")
    assert "a is part of nobody" in refused("a")
    assert "g is part of c, which asked to be forgotten" in refused("g")


def test_what_the_command_writes_splits_and_says_what_stays_behind() -> None:
    here = firm()
    here.tell([Events("a").merged(2, "b", event_id="a-merged")]).read()
    own, whole = here.states["a"], here.states["b"]
    assert left_behind(own) == "what was told before stays with b, and what names it goes there"
    assert "must be told in the name of b" in left_behind(here.states["d"])
    told = split_of(own, whole, client_id="a", reason="two after all", author="dana", now=on(3))
    here.tell([told, Events("a").issued(4, "I2", 10_000, event_id="i2")]).read()
    assert "invoice I2" in "\n".join(describe(here.states["a"]))
    assert "invoice I1" in "\n".join(describe(here.states["b"]))


def family() -> Firm:
    here = firm()
    here.tell([Events("b").delegated(2, "e", event_id="word"), Events("e").profiled(0), Events("f").profiled(0)]).read()
    return here


@pytest.mark.parametrize(
    ("child", "payer", "said"),
    [
        ("x", "b", "no client 'x' is known"),
        ("a", "x", "no client 'x' is known"),
        ("a", "a", "are one client"),
        ("d", "a", "d was merged into b"),
        ("a", "d", "d was merged into b"),
        ("c", "a", "c asked to be forgotten"),
        ("a", "c", "c asked to be forgotten"),
        ("b", "e", "e pays for b already"),
        ("e", "b", "rapport clients parent b --none"),
        ("a", None, "nobody else pays for a"),
    ],
)
def test_who_cannot_pay_is_refused_before_it_is_on_the_log(child: str, payer: str | None, said: str) -> None:
    states = family().states

    def standing(name: str | None) -> ClientState | None:
        state = states.get(name or "")
        return states[state.identity.into] if state is not None and state.identity.into else state

    with pytest.raises(UsageError) as raised:
        word_of_payer(standing(child), standing(payer), client_id=child, payer=payer, reason="it pays", author="dana", now=on(3))
    assert said in str(raised.value)


def test_what_the_command_writes_makes_another_client_pay_and_ends_it() -> None:
    here = family()

    def say(payer: str | None, day: float) -> None:
        known = here.states["f"] if payer else None
        told = word_of_payer(
            here.states["a"], known, client_id="a", payer=payer, reason="the holding pays", author="dana", now=on(day)
        )
        here.tell([told]).read()

    say("f", 3)
    assert "invoice I1" in "\n".join(describe(here.states["f"]))
    say(None, 4)
    assert "it paid for a" in describe(here.states["f"])
    here.tell([Events("a").issued(5, "I2", 10_000, event_id="i2")]).read()
    assert "invoice I2" in "\n".join(describe(here.states["a"]))


def test_what_the_command_writes_merges_and_both_names_are_explained_afterwards() -> None:
    here = firm()
    told = merge_of(here.states["a"], here.states["b"], client_id="a", into="b", reason="one company", author="dana", now=on(3))
    here.tell([told, Events("a").issued(4, "I2", 10_000, event_id="i2")]).read()
    assert describe(here.states["a"]) == ["a: merged into b on 2024-01-11; 1 later events were passed on there"]
    said = describe(here.states["b"])
    assert "a is part of it" in said
    assert [line.partition(":")[0] for line in said if line.startswith("invoice")] == ["invoice I1", "invoice I2"]


async def test_a_client_is_read_under_any_name_it_ever_had() -> None:
    here = firm().tell([Events("b").merged(4, "a", event_id="b-merged")]).read()
    data = MemoryPartitions()
    data.at(CLIENT_EVENTS.name, 0).states.update({name: encode(state) for name, state in here.states.items()})
    store = MemoryStateStore(data, partitions=1)
    for name in ("a", "b", "d"):
        state = await read_standing(store, name)
        assert state is not None
        assert state.client_id == "a"
    assert await read_standing(store, "x") is None


def simulated(told: list[AnyClientEvent], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    history = folder / "history.jsonl"
    history.write_bytes(b"\n".join(map(encode_event, told)) + b"\n")
    assert simulate(history) == 0
    return capsys.readouterr().out


def test_simulate_follows_a_client_to_the_name_it_goes_on_under(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[AnyClientEvent] = [
        Events("a").profiled(0),
        Events("a").issued(1, "I1", 90_000, due=2, event_id="i1"),
        Events("a").merged(3, "b", event_id="merge"),
        Events("a").paid(40, "P1", 90_000, "I1", event_id="p1"),
    ]
    said = simulated(told, tmp_path, capsys)
    assert "dana merges it into b: one company, two names" in said
    assert "merged into b" in said
    assert "what was known of a arrives" in said
    assert "SEND       delayed_payment_support" in said
    assert said.index("what was known of a arrives") < said.index("SEND       delayed_payment_support")
    assert "nothing is open in EUR any more" in said


def test_simulate_tells_how_a_parent_is_asked_for_what_its_child_owes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[AnyClientEvent] = [
        Events("parent").profiled(0),
        Events("child").issued(1, "I1", 90_000, due=2, event_id="i1"),
        Events("child").delegated(3, "parent", event_id="word"),
        Events("child").paid(40, "P1", 90_000, "I1", event_id="p1"),
    ]
    said = simulated(told, tmp_path, capsys)
    assert "dana says that parent pays for it: the holding pays" in said
    assert "what child owes arrives" in said
    assert said.index("what child owes arrives") < said.index("SEND       delayed_payment_support")
    assert "nothing is open in EUR any more" in said
