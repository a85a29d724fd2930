"""The story of one run: what happens next is drawn from the seed, out of all that could happen."""

from collections.abc import Callable, Sequence
from itertools import count
from random import Random
from typing import Final

from models.events.control import FeedChanged, PolicyActivated
from models.events.payments import PaymentReceived
from models.money import Money
from streams.engine.fence import Fence
from streams.runtime.settings import Settings
from streams.wire.codec import encode_event
from streams.wire.topics import CONTROL_KEY
from tests.simulator.judge import Mismatch, check_commit
from tests.simulator.oracle import Oracle
from tests.simulator.program import CountingState
from tests.simulator.variants import Variant
from tests.simulator.worker import Worker
from tests.simulator.world import Call, World, instant

_WORKERS: Final = 3
_CLIENTS: Final = 6
_MOST_RECORDS: Final = 120
_MOST_FETCHED: Final = 8
_DUMPS_KEPT: Final = 6
_SKEW_MS: Final = 5_000
_WRONG_CLOCKS: Final = 0.15
_HOUR_MS: Final = 3_600_000
_REST_STEPS: Final = 4_000
_REST_SECONDS: Final = 0.5
_POISON: Final = (None, b"", b"{", b"[1]", b'{"kind":"payment.received"}', b"\xff\xfe", b"[" * 500)


