"""Answers questions about renewals from published weights, and says why in plain words."""

from collections.abc import Iterator
from dataclasses import dataclass
from operator import mul
from typing import Final, NamedTuple

from models.feature_figures import logit
from models.learners.chance import bounded, sigmoid
from models.learners.explanation import UNSEEN, WORTH, instead, reasons_of, strongest
from models.learners.renewal_scorer import UNSAID
from models.learners.renewal_snapshot import RenewalLine, RenewalWeights
from models.learners.retention import SHRINKAGE, type_group
from models.learners.scorer import PER_CHANCE, Explained
from models.renewal_features import (
    LEADS,
    RENEWAL_FEATURES,
    RENEWAL_INDEX,
    Ending,
    RenewalFamily,
    RenewalFirm,
    RenewalLandmark,
    aged,
    pack_renewal,
    renewal_features,
    unpack_renewal,
)
from models.state.client import ClientState, Contract
from models.state.renewals import Period, RenewalAsked
from models.workdays import DAY_MS

FLOOR: Final = 30
"""Answers a head must have learned before it speaks."""

RARER: Final = 5
"""And how many of them must have been of the rarer kind: from forty renewals and no loss nothing follows about loss."""

_NEARER: Final = 1.7  # a landmark's learner answers up to so many times its days before the renewal
_FURTHEST: Final = 120  # days before a renewal beyond which what passes today says nothing about it
_QUIET: Final = frozenset({RenewalFamily.FIRM})
_FAMILY_OF: Final = tuple(row.family for row in RENEWAL_FEATURES)

_PASSES: Final = tuple(
    row.name
    in {"price_step", "price_rise", "overdue", "oldest_overdue", "disputed_now", "declines", "gap", "trend", "firm_recent"}
    for row in RENEWAL_FEATURES
)

_WORDS: Final = {
    RenewalFamily.TENURE: "how long and how often they have renewed",
    RenewalFamily.HISTORY: "how their other contracts ended",
    RenewalFamily.PRICE: "the price and its last change",
    RenewalFamily.PAYING: "how they pay",
    RenewalFamily.FRICTION: "disputes and declined payments",
    RenewalFamily.ACTIVITY: "how much work there has been lately",
    RenewalFamily.SEASON: "the time of the year",
    RenewalFamily.STATUS: "the standing of the contract",
    RenewalFamily.FIRM: "how renewals go lately",
}

_FURTHER: Final = {
    Ending.RAISED: "a price at least a tenth higher, if it is renewed,",
    Ending.LEFT: "the client leaves, by a learner of its own",
}

# What could be otherwise by the firm's or the client's own doing, in the order in which it is offered.
_OTHERWISE: Final = (
    ("price_rise", ("price_rise", "price_step"), "at an unchanged price"),
    ("overdue", ("overdue", "oldest_overdue"), "with nothing overdue today"),
    ("disputed_now", ("disputed_now",), "with the open dispute settled"),
    ("declines", ("declines",), "without the declined payments"),
)


@dataclass(frozen=True, slots=True)
class RenewalScore:
    """Chances of one contract's next renewal as of now, and why, strongest reason first; none where evidence is too thin.

    `further` are the reasons for a renewal at a higher price, and for the client leaving.
    """

    contract_id: str
    renews_ms: int
    renewed: float
    raised: float | None
    left: float | None
    reasons: tuple[str, ...]
    version: str
    further: tuple[Explained, ...] = ()


class RenewalPath(NamedTuple):
    """Chances of the renewals ahead, and how far those who have a say in them are apart: a standard error of their logits.

    It is that of a mixture of the learner, weighed by its trust, and the plain share: 0 while the learner is trusted.
    """

    chances: list[float]
    apart: float


