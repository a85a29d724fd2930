"""Every fault in one table. Rows are those of docs/chaos.md."""

from typing import Final

from tests.chaos import faults, faults_of_input, faults_of_servers, sentinels
from tests.chaos.fault import Fault, Program
from tests.chaos.load import Mix

ANOTHER: Final = "advisory commit refused|OffsetCommit failed|verdict=fenced|moved on without us|not where we left it"
_REJOINED: Final = "Heartbeat failed|session expired|Marking the coordinator dead"
NO_BROKER: Final = "Unable connect to node|Failed fetch|OffsetCommit failed|Got error produce response"
_NO_COORDINATOR: Final = "Marking the coordinator dead|Group Coordinator Request failed"
AGAIN: Final = "trying again"
BEHIND: Final = "verdict=(?:behind|ahead|forked)|not where we left it|moved on without us"
_LOST: Final = "verdict=missing|Redis lost this partition"

FAULTS: Final = (
    Fault("1", "worker killed with -9, three times", faults.kill_workers),
    Fault("2", "worker stopped past its session, then continued", faults.zombie, sign=ANOTHER),
    Fault("3", "event loop blocked", faults.blocked_loop, sign=_REJOINED),
    Fault("3b", "event loop blocked before the first assignment", faults.blocked_at_start),
    Fault("4", "SIGTERM under load, and without Redis", faults.stop_under_load),
    Fault("5", "broker killed with -9 and restarted", faults.broker_killed, own_servers=True, sign=NO_BROKER),
    Fault("5b", "broker restarted cleanly", faults.broker_restarted, own_servers=True, sign=NO_BROKER),
    Fault("6", "broker away for 60 s", faults.broker_away, own_servers=True, sign=NO_BROKER),
    Fault("8", "group deleted", faults.group_deleted, sign=_REJOINED),
    Fault("10", "Redis killed with -9 and restarted", faults.redis_killed, own_servers=True, sign=AGAIN),
    Fault("11", "Redis turned back, three times", faults.redis_rolled_back, sign=BEHIND),
    Fault("12", "Redis lost everything", faults.redis_lost, sign=_LOST),
    Fault("14", "Redis slow: 20 to 500 ms each way, then paused for writes, then wholly", faults.slow_redis),
    Fault("15", "replies of Redis lost", faults.lost_replies, sign=AGAIN),
    Fault("16", "Redis out of memory", faults.out_of_memory, own_servers=True, sign=AGAIN),
    Fault("18", "rebalance every five seconds for three minutes", faults.long_rebalance_storm, sign=_REJOINED),
    Fault("18b", "rebalance every two seconds", faults.rebalance_storm, sign=_REJOINED),
    Fault("19", "more workers than partitions, working ones killed", faults.spare_takes_over),
    Fault("25", "network cut to Kafka, to Redis, to both", faults.cut_off, sign=NO_BROKER),
    Fault("26", "half-open connections to Redis, then to Kafka", faults.half_open, sign=AGAIN),
    Fault("28", "rolling deploy", faults.rolling_deploy),
    Fault(
        "7",
        "coordinator killed, twice (three brokers)",
        faults_of_servers.coordinator_moved,
        own_servers=True,
        brokers=3,
        sign=_NO_COORDINATOR,
    ),
    Fault("9", "retention passed two partitions", faults_of_servers.retention_passed, sign="partition halted"),
    Fault(
        "13", "fail-over by sentinel, twice, with two primaries for a while", sentinels.failed_over, sentinel=True, sign=BEHIND
    ),
    Fault("17", "Redis' disk full", faults_of_servers.redis_disk_full, own_servers=True, sign=AGAIN),
    Fault("17b", "Kafka's disk full", faults_of_servers.kafka_disk_full, own_servers=True),
    Fault("20", "one record in a hundred unreadable, on every topic", faults_of_input.nothing_else, mix=Mix(twice=0)),
    Fault("21", "records of 1 MB", faults_of_input.nothing_else, mix=Mix(oversize=0.01, poison=0)),
    Fault("22", "a fifth twice, half of those rewritten", faults_of_input.nothing_else, mix=Mix(twice=0.2, rewritten=0.5)),
    Fault(
        "23",
        "out of order by up to two weeks, some too late to tell",
        faults_of_input.nothing_else,
        mix=Mix(hours=336, stale=0.2),
        program=Program.CLIENTS,
        environment={"CHAOS_PROGRAM": "clients"},
    ),
    Fault(
        "24",
        "clocks an hour ahead and an hour behind",
        faults_of_input.clocks_apart,
        mix=Mix(due_soon=True),
        proof=faults_of_input.no_timer_was_early,
    ),
    Fault(
        "30",
        "a fifth of all fetches swallowed in part",
        faults_of_input.nothing_else,
        environment={"CHAOS_SWALLOW": "0.2"},
        sign="records are missing",
    ),
    Fault("31", "gateway killed with -9 before the acknowledgement", faults_of_input.gateway_killed),
)

QUICK: Final = Fault("few", "a little of rows 1, 4, 11, 15 and 25, one after the other", faults.one_after_the_other, sign=AGAIN)
"""For every run of the tests, on shared servers."""
