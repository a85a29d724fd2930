"""`rapport run-channels`: the function of that name is the command."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def run_channels(
    *channels: Annotated[str, Parameter(help="Which channels to serve; none given: all that are configured.")],
    out: Annotated[
        Path | None,
        Parameter(help="Append what the console channel says to this file, one JSON line per message; of console only."),
    ] = None,
) -> int:
    """Deliver triggers by mail, text message, webhook, portal, task and console.

    Reads triggers.CHANNEL as its own consumer group, looks once more at the client's present state just before sending, and
    reports what became of every trigger on signals. Start as many of these processes as you like; they share the partitions.
    Stop with Ctrl-C or SIGTERM: what is being sent is finished first. Examples:

        rapport run-channels                      mail, portal, tasks, console; SMS and webhook where an address is set
        rapport run-channels email                mail only
        rapport run-channels console --out FILE   into a file, for other programs

    Exit codes: 0 stopped, 1 a server is away or going on was not safe, 2 no such channel.
    """
    import asyncio

    from models.policy.policy import CONSOLE
    from streams.runtime.errors import UsageError
    from streams.wire.topics import CHANNELS

    unknown = [name for name in channels if name not in CHANNELS]
    if unknown:
        message = f"there is no channel {unknown[0]!r}; known: {', '.join(CHANNELS)}"
        raise UsageError(message)
    if out is not None and channels and CONSOLE not in channels:
        message = (
            f"--out is the file of the channel console, which is not among {', '.join(channels)}: name it too, or leave --out"
        )
        raise UsageError(message)

    from handlers.channels.assembly import configured, make_channel, run_workers
    from streams.runtime.log import configure_log
    from streams.runtime.settings import load_settings

    settings = load_settings()
    configure_log(settings)
    names = list(dict.fromkeys(channels or configured(settings)))
    return asyncio.run(run_workers(settings, [make_channel(name, settings, out=out) for name in names]))