class PublishedRenewals:
    """Answers from published weights; the same weights and state always give the same answer."""

    def __init__(self, weights: RenewalWeights) -> None:
        """Compile `weights`."""
        self.version = weights.version
        self.weights = weights
        firm = weights.firm
        self.firm = RenewalFirm(firm.renewed_share, firm.recent_share, firm.log_amount, firm.log_amount_spread)
        self._shares = {name: _share(weights, name) for name in weights.types}
        self._slots = {name: place for place, name in enumerate(weights.types)}
        self._lines = {(Ending(line.ending), RenewalLandmark(line.landmark)): line for line in weights.lines}

    def assess(
        self, state: ClientState, period: Period, contract: Contract, *, now_ms: int, landmark: RenewalLandmark
    ) -> RenewalAsked:
        """Return features and chances of one question, ready to be stored until the outcome is known."""
        raw = pack_renewal(renewal_features(state, period, contract, now_ms=now_ms, firm=self.firm))
        # Scored as stored: half precision, so that whoever reads the question later gets the same score.
        chances = self.chances(unpack_renewal(raw), landmark=landmark, contract_type=period.contract_type)
        return RenewalAsked(int(landmark), now_ms, raw, chances, self.version, self.weights.trust < 1.0)

    def chances(self, features: tuple[float, ...], *, landmark: RenewalLandmark, contract_type: str) -> tuple[int, ...]:
        """Return P(renewed), P(raised), P(left) in ten-thousandths; -1 where the evidence is too thin.

        Who is raised is renewed, so that chance is one among the renewed times the first; who leaves is not renewed.
        """
        found = []
        renewing = self._share_of(contract_type)
        for ending in Ending:
            line = self._speaking(ending, landmark)
            if line is None:
                found.append(UNSAID)
                continue
            chance = sigmoid(self._value(line, features, contract_type))
            if ending is Ending.RENEWED:
                chance = renewing = self._leaned(chance, contract_type)
            elif ending is Ending.RAISED:
                chance *= renewing
            found.append(round(bounded(chance) * PER_CHANCE))
        renewed, raised, left = found
        if renewed != UNSAID:
            raised, left = min(raised, renewed), min(left, PER_CHANCE - renewed)
        return renewed, raised, left

    def standing(self, state: ClientState) -> list[RenewalScore]:
        """Return the chances of the renewals ahead at the client's logical time, the next one first.

        Left out is what the evidence is too thin for.
        """
        found = []
        for period in sorted(state.renewals.periods, key=lambda row: (row.renews_ms, row.contract_id)):
            contract = next((row for row in state.person.contracts if row.contract_id == period.contract_id), None)
            if contract is None or period.fate or period.renews_ms <= state.now_ms:
                continue
            landmark = nearest_landmark((period.renews_ms - state.now_ms) / DAY_MS)
            asked = self.assess(state, period, contract, now_ms=state.now_ms, landmark=landmark)
            renewed, raised, left = (part / PER_CHANCE if part != UNSAID else None for part in asked.chances)
            if renewed is not None:
                features = unpack_renewal(asked.features)
                reasons = self._reasons(features, landmark=landmark, contract_type=period.contract_type)
                further = self._further(asked, features, contract_type=period.contract_type)
                found.append(
                    RenewalScore(period.contract_id, period.renews_ms, renewed, raised, left, reasons, self.version, further)
                )  # fmt: skip
        return found

    def path(self, state: ClientState, period: Period, contract: Contract, *, count: int) -> RenewalPath | None:
        """Return the chances of the next `count` renewals as of now, None where the evidence is too thin.

        After a drift the plain share of the contract type has its say in all of them, as in the chances that are told.

        The first is asked about by what is known today. For the later ones the question is put again about the same client, older
        by the periods between, with whatever passes (prices, work, what is overdue) as it usually is; so is a first one that is
        further away than any question that was ever put.
        """
        now, usual = state.now_ms, self.weights.firm.usual
        days = (period.renews_ms - now) / DAY_MS
        landmark = nearest_landmark(days)
        first = self._speaking(Ending.RENEWED, landmark)
        line = next((row for row in self._renewing() if LEADS[RenewalLandmark(row.landmark)] < period.days), first)
        if first is None or line is None or not usual:
            return None
        features = tuple(renewal_features(state, period, contract, now_ms=now, firm=self.firm))
        settled = tuple(
            usual[place] if passes else value for place, (value, passes) in enumerate(zip(features, _PASSES, strict=True))
        )
        found = []
        for ahead in range(count):
            far = ahead or days > _FURTHEST
            asked = aged(settled, period, ahead, wait=max(0.0, days - LEADS[RenewalLandmark.QUARTER])) if far else features
            found.append(bounded(sigmoid(self._value(line if ahead else first, asked, period.contract_type))))
        trust, share = self.weights.trust, logit(bounded(self._share_of(period.contract_type)))
        apart = sum(abs(logit(chance) - share) for chance in found) / max(1, len(found))
        chances = [self._leaned(chance, period.contract_type) for chance in found]
        return RenewalPath(chances, (trust * (1.0 - trust)) ** 0.5 * apart)

    def _renewing(self) -> Iterator[RenewalLine]:
        lines = (self._speaking(Ending.RENEWED, landmark) for landmark in RenewalLandmark)
        return (line for line in lines if line is not None)

    def _speaking(self, ending: Ending, landmark: RenewalLandmark) -> RenewalLine | None:
        line = self._lines.get((ending, landmark))
        return line if line is not None and line.seen >= FLOOR and line.rarer >= RARER else None

    def _reasons(self, features: tuple[float, ...], *, landmark: RenewalLandmark, contract_type: str) -> tuple[str, ...]:
        """Return what `explain` says, after what makes the chance another number than the one that it leads to."""
        reasons = self.explain(features, landmark=landmark, contract_type=contract_type)
        own = bounded(sigmoid(self._value(self._lines[Ending.RENEWED, landmark], features, contract_type)))
        leaned = self._leaned(own, contract_type)
        if f"{leaned:.0%}" == f"{own:.0%}":
            return reasons
        say = f"the plain share of the contract type has {1.0 - self.weights.trust:.0%} of the say"
        return (f"{say}, as renewals went differently lately: {leaned:.0%} with it, {own:.0%} without", *reasons)

    def _leaned(self, chance: float, contract_type: str) -> float:
        """Return a chance of renewal with the say that the plain share has after a drift, until enough answers are learned."""
        trust = self.weights.trust
        return trust * chance + (1.0 - trust) * self._share_of(contract_type)

    def _share_of(self, contract_type: str) -> float:
        return self._shares.get(contract_type, self.weights.firm.renewed_share)

    def _further(self, asked: RenewalAsked, features: tuple[float, ...], *, contract_type: str) -> tuple[Explained, ...]:
        """Return why the price may rise with a renewal, and why the client may leave, where that is said."""
        landmark = RenewalLandmark(asked.landmark)
        found = []
        for ending, words in _FURTHER.items():
            if asked.chances[ending] == UNSAID:
                continue
            own = bounded(sigmoid(self._value(self._lines[ending, landmark], features, contract_type)))
            reasons = self.explain(features, landmark=landmark, contract_type=contract_type, ending=ending)
            found.append(Explained(f"{words} {own:.0%}", reasons))
        return tuple(found)

    def explain(
        self, features: tuple[float, ...], *, landmark: RenewalLandmark, contract_type: str, ending: Ending = Ending.RENEWED
    ) -> tuple[str, ...]:
        """Return at most three reasons for an ending in words, the strongest first, then a counterfactual where there is one."""
        line = self._lines[ending, landmark]
        total = self._value(line, features, contract_type)
        parts = renewal_contributions(line, features)
        told = strongest(parts, quiet=_QUIET, least=WORTH)
        named = [(_WORDS[family], parts[family]) for family in told]
        own = self._own(line, contract_type)
        if abs(own) >= WORTH:
            named.append((f"that it is a {contract_type!r}", own))
        reasons = reasons_of(named, total)
        if not reasons:
            reasons = [UNSEEN if told else f"nothing about them stands out: it is the usual chance of a {contract_type!r}"]
        other = _counterfactual(line, features, total)
        return (*reasons, other) if other else tuple(reasons)

    def _value(self, line: RenewalLine, features: tuple[float, ...], contract_type: str) -> float:
        total: float = line.intercept + sum(map(mul, line.slopes, features))
        return total + self._own(line, contract_type)

    def _own(self, line: RenewalLine, contract_type: str) -> float:
        slot = self._slots.get(contract_type)
        return line.types[slot] if slot is not None else 0.0


