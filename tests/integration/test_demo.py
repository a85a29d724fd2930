import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streams.runtime.clock import fresh_id
from tests.conftest import Servers
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(280)]

BOOK = """Customer,Invoice,Invoice Date,Due Date,Amount,Paid On
Old & Gone,1,2019-03-01,2019-03-31,100.00,2019-04-20
Old & Gone,2,2019-05-01,2019-05-31,250.00,
Ærø Bureau,3,2019-05-01,2019-05-31,70.50,2019-05-30
"""


def _demo(servers: Servers, folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP": servers.kafka_bootstrap,
        "REDIS_URL": servers.redis_url,
        "XDG_CACHE_HOME": str(folder / "cache"),
        "DEMO_TEST": fresh_id(),
    }
    # A child inherits that a signal is ignored, as it is under nohup; of one that is handled it gets the default.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "handlers.cli", "demo", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=environment,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def _children_of(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent:
                found.append(int(entry.name))
    return found


def _gone(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_the_demo_loses_nothing_to_a_killed_worker_adopts_an_old_book_silently_and_ends_with_lag_zero(
    servers: Servers, tmp_path: Path
) -> None:
    book = tmp_path / "old.csv"
    book.write_text(BOOK, encoding="utf-8")
    demo = _demo(servers, tmp_path, "--days", "45", "--ledger", str(book))
    said, complaint = demo.communicate(timeout=270)
    assert demo.returncode == 0, complaint
    assert "kill -9 worker-1" in said
    assert "states and the same" in said
    assert re.search(r"rapport feeds watch calls stripe late.*stripe delivers again, [1-9]\d* webhooks at once", said, re.DOTALL)
    assert re.search(r"Mails +[1-9]\d* received by the SMTP sink, none twice", said)
    assert re.search(r"Old book +old.csv: 2 clients adopted .*; not one mail was sent", said)
    assert "in the states: open 250.00 EUR" in said
    assert "Lag         0 records, 0 outputs, 0 timers, 0 deliveries" in said
    for heading in ("Events", "Clients", "Triggers", "Not sent", "Feeds", "Learner", "One client", "Next"):
        assert re.search(rf"^{heading} ", said, re.MULTILINE)


def test_ctrl_c_in_the_middle_of_the_demo_leaves_no_process(servers: Servers, tmp_path: Path) -> None:
    demo = _demo(servers, tmp_path, "--days", "45", "--ledger", "none.csv")
    children = until(lambda: crew if len(crew := _children_of(demo.pid)) >= 4 else [], timeout=60, what="gateway and workers")
    demo.send_signal(signal.SIGINT)
    _, complaint = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert "Traceback" not in complaint
    until(lambda: _gone(children), timeout=20, what="the children to be gone")


def test_a_demo_that_is_killed_takes_its_processes_with_it(servers: Servers, tmp_path: Path) -> None:
    demo = _demo(servers, tmp_path, "--days", "45", "--ledger", "none.csv")
    children = until(lambda: crew if len(crew := _children_of(demo.pid)) >= 4 else [], timeout=60, what="gateway and workers")
    demo.kill()
    demo.communicate(timeout=60)
    until(lambda: _gone(children), timeout=20, what="the children to be gone")