class Story:
    """A world, its workers, and a seeded author."""

    def __init__(
        self, world: World, *, variant: Variant, fence: Fence, settings: Settings, oracle: Oracle[CountingState]
    ) -> None:
        """Start with an empty log and one worker."""
        self.world = world
        self.oracle = oracle
        self.mismatches: list[Mismatch] = []
        self._dice: Random = world.dice
        self._variant = variant
        self._fence = fence
        self._settings = settings
        self._names = count(1)
        self._events = count(1)
        self._sent: list[str] = []
        self._dumps: list[Sequence[bytes | None]] = []
        self._workers: list[Worker] = []
        self._start()
        self._rebalance()
        acts = self._acts()
        # Each seed has its own climate: some faults never, some often.
        self._weights = [
            weight * variant.climate.get(name, 1) * (self._dice.choice((0, 1, 1, 3)) if fault else 1)
            for name, weight, fault, _ in acts
        ]
        self._choices = [act for *_, act in acts]

    def _acts(self) -> list[tuple[str, float, bool, Callable[[], None]]]:
        """Return what may happen: its name, how often, whether it is a fault, and what to do."""
        return [
            ("serve", 40, False, self._serve),
            ("fetch", 14, False, self._fetch),
            ("write", 8, False, self._write),
            ("pass time", 8, False, self._pass_time),
            ("govern", 1, False, self._govern),
            ("advise", 2, False, self._advise),
            ("dump", 2, False, self._dump),
            ("lose request", 3, True, self._lose_request),
            ("lose reply", 3, True, self._lose_reply),
            ("repeat request", 3, True, self._repeat_request),
            ("half send", 2, True, self._half_send),
            ("poison", 1, True, self._poison),
            ("swallow", 1, True, self._swallow),
            ("fetch again", 1, True, self._fetch_again),
            ("roll back", 1, True, self._roll_back),
            ("lose everything", 0.15, True, self._lose_everything),
            ("kill", 0.7, True, self._kill),
            ("stop", 1, True, self._stop),
            ("rebalance", 1, True, self._rebalance_fault),
            ("forget group", 0.15, True, self._forget_group),
        ]

    def step(self) -> None:
        """Let one thing happen, and everything that follows from it without the outside."""
        (act,) = self._dice.choices(self._choices, self._weights)
        act()
        if self._dice.random() < 0.1:
            self._recover()
        self.world.loop.settle()

    # --- what keeps the world going

    def _running(self) -> list[Worker]:
        return [worker for worker in self._workers if not worker.stopped]

    def _start(self) -> None:
        name = f"w{next(self._names)}"
        skew = self._dice.randint(-_SKEW_MS, _SKEW_MS)
        if self._dice.random() < _WRONG_CLOCKS:
            self._note("clock an hour ahead")
            skew += _HOUR_MS
        fence = self._variant.fence(self.world, name, self._fence)
        fold = self._variant.fold
        self._workers.append(Worker(self.world, name, fence=fence, settings=self._settings, skew_ms=skew, fold=fold))
        self.world.tell(f"{name} starts")

    def _rebalance(self, *, all_hear: bool = True) -> None:
        group = self.world.group
        group.generation += 1
        group.owner = self._dice.choice(self._workers).name
        self.world.tell(f"generation {group.stamp} belongs to {group.owner}")
        for worker in self._workers:
            if all_hear or worker.name == group.owner or self._dice.random() < 0.5:
                worker.learn(group.stamp, owner=group.owner)

    def _recover(self) -> None:
        """Let a supervisor do its work: go on with a stopped process, start a new one, tell a zombie what it missed."""
        world = self.world
        stopped = [worker for worker in self._workers if worker.stopped]
        if stopped and self._dice.random() < 0.5:
            self._continue(self._dice.choice(stopped))
        elif len(self._workers) < _WORKERS:
            self._start()
            self._rebalance(all_hear=self._dice.random() < 0.5)
        else:
            deaf = [worker for worker in self._running() if worker.heard != world.group.stamp]
            for worker in deaf[:1]:
                worker.learn(world.group.stamp, owner=world.group.owner)

    def _continue(self, worker: Worker) -> None:
        worker.stopped = False
        self.world.loop.continue_process(worker.name)
        self.world.tell(f"{worker.name} goes on")

    def _serve(self) -> None:
        if self.world.calls:
            self._serve_one(self._dice.choice(self.world.calls), quick=self._dice.random() < 0.5)

    def _serve_one(self, call: Call, *, quick: bool) -> None:
        if not call.answered:
            self._execute(call)
        if call.answered and (quick or self._dice.random() < 0.5):
            self.world.finish(call)

    def _execute(self, call: Call) -> None:
        self.world.execute(call)
        if self._variant.watched and call.op == "commit" and call.error is None:
            self.mismatches += check_commit(self.world, self.oracle, call.answer)

    def _write(self) -> None:
        for _ in range(self._dice.randint(1, 6)):
            if len(self.world.log) >= _MOST_RECORDS:
                return
            self._write_one()

    def _write_one(self) -> None:
        client = f"client-{self._dice.randint(1, _CLIENTS)}"
        event_id = f"{client}-{next(self._events)}"
        if self._sent and self._dice.random() < 0.1:
            event_id = self._dice.choice(self._sent)
            client = event_id.rsplit("-", 1)[0]
        self._sent.append(event_id)
        now = instant(self.world.now_ms())
        event = PaymentReceived(
            event_id=event_id,
            source="simulator",
            occurred_at=now,
            received_at=now,
            client_id=client,
            payment_id=event_id,
            amount=Money(minor=self._dice.randint(1, 900), currency="EUR"),
        )
        self.world.append(client.encode(), encode_event(event))

    def _govern(self) -> None:
        """Write what changes the regime, now and then a second time, as somebody does who got no answer."""
        if len(self.world.log) >= _MOST_RECORDS:
            return
        now = instant(self.world.now_ms())
        number = self._dice.randint(1, 9)
        base = {"event_id": f"control-{number}", "source": "simulator", "occurred_at": now, "received_at": now, "author": "ann"}
        event: FeedChanged | PolicyActivated
        if number % 3:
            event = FeedChanged.model_validate({**base, "reason": "a feed is late", "feed": "stripe", "late_since": now})
        else:
            event = PolicyActivated.model_validate({**base, "reason": "everybody is woken", "version": "v", "document": "{}"})
        self.world.append(CONTROL_KEY, encode_event(event))

    def _fetch(self) -> None:
        fetching = [worker for worker in self._running() if self._has_news(worker)]
        if fetching:
            self._deliver(self._dice.choice(fetching), self._dice.randint(1, _MOST_FETCHED))

    def _has_news(self, worker: Worker) -> bool:
        return not worker.kafka.paused and worker.kafka.at < len(self.world.log)

    def _deliver(self, worker: Worker, amount: int) -> None:
        at = worker.kafka.at
        records = self.world.log[at : at + amount]
        worker.kafka.at = at + len(records)
        hole = worker.offer(records)
        if hole is None:
            return
        if self._variant.rereads_holes:
            worker.kafka.at = hole
        else:
            worker.kafka.believed = at
            worker.offer(records)  # the second time the lane asks the log

    def _pass_time(self) -> None:
        self.world.loop.advance(self._dice.choice((0.05, 0.2, 1.0, 3.0)))

    def _advise(self) -> None:
        for worker in self._running():
            if worker.kafka.joined == self.world.group.stamp:
                for offset in worker.lanes.positions().values():
                    self.world.group.committed = offset

    def _dump(self) -> None:
        self._dumps = [*self._dumps, self.world.server.dump()][-_DUMPS_KEPT:]

    # --- faults

    def _pick(self, *, answered: bool) -> Call | None:
        found = [call for call in self.world.calls if call.answered is answered and not call.abandoned]
        return self._dice.choice(found) if found else None

    def _note(self, fault: str) -> None:
        self.world.faults[fault] += 1
        self.world.tell(f"fault: {fault}")

    def _lose_request(self) -> None:
        if call := self._pick(answered=False):
            self._note("request lost")
            self.world.lose(call, why="request lost")
            if self._dice.random() < 0.5:
                self.world.calls.remove(call)  # else it is under way still, and may arrive when nobody expects it

    def _lose_reply(self) -> None:
        if call := self._pick(answered=True):
            self._note("reply lost")
            self.world.lose(call, why="reply lost")
            self.world.calls.remove(call)

    def _repeat_request(self) -> None:
        if (call := self._pick(answered=True)) and call.repeats == 0:
            self._note("request repeated")
            again = Call(call.process, call.op, call.perform, self.world.loop.create_future(), repeats=1)
            again.reply.cancel()
            self.world.calls.append(again)

    def _half_send(self) -> None:
        sends = [call for call in self.world.calls if call.op == "send" and not call.answered]
        if sends:
            call = self._dice.choice(sends)
            self._note("send failed half-way")
            call.fail_half_way()
            self.world.lose(call, why="broker went away")
            self.world.calls.remove(call)

    def _poison(self) -> None:
        if len(self.world.log) < _MOST_RECORDS:
            self._note("poison record")
            self.world.append(self._dice.choice((b"client-1", b"", None)), self._dice.choice(_POISON))

    def _swallow(self) -> None:
        """Lose fetched records inside the client library; the same ones again when they are read again, if it comes to that."""
        for worker in self._running():
            if self._has_news(worker):
                self._note("fetched records swallowed")
                worker.kafka.at += self._dice.randint(1, min(4, len(self.world.log) - worker.kafka.at))
                return

    def _fetch_again(self) -> None:
        for worker in self._running():
            if worker.kafka.at > 0:
                self._note("records fetched twice")
                worker.kafka.at -= self._dice.randint(1, min(5, worker.kafka.at))
                return

    def _roll_back(self) -> None:
        if self._dumps:
            self._note("Redis rolled back")
            self.world.server.restore(self._dice.choice(self._dumps))

    def _lose_everything(self) -> None:
        self._note("Redis lost everything")
        self.world.server.lose_everything()

    def _kill(self) -> None:
        worker = self._dice.choice(self._workers)
        self._note("kill -9")
        self._bury(worker)
        if not self._workers:
            self._start()
        self._rebalance(all_hear=self._dice.random() < 0.5)

    def _bury(self, worker: Worker) -> None:
        self.world.tell(f"{worker.name} is killed")
        self._workers.remove(worker)
        worker.forget()
        self.world.loop.kill_process(worker.name)
        for call in [call for call in self.world.calls if call.process == worker.name]:
            if self._dice.random() < 0.5:
                self.world.calls.remove(call)
            else:
                call.reply.cancel()

    def _stop(self) -> None:
        """Stop a process as SIGSTOP does; half of the time the group takes it for dead."""
        if running := self._running():
            worker = self._dice.choice(running)
            self._note("stopped process")
            worker.stopped = True
            self.world.loop.stop_process(worker.name)
            others = [each for each in self._workers if each is not worker]
            if others and self._dice.random() < 0.5:
                self._rebalance()

    def _rebalance_fault(self) -> None:
        self._note("rebalance")
        self._rebalance(all_hear=self._dice.random() < 0.5)

    def _forget_group(self) -> None:
        self._note("group forgotten")
        self.world.group.epoch += 1
        self.world.group.generation = 0
        self.world.group.committed = None
        self._rebalance(all_hear=self._dice.random() < 0.5)

    # --- the end

    def rest(self) -> bool:
        """End all faults and let everything come to rest; returns whether it did."""
        for worker in [each for each in self._workers if each.stopped]:
            self._continue(worker)
        self._rebalance()
        world = self.world
        for _ in range(_REST_STEPS):
            world.loop.settle()
            if world.calls:
                self._serve_one(world.calls[0], quick=True)
            elif fetching := [worker for worker in self._workers if self._has_news(worker)]:
                self._deliver(fetching[0], _MOST_FETCHED)
            elif self._is_over():
                return True
            else:
                world.loop.advance(_REST_SECONDS)
        return False

    def _is_over(self) -> bool:
        server, world = self.world.server, self.world
        if server.position() != len(world.log) or server.outbox_depth():
            return False
        return not any(due <= world.now_ms() for due in server.timers().values())

    def end(self) -> None:
        """Kill every process, so that nothing of this run is left on the loop."""
        for worker in list(self._workers):
            self._bury(worker)
