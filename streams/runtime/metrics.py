"""Every metric in one typed table: what operators read is declared here once, and nowhere else."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics import MetricWrapperBase

PREFIX: Final = "rapport_"
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# Races end within seconds, backlogs within hours; a day and more is a fault in the books.
_LATE: Final = (0.1, 1, 5, 30, 60, 300, 900, 3_600, 21_600, 86_400, 604_800)
# An objective is a bound of these: 5 s, deploy/prometheus/rules.yml.
_TO_TRIGGER: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_BATCH: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)


class MetricKind(StrEnum):
    """How a metric behaves."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, eq=False)  # each is itself and no other: looked up by identity, many times per batch
class Metric:
    """One metric. `name` goes without the prefix; a counter's ends in `_total`; labels never carry a client's id."""

    name: str
    kind: MetricKind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = _SECONDS

    @property
    def full_name(self) -> str:
        """The name as Prometheus shows it."""
        return PREFIX + self.name


def _counter(name: str, help_text: str, *labels: str) -> Metric:
    return Metric(name, MetricKind.COUNTER, help_text, labels)


def _gauge(name: str, help_text: str, *labels: str) -> Metric:
    return Metric(name, MetricKind.GAUGE, help_text, labels)


def _histogram(name: str, help_text: str, *labels: str, buckets: tuple[float, ...] = _SECONDS) -> Metric:
    return Metric(name, MetricKind.HISTOGRAM, help_text, labels, buckets)


