"""What learning renewals costs: a question with its features, an example, reasons, a lifetime value. Prints, asserts nothing."""

import sys

from models.learners.lifetime import ValueTerms
from models.learners.renewal import PublishedRenewals
from models.learners.renewal_snapshot import dump_renewal, load_renewal
from models.learners.renewal_trainer import RenewalTrainer
from models.learners.worth import worth_of
from models.renewal_features import RENEWAL_FEATURES, RenewalLandmark, renewal_features, unpack_renewal
from tests.bench.bench_learning import best_us
from tests.handlers.test_renewal_words import client
from tests.models.renewal_examples import renewal_example, renewal_trained


def test_what_learning_renewals_costs() -> None:
    trainer = renewal_trained(600)
    weights, checkpoint = trainer.publish(), trainer.checkpoint()
    scorer, state = PublishedRenewals(weights), client()
    period, contract, now = state.renewals.periods[0], state.person.contracts[0], state.now_ms
    month = RenewalLandmark.MONTH
    features = unpack_renewal(scorer.assess(state, period, contract, now_ms=now, landmark=month).features)
    raw = dump_renewal(weights)
    examples = [renewal_example(number) for number in range(600, 800)]

    def learn() -> None:
        fresh = RenewalTrainer.resume(checkpoint)
        for one in examples:
            fresh.take(one)
        fresh.turn(fresh.day + 1)

    resume = best_us(lambda: RenewalTrainer.resume(checkpoint), rounds=5)
    terms = ValueTerms(acquisition_units=5_000)
    report = (
        (
            f"the {len(RENEWAL_FEATURES)} features of one question",
            best_us(lambda: renewal_features(state, period, contract, now_ms=now, firm=scorer.firm), rounds=500),
            "us",
        ),
        (
            "three chances from features",
            best_us(lambda: scorer.chances(features, landmark=month, contract_type="retainer"), rounds=500),
            "us",
        ),
        (
            "whole question: features, chances, packing",
            best_us(lambda: scorer.assess(state, period, contract, now_ms=now, landmark=month), rounds=500),
            "us",
        ),
        (
            "reasons in words",
            best_us(lambda: scorer.explain(features, landmark=month, contract_type="retainer"), rounds=500),
            "us",
        ),
        ("lifetime value of one contract, five years", best_us(lambda: worth_of(state, scorer, terms), rounds=50), "us"),
        ("learn one answered renewal (nine heads)", (best_us(learn, rounds=2) - resume) / len(examples), "us"),
        ("dump weights", best_us(lambda: dump_renewal(weights), rounds=20), "us"),
        ("activation: load, compile", best_us(lambda: PublishedRenewals(load_renewal(raw)), rounds=20), "us"),
        ("weights", len(raw) / 1024, "KiB"),
        ("checkpoint", len(dump_renewal(checkpoint)) / 1024, "KiB"),
    )
    for name, value, unit in report:
        sys.stdout.write(f"\n{name:56} {value:10.1f} {unit}")
    sys.stdout.write("\n")
