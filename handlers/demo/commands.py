"""`rapport demo`: a year of a small firm on real servers, start to end. Exposes the function `demo`."""

from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from streams.runtime.errors import UsageError

LEDGER: Final = Path("../shared/data/histories/ledger.csv")
_SHORTEST_DAYS: Final = 30


def demo(
    *,
    days: Annotated[int, Parameter(help="Live only the first so many days of the year.")] = 365,
    seed: Annotated[int, Parameter(help="Invent another year.")] = 2025,
    ledger: Annotated[Path, Parameter(help="A receivables CSV to replay after the year, if the file is there.")] = LEDGER,
    keep: Annotated[bool, Parameter(negative=(), help="Leave Kafka and Valkey running, with everything in them.")] = False,
) -> int:
    """Live a year of a small firm on real Kafka and Valkey: forty clients, some 2,800 signed Stripe webhooks, real mails.

    Starts the local stack, the webhook gateway, two workers, the channel workers and an SMTP sink; drives a shared clock
    through the year, a day at a time, posting each day's webhooks over HTTP; kills one worker with kill -9 half-way; lets
    the processor fall silent until `rapport feeds watch` has noticed; and at the end folds the whole log anew to show that
    nothing was lost and nothing was done twice. It stops everything it started.

    With KAFKA_BOOTSTRAP and REDIS_URL set it uses those servers, under names of its own that it deletes afterwards.

    Example: rapport demo --days 90

    Exit codes: 0 every check held, 1 one did not (the message names it and the folder of logs), 130 stopped with Ctrl-C.
    """
    from handlers.demo.run import run_demo

    if days < _SHORTEST_DAYS:
        message = f"--days {days} is too short to show anything; live at least {_SHORTEST_DAYS}"
        raise UsageError(message)
    return run_demo(days=days, seed=seed, ledger=ledger, keep=keep)