BUILD_INFO: Final = _gauge(
    "build_info", "Version of Rapport and of the engine under it; always 1.", "version", "faust", "aiokafka"
)
PARTITIONS_ASSIGNED: Final = _gauge("worker_partitions_assigned", "Partitions this worker owns.", "topic")
TOPIC_PARTITIONS: Final = _gauge("topic_partitions", "Partitions that all workers together should own.", "topic")
PARTITIONS_HALTED: Final = _gauge("worker_partitions_halted", "Partitions stopped because going on would lose data.", "topic")
WORKER_GENERATION: Final = _gauge("worker_generation", "Generation of the consumer group this worker last joined.")
REBALANCES: Final = _counter("rebalances_total", "Rebalances this worker went through.")
LOOP_LAG: Final = _gauge("event_loop_lag_seconds", "How late the event loop last was.")
BATCH_EVENTS: Final = _histogram("batch_events", "Records in a batch.", "topic", buckets=_BATCH)
STAGE_DURATION: Final = _histogram("batch_stage_duration_seconds", "Time of one stage of a batch.", "topic", "stage")
EVENTS_PROCESSED: Final = _counter("events_processed_total", "Records folded.", "type", "outcome")
OFFSET_GAPS: Final = _counter(
    "offset_gaps_total", "Holes in the offsets received: reread; when still there, accepted or refuted.", "topic", "kind"
)
LAST_PROGRESS: Final = _gauge("last_progress_timestamp_seconds", "When the partition last moved on.", "topic", "partition")
WATCHDOG_EXITS: Final = _counter("watchdog_exits_total", "Times the process decided to exit.", "reason")
FENCE_COMMITS: Final = _counter("fence_commits_total", "Commits by answer.", "topic", "result")
FENCE_NEXT: Final = _gauge("fence_next_offset", "Next offset to be folded.", "topic", "partition")
CONSUMER_LAG: Final = _gauge(
    "consumer_lag_records",
    "Records of the partition that are not folded yet, by its owner's last fetch or the lag exporter.",
    "topic",
    "partition",
)
CONSUMER_LAG_SECONDS: Final = _gauge("consumer_lag_seconds", "Age of the oldest of them; 0: none waits.", "topic", "partition")
CONSUMER_STATUS: Final = _gauge(
    "consumer_status",
    "1 for how the partition fares over the last readings of the lag exporter: ok, warn, stall, stop or rewind.",
    "topic",
    "partition",
    "status",
)
RETENTION_HEADROOM: Final = _gauge(
    "retention_headroom_seconds",
    "Until retention deletes the oldest record that waits; none waits: not shown.",
    "topic",
    "partition",
)
LAG_READ: Final = _gauge("lag_read_timestamp_seconds", "When the lag exporter last could read everything.")
REDIS_ROLLBACKS: Final = _counter("redis_rollbacks_total", "Times Redis was found behind or forked.", "topic")
REDIS_ROLLBACK_OFFSETS: Final = _counter("redis_rollback_offsets_total", "Offsets to fold again because of that.", "topic")
REDIS_CALL_DURATION: Final = _histogram("redis_call_duration_seconds", "Time of one call.", "op")
REDIS_ERRORS: Final = _counter("redis_errors_total", "Calls that have to be repeated.", "op")
REDIS_MEMORY: Final = _gauge("redis_memory_used_bytes", "Memory that Redis uses, told by the lag exporter.")
REDIS_MEMORY_LIMIT: Final = _gauge("redis_memory_limit_bytes", "Its maxmemory, or else the memory of its machine.")
REDIS_EVICTED: Final = _gauge(
    "redis_evicted_keys", "Keys that Redis threw away for want of memory since it started; each is lost data."
)
REDIS_SAVES: Final = _gauge("redis_saves", "1 while Redis keeps an append-only file and its last write to it went well.")
OUTBOX_DEPTH: Final = _gauge("outbox_depth", "Outputs stored and not published yet.", "topic", "partition")
OUTBOX_OLDEST_AGE: Final = _gauge("outbox_oldest_age_seconds", "How long the oldest of them waits.", "topic", "partition")
OUTPUTS_PUBLISHED: Final = _counter("outputs_published_total", "Outputs acknowledged by Kafka.", "topic")
EVENT_TO_TRIGGER: Final = _histogram(
    "event_to_trigger_seconds", "From an event on the client log until Kafka has its trigger.", buckets=_TO_TRIGGER
)
OUTPUTS_SUPPRESSED: Final = _counter("outputs_suppressed_total", "Outputs not published again after a rebuild.", "topic")
PRODUCER_RESTARTS: Final = _counter("producer_restarts_total", "Producers closed and made anew after an error.")
TIMERS_DUE_BACKLOG: Final = _gauge("timer_lateness_seconds", "How late the earliest due timer is; 0: none is due.", "partition")
TIMERS_OVERDUE: Final = _gauge("timers_overdue", "Clients with a timer that is due and has not fired.", "partition")
CLOCK_AHEAD: Final = _gauge("clock_ahead_seconds", "How far our clock is ahead of the broker's, negative: behind.", "partition")
TICKS: Final = _counter("ticks_total", "Clock ticks written.", "partition")
DLQ_RECORDS: Final = _counter("dlq_records_total", "Dead letters by stage and reason.", "stage", "reason")
DLQ_DEPTH: Final = _gauge("dlq_depth", "Dead letters that were neither driven again nor dismissed, told by the lag exporter.")
DLQ_OLDEST_AGE: Final = _gauge("dlq_oldest_age_seconds", "How long the oldest of them has waited; 0: none does.")
CHANNEL_SENDS: Final = _counter("channel_sends_total", "Attempts by the provider's verdict.", "channel", "provider", "outcome")
CHANNEL_SEND_DURATION: Final = _histogram("channel_send_duration_seconds", "Time of one attempt.", "channel")
CHANNEL_OLDEST_AGE: Final = _gauge("channel_queue_oldest_age_seconds", "How overdue the oldest unsent trigger is.", "channel")
CHANNEL_WAITING: Final = _gauge("channel_triggers_waiting", "Triggers held or waiting for another attempt.", "channel")
CHANNEL_UNREPORTED: Final = _gauge("channel_outcomes_unpublished", "Outcomes that signals has not acknowledged.", "channel")
CHANNEL_CIRCUIT_OPEN: Final = _gauge("channel_circuit_open", "1 while a provider is spared after failures.", "provider")
CHANNEL_AMBIGUOUS: Final = _counter("channel_ambiguous_total", "Attempts of which nobody knows the result.", "channel")
CHANNEL_REPEATED: Final = _counter("triggers_duplicates_dropped_total", "Triggers seen again and not taken again.", "channel")
CHANNEL_OUTCOMES: Final = _counter("channel_outcomes_total", "Outcomes reported, by kind.", "channel", "outcome")
CONTACT_SUPPRESSED: Final = _counter("contact_policy_suppressed_total", "Triggers stopped just before sending.", "reason")
DECISIONS_MADE: Final = _counter("decisions_total", "Decisions published, by what was decided.", "journey", "outcome")
SENT_AFTER_PAID: Final = _histogram(
    "sent_after_paid_seconds", "Age of payments at messages that left all the same; the aim is none.", buckets=_LATE
)
CANCELLED_YET_DELIVERED: Final = _counter(
    "cancelled_yet_delivered_total", "Messages taken back that left all the same.", "channel"
)
RETRACTIONS_UNACKNOWLEDGED: Final = _counter(
    "retractions_unacknowledged_total", "Retractions that no worker has answered.", "channel"
)