def nearest_landmark(days: float) -> RenewalLandmark:
    """Return the landmark whose learners answer so many days before a renewal."""
    return next((row for row in reversed(RenewalLandmark) if days <= LEADS[row] * _NEARER), RenewalLandmark.QUARTER)


def renewal_contributions(line: RenewalLine, features: tuple[float, ...]) -> dict[RenewalFamily, float]:
    """Return what each family adds to the logit; with intercept and type they sum to the whole value exactly."""
    found = dict.fromkeys(RenewalFamily, 0.0)
    for family, slope, value in zip(_FAMILY_OF, line.slopes, features, strict=True):
        found[family] += slope * value
    return found


def _counterfactual(line: RenewalLine, features: tuple[float, ...], total: float) -> str:
    """Return what the chance would be if one thing were otherwise that somebody could change; empty where nothing is."""
    for flag, names, words in _OTHERWISE:
        if not features[RENEWAL_INDEX[flag]]:
            continue
        gone = sum(line.slopes[RENEWAL_INDEX[name]] * features[RENEWAL_INDEX[name]] for name in names)
        if other := instead(words, f"{sigmoid(total - gone):.0%}", f"{sigmoid(total):.0%}"):
            return other
    return ""


def _share(weights: RenewalWeights, contract_type: str) -> float:
    """Return the share renewed of a contract type, shrunk to the firm's."""
    firm = weights.firm.renewed_share
    seen = weights.retention.ages_of(type_group(contract_type))
    return firm if seen is None else (sum(seen.renewed) + SHRINKAGE * firm) / (sum(seen.known) + SHRINKAGE)
