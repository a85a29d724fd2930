"""Reads a story (what happened, and the ledger of decisions a credit controller expects) and tells it to the core.

A line is a moment (UTC) and what happened then. Channel workers deliver what they are given one minute after its
not-before, unless the story says `channels are silent`. `policy {...}` says in YAML what differs from the default policy; an
answer is about the message that was put before a person last. `activates {...}` puts such a policy in force, `moves` lets what is
under way go on by the one in force. `unanswered 72 by sms` says messages of support once more after so many hours of silence.
`chances 0.34 0.05` are what a learner says of every renewal (that it will be, and for more), `chances none` that it abstains; the
ledger then also tells what was put to the client. It has one line per decision: moment, outcome, step, channel, first reason.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from msgspec import structs

from models.events.control import PolicyActivated, RunsMigrated
from models.events.envelope import ClientEvent, epoch_ms
from models.events.signals import ApprovalAnswered, DeliveryReported
from models.events.union import EVENT_ADAPTER, AnyClientEvent, AnyControlEvent, AnyEvent
from models.learners.activation import WithRenewals
from models.learners.baseline import BASELINE
from models.learners.renewal_scorer import UNLEARNED
from models.learners.scorer import PER_CHANCE, Scorer
from models.money import Money
from models.policy.document import PolicyDocument, document_of, policy_of
from models.policy.journeys import MissedRun
from models.policy.policy import DEFAULT_POLICY, Policy, stamped
from models.renewal_features import RenewalLandmark
from models.state.client import ClientState, Contract
from models.state.renewals import Period, RenewalAsked
from models.transition import transition
from models.triggers import APPROVE, Decision, Retraction, Trigger
from models.workdays import moment
from streams.engine.program import ClientProgram
from tests.models.builders import tick_at

CLIENT = "client-1"
MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Story:
    """What happened, in order, until when time goes on, and what is expected."""

    title: str
    events: tuple[AnyClientEvent | AnyControlEvent, ...]
    until_ms: int
    silent: bool
    expected: tuple[str, ...]
    down: tuple[int, int] = (0, 0)
    policy: Policy = DEFAULT_POLICY
    renewals: "Said | None" = None


@dataclass(frozen=True, slots=True)
class Said:
    """What a learner says of every renewal; nothing: it abstains."""

    chances: tuple[float, ...]
    version: str = "renewal-7"

    def assess(
        self, state: ClientState, period: Period, contract: Contract, *, now_ms: int, landmark: RenewalLandmark
    ) -> RenewalAsked:
        """Answer with the chances of the story."""
        asked = UNLEARNED.assess(state, period, contract, now_ms=now_ms, landmark=landmark)
        said = tuple(round(row * PER_CHANCE) for row in self.chances)
        return structs.replace(asked, chances=said or asked.chances, version=self.version)


def read(path: Path) -> Story:
    """Read a story file: title, `what happened`, `ledger`."""
    title, _, rest = path.read_text(encoding="utf-8").partition("\n")
    happened, _, ledger = rest.partition("\nledger\n")
    events: list[AnyClientEvent | AnyControlEvent] = []
    controls: list[PolicyActivated | RunsMigrated] = []
    until = 0
    silent = "channels are silent" in happened
    down, policy = (0, 0), DEFAULT_POLICY
    renewals: Said | None = None
    for line in happened.splitlines():
        words = line.split()
        if not words or words[0] in {"what", "channels"}:
            continue
        if words[0] == "chances":
            renewals = Said(() if words[1] == "none" else (float(words[1]), float(words[2]), 0.0))
            continue
        if words[0] == "missed":
            policy = _with_missed(MissedRun(words[1]))
            continue
        if words[0] == "unanswered":
            policy = with_second_words(int(words[1]), tuple(words[3:]))
            continue
        if words[0] == "policy":
            said = yaml.safe_load(line.strip().removeprefix("policy"))
            policy = policy_of(PolicyDocument.model_validate({"version": "story", **said}))
            continue
        at = datetime.fromisoformat(f"{words[0]}T{words[1]}").replace(tzinfo=UTC)
        if words[2:5] == ["worker", "down", "until"]:
            up = datetime.fromisoformat(f"{words[5]}T{words[6]}").replace(tzinfo=UTC)
            down = (epoch_ms(at), epoch_ms(up))
            continue
        if words[2:] == ["nothing", "more"]:
            until = epoch_ms(at)
            continue
        if words[2] in {"activates", "moves"}:
            controls.append(_control(at, line.partition(words[2])[2], policy, controls))
            events.append(controls[-1])
            continue
        events.append(_event(at, words[2], words[3:], len(events)))
    expected = tuple(line.rstrip() for line in ledger.splitlines() if line.strip())
    return Story(title, tuple(events), until, silent, expected, down, policy, renewals)


def _over(said: dict[str, Any], policy: Policy) -> dict[str, Any]:
    """Return the document of `policy` with what is said in the place of the same; lists as a whole."""

    def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
        deep = {name: merged(below[name], row) for name, row in above.items() if isinstance(row, dict) and name in below}
        return {**below, **above, **deep}

    return merged(document_of(policy).model_dump(mode="json", exclude_none=True), said)


def _control(
    at: datetime, said: str, policy: Policy, before: Sequence[PolicyActivated | RunsMigrated]
) -> PolicyActivated | RunsMigrated:
    """Return what puts in force a policy that differs from `policy` by what is said; without a word, what moves to it."""
    base = {"event_id": f"control-{len(before)}", "source": "story", "occurred_at": at, "received_at": at, "author": "mia"}
    if not said.strip():
        versions = tuple(dict.fromkeys((policy.version, *(row.version for row in before))))
        return RunsMigrated.model_validate({**base, "reason": "for all", "version": versions[-1], "versions": versions})
    there = policy_of(PolicyDocument.model_validate(_over({"version": "next", **yaml.safe_load(said)}, policy)))
    document = document_of(there).model_dump_json(exclude_none=True)
    return PolicyActivated.model_validate({**base, "reason": "better so", "version": there.version, "document": document})


def _with_missed(missed: MissedRun) -> Policy:
    """Return the default policy with every step of support and renewal taken like this when it was missed."""
    journeys = DEFAULT_POLICY.journeys
    ladders = {
        segment: replace(ladder, steps=tuple(replace(step, missed=missed) for step in ladder.steps))
        for segment, ladder in journeys.delay.items()
    }
    renewal = journeys.renewal
    if missed is not MissedRun.REVIEW:
        renewal = tuple(replace(step, missed=missed) for step in renewal)
    return stamped(replace(DEFAULT_POLICY, journeys=replace(journeys, delay=ladders, renewal=renewal)))


def with_second_words(hours: int, channels: tuple[str, ...], policy: Policy = DEFAULT_POLICY) -> Policy:
    """Return a policy with every message of support said once more by one of `channels` when nobody answers for so long."""
    ladders = {
        segment: replace(ladder, steps=tuple(replace(step, unanswered_hours=hours) for step in ladder.steps))
        for segment, ladder in policy.journeys.delay.items()
    }
    journeys = replace(policy.journeys, delay=ladders)
    return stamped(replace(policy, fallback_channels=channels, journeys=journeys))


def tell(story: Story) -> list[str]:
    """Return the ledger of decisions, one line each."""
    return told(story).lines


def told(story: Story) -> "Teller":
    """Return the teller of a story after its last event: the ledger, and the triggers that left."""
    teller = Teller(story)
    for event in story.events:
        teller.pass_until(event.received_ms)
        if isinstance(event, AnyControlEvent):
            teller.govern(event)
        else:
            teller.feed(event)
    teller.pass_until(story.until_ms)
    return teller


class Teller:
    """Feeds a story to the core, and delivers what it emits."""

    def __init__(self, story: Story) -> None:
        self.silent = story.silent
        self.down = story.down
        self.policy = story.policy
        self.scorer: Scorer = WithRenewals(BASELINE, story.renewals) if story.renewals else BASELINE
        self.tells_options = story.renewals is not None
        self.program, self.regime = ClientProgram(policy=story.policy), b""
        self.asked = ""
        self.last: dict[str, str] = {}
        self.state: ClientState | None = None
        self.due: int | None = None
        self.lines: list[str] = []
        self.sent: list[Trigger] = []
        self.mail: dict[str, tuple[int, str]] = {}

    def govern(self, event: AnyControlEvent) -> None:
        """Put in force what holds for everybody; as on a partition, the client is planned anew then."""
        self.regime = self.program.govern(self.regime, event)
        self.policy = self.program.under(self.regime).policy
        if self.state is not None:
            self.feed(tick_at(event.received_ms))

    def feed(self, event: AnyEvent) -> None:
        if isinstance(event, ApprovalAnswered):
            event = event.model_copy(update={"trigger_id": self.asked})
        if isinstance(event, DeliveryReported) and event.trigger_id in self.last:
            event = event.model_copy(update={"trigger_id": self.last[event.trigger_id]})
        result = transition(self.state, event, policy=self.policy, scorer=self.scorer)
        self.state, self.due = result.state, result.next_due_ms
        for output in result.outputs:
            match output:
                case Trigger():
                    self.sent.append(output)
                    self.last[f"last {output.channel}"] = output.trigger_id
                    self.asked = output.trigger_id if output.step.startswith(APPROVE) else self.asked
                    self.mail[output.trigger_id] = (epoch_ms(output.not_before) + MINUTE_MS, output.channel)
                case Retraction():
                    self.mail.pop(output.trigger_id, None)
                case Decision():
                    self.lines.append(_line(output))
                    self.lines += [f"  {row}" for row in output.reasons if self.tells_options and row.startswith("options ")]

    def pass_until(self, until_ms: int) -> None:
        while True:
            due = self.due if self.due is not None else until_ms + 1
            if self.down[0] <= due < self.down[1]:
                due = self.down[1]  # nothing runs when it is due: it is found when the worker is back
            mails = sorted((at, trigger_id, channel) for trigger_id, (at, channel) in self.mail.items())
            if mails and not self.silent and mails[0][0] <= min(due, until_ms):
                at, trigger_id, channel = mails[0]
                del self.mail[trigger_id]
                words = [trigger_id, channel]
                self.feed(_event(moment(at), "delivered", words, f"{at}-{trigger_id}"))
            elif due <= until_ms:
                self.feed(tick_at(due))
            else:
                return


def _line(decision: Decision) -> str:
    when = decision.decided_at.strftime("%Y-%m-%d %H:%M")
    what = f"{decision.outcome.value:<15} {decision.step or '-':<16} {decision.channel or '-':<7}"
    return f"{when} {what} {decision.reasons[0]}"


def _event(at: datetime, verb: str, words: list[str], serial: int | str) -> AnyClientEvent:
    named = (
        dict(zip(words[1::2], words[2::2], strict=False)) if verb in _ODD else dict(zip(words[::2], words[1::2], strict=False))
    )
    kind, fields = _VERBS[verb](words, named)
    base = {
        "kind": kind,
        "event_id": f"{verb}-{serial}",
        "source": "story",
        "client_id": CLIENT,
        "occurred_at": at,
        "received_at": at,
    }
    event = EVENT_ADAPTER.validate_python({**base, **{name: value for name, value in fields.items() if value is not None}})
    assert isinstance(event, ClientEvent)
    return event


def _day(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None


def _instalments(text: str) -> list[dict[str, object]]:
    parts = (part.partition("=") for part in text.split(","))
    return [{"due_at": _day(day), "amount": _euro(amount)} for day, _, amount in parts]


def _euro(text: str | None) -> Money | None:
    return Money.parse(text, "EUR") if text else None


Fields = tuple[str, dict[str, object]]
# After these verbs comes a name, then pairs of a word and its value.
_ODD = {"invoice", "payment", "pending", "failed", "refund", "chargeback", "reversal", "dispute", "resolved", "promise"} | {
    "contract",
    "credit",
    "void",
    "writeoff",
    "hold",
    "legal",
    "amend",
    "plan",
    "cancels",
    "segment",
    "window",
    "postpones",
    "approves",
}
_VERBS: dict[str, Callable[[list[str], dict[str, str]], Fields]] = {
    "profile": lambda _, n: (
        "client.profiled",
        {"name": "Ada", **{name: n.get(name) for name in ("email", "phone", "statements")}, "timezone": n.get("zone")},
    ),
    "invoice": lambda w, n: ("invoice.issued", {"invoice_id": w[0], "amount": _euro(n["over"]), "due_at": _day(n["due"])}),
    "amend": lambda w, n: ("invoice.amended", {"invoice_id": w[0], "amount": _euro(n.get("to")), "due_at": _day(n.get("due"))}),
    "void": lambda w, _: ("invoice.voided", {"invoice_id": w[0]}),
    "writeoff": lambda w, _: ("invoice.written_off", {"invoice_id": w[0]}),
    "credit": lambda w, n: (
        "credit_note.issued",
        {"credit_note_id": w[0], "amount": _euro(n["over"]), "invoice_id": n.get("on")},
    ),
    "payment": lambda w, n: (
        "payment.received",
        {"payment_id": w[0], "amount": _euro(n["over"]), "invoice_id": n.get("for"), "method": n.get("by", "wire")},
    ),
    "pending": lambda w, n: (
        "payment.pending",
        {"payment_id": w[0], "amount": _euro(n["over"]), "invoice_id": n.get("for"), "expected_at": _day(n.get("expected"))},
    ),
    "failed": lambda w, n: (
        "payment.failed",
        {
            "payment_id": w[0],
            "amount": _euro(n["over"]),
            "invoice_id": n.get("for"),
            "next_retry_at": _day(n.get("retry")),
            "method": n.get("by", "other"),
        },
    ),
    "refund": lambda w, n: ("payment.refunded", {"refund_id": w[0], "payment_id": n["of"], "amount": _euro(n["over"])}),
    "chargeback": lambda w, n: (
        "payment.charged_back",
        {"chargeback_id": w[0], "payment_id": n["of"], "amount": _euro(n["over"])},
    ),
    "reversal": lambda w, n: (
        "payment.chargeback_reversed",
        {"chargeback_id": w[0], "payment_id": n["of"], "amount": _euro(n["over"])},
    ),
    "dispute": lambda w, n: ("dispute.opened", {"dispute_id": w[0], "invoice_id": n.get("on")}),
    "resolved": lambda w, n: ("dispute.closed", {"dispute_id": w[0], "outcome": n.get("as", "withdrawn")}),
    "promise": lambda w, n: (
        "promise.made",
        {"promise_id": w[0], "invoice_id": n.get("for"), "promised_at": _day(n["by"])},
    ),
    "plan": lambda w, n: (
        "plan.agreed",
        {"plan_id": w[0], "invoice_id": n["for"], "instalments": _instalments(n["pays"])},
    ),
    "cancels": lambda w, _: ("plan.cancelled", {"plan_id": w[0]}),
    "contract": lambda w, n: (
        "contract.recorded",
        {"contract_id": w[0], "status": n.get("status", "active"), "renews_at": _day(n.get("renews"))},
    ),
    "hold": lambda w, n: (
        "override.set",
        {"override_id": w[0], "effect": "hold", "reason": "talked on the phone", "author": "sam", "expires_at": _day(n["until"])},
    ),
    "legal": lambda w, n: (
        "override.set",
        {"override_id": w[0], "effect": "legal_hold", "reason": "with counsel", "author": "lea", "expires_at": _day(n["until"])},
    ),
    "window": lambda w, n: (
        "override.set",
        {
            "override_id": w[0],
            "effect": "window",
            "value": n["is"],
            "reason": "fiscal year begins in July",
            "author": "sam",
            "expires_at": _day(n["until"]),
        },
    ),
    "segment": lambda w, n: (
        "override.set",
        {
            "override_id": w[0],
            "effect": "segment",
            "value": n["is"],
            "reason": "known from before",
            "author": "sam",
            "expires_at": _day(n["until"]),
        },
    ),
    "approves": lambda w, _: ("approval.answered", {"trigger_id": "asked", "verdict": "approve", "author": w[0]}),
    "postpones": lambda w, n: (
        "approval.answered",
        {"trigger_id": "asked", "verdict": "hold", "author": w[0], "until": _day(n.get("until")), "note": "on leave"},
    ),
    "refuses": lambda w, _: ("consent.changed", {"purpose": w[0], "granted": False}),
    "asks": lambda w, _: ("client.asked", {"request": w[0], "channel": "email"}),
    "tries": lambda _, __: (
        "delivery.reported",
        {"trigger_id": "last task", "channel": "task", "outcome": "failed", "reason": "no answer"},
    ),
    "replies": lambda _, __: ("delivery.reported", {"trigger_id": "last email", "channel": "email", "outcome": "replied"}),
    "call": lambda _, __: ("contact.logged", {"channel": "phone", "author": "sam"}),
    "erased": lambda _, __: ("client.erased", {"requested_by": "ada"}),
    "delivered": lambda w, _: ("delivery.reported", {"trigger_id": w[0], "channel": w[1], "outcome": "sent"}),
    "bounced": lambda _, __: ("delivery.reported", {"trigger_id": "last email", "channel": "email", "outcome": "bounced_hard"}),
}