LEARNER_EXAMPLES: Final = _counter(
    "learner_examples_total", "Examples read by the trainer, by what became of them.", "learner", "outcome"
)
LEARNER_LAG: Final = _gauge("learner_lag_records", "Records of the examples topic that the trainer has not read yet.", "learner")
LEARNER_BEHIND: Final = _gauge(
    "learner_lag_seconds", "Age of the newest record that the trainer has read, while more wait; else 0."
)
LEARNER_UNSTORED: Final = _gauge(
    "learner_checkpoint_age_seconds",
    "From the first example that no checkpoint holds to the newest: what a crash has learned again.",
)
LEARNER_LOG_LOSS: Final = _gauge(
    "learner_log_loss", "Log loss (nats) over about the last 500 answers, by who answered.", "learner", "who"
)
LEARNER_AUC: Final = _gauge("learner_auc", "AUC over the last 1,000 answers, by who answered.", "learner", "who")
LEARNER_CALIBRATION: Final = _gauge(
    "learner_calibration_error", "Mean distance of shares from probabilities over tenths.", "learner", "who"
)
LEARNER_RELIABILITY: Final = _gauge(
    "learner_reliability",
    "Live answers by tenth of the chance: mean given, and share that came true.",
    "learner",
    "bin",
    "what",
)
LEARNER_ANSWERS: Final = _gauge("learner_answers", "Answers judged so far, by who answered.", "learner", "who")
LEARNER_RANGE_HELD: Final = _gauge("learner_range_held", "Share of invoices paid within the 90 % range given.", "learner")
LEARNER_TRUST: Final = _gauge("learner_trust", "Weight of the learner against the rules; below 1 after a drift.", "learner")
LEARNER_DRIFTS: Final = _counter("learner_drifts_total", "Drifts noticed.", "learner")
LEARNER_CHECKED: Final = _gauge("learner_checked_timestamp_seconds", "When stored features were last held against the log.")
LEARNER_DISTRUSTED: Final = _gauge("learner_distrusted", "1 while the last such check has failed and no version goes in force.")
LEARNER_REFUSED: Final = _gauge(
    "learner_refused", "1 while this worker's release cannot use the version in force, so that rules decide.", "learner"
)
LEARNER_SNAPSHOTS: Final = _counter("learner_snapshots_total", "Snapshots published.", "learner", "activated")

INGEST_REQUESTS: Final = _counter("ingest_requests_total", "Webhook requests by what became of them.", "source", "outcome")
INGEST_REFUSALS: Final = _counter("ingest_refusals_total", "Webhooks whose signature did not hold.", "source", "reason")
INGEST_DURATION: Final = _histogram("ingest_request_duration_seconds", "Time from request to answer.", "source")
FEED_SILENT: Final = _gauge("feed_silent_seconds", "Time since a source was last heard.", "source")
FEED_LATE: Final = _gauge("feed_late", "1 while a source counts as late and what depends on it waits.", "source")
FEED_HELD: Final = _gauge("feed_clients_held", "Clients with something held back because a source is late.", "source")
INGEST_LAST_ACCEPTED: Final = _gauge("ingest_last_accepted_timestamp_seconds", "When a webhook was last accepted.", "source")
LINK_REQUESTS: Final = _counter("link_requests_total", "Visits and answers to links in mails.", "choice", "outcome")
PORTAL_REQUESTS: Final = _counter("portal_requests_total", "Requests of the firm's portal, by what became of them.", "outcome")
SLO_EVENTS: Final = _counter("slo_events_total", "What was judged for an objective: answers about synthetic clients.", "slo")
SLO_GOOD: Final = _counter("slo_events_good_total", "Those of them that were as they should be.", "slo")
INGEST_BYTES: Final = _gauge("ingest_bytes_in_flight", "Bytes of webhooks that Kafka has not acknowledged yet.")

METRICS: Final = tuple(value for value in tuple(globals().values()) if isinstance(value, Metric))
"""All of the above, in the order of the table."""

_MAKERS: Final = {MetricKind.COUNTER: Counter, MetricKind.GAUGE: Gauge}


class Meter:
    """Counts for one process (or one test); knows the metrics of the table and no others."""

    def __init__(self) -> None:
        """Start with every counter at zero."""
        self.registry = CollectorRegistry()
        self._made: dict[Metric, MetricWrapperBase] = {}
        self._series: dict[tuple[Metric, tuple[tuple[str, str], ...]], MetricWrapperBase] = {}

    def _at(self, metric: Metric, labels: dict[str, str]) -> MetricWrapperBase:
        key = metric, tuple(labels.items())
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = self._make(metric, labels)
        return series

    def _make(self, metric: Metric, labels: dict[str, str]) -> MetricWrapperBase:
        made = self._made.get(metric)
        if made is None:
            names = metric.labels
            if metric.kind is MetricKind.HISTOGRAM:
                made = Histogram(metric.full_name, metric.help, names, buckets=metric.buckets, registry=self.registry)
            else:
                made = _MAKERS[metric.kind](metric.full_name, metric.help, names, registry=self.registry)
            self._made[metric] = made
        return made.labels(**labels) if labels else made

    def count(self, metric: Metric, amount: float = 1, /, **labels: str) -> None:
        """Add `amount` to a counter."""
        counter = self._at(metric, labels)
        assert isinstance(counter, Counter)  # noqa: S101 - the table's kind says so
        counter.inc(amount)

    def set(self, metric: Metric, value: float, /, **labels: str) -> None:
        """Set a gauge."""
        gauge = self._at(metric, labels)
        assert isinstance(gauge, Gauge)  # noqa: S101 - likewise
        gauge.set(value)

    def observe(self, metric: Metric, value: float, /, **labels: str) -> None:
        """Add one observation to a histogram."""
        self.observe_all(metric, (value,), **labels)

    def observe_all(self, metric: Metric, values: Iterable[float], /, **labels: str) -> None:
        """Add observations to a histogram."""
        histogram = self._at(metric, labels)
        assert isinstance(histogram, Histogram)  # noqa: S101 - likewise
        for value in values:
            histogram.observe(value)

    def forget(self, metric: Metric, /, **labels: str) -> None:
        """Show one series no longer: what this process does not own any more, it must not report."""
        if metric in self._made:
            for key in [key for key in self._series if key[0] is metric and dict(key[1]) == labels]:
                del self._series[key]
            with suppress(KeyError):
                self._made[metric].remove(*(labels[name] for name in metric.labels))

    def read(self, metric: Metric, /, **labels: str) -> float:
        """Return the value of a counter or gauge, 0 when it never counted: for health checks and tests."""
        return self.registry.get_sample_value(metric.full_name, labels) or 0.0

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)
