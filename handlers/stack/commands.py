"""`rapport stack up|down|status|logs` (`stack`, a cyclopts App) and `rapport doctor` (`doctor`, a function)."""

import os
import signal
import threading
from typing import Annotated, Final, Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from handlers.stack.errors import StackError
from handlers.stack.folders import size_of
from handlers.stack.local import DEFAULT_NAME, LocalStack, delete_stack, stack_names
from handlers.stack.logs import follow, tail
from handlers.stack.progress import Display
from handlers.stack.ready import wait_for_valkey
from handlers.stack.threads import run_apart
from streams.runtime.clock import monotonic
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings, load_settings
from streams.wire.admin import ensure_topics
from streams.wire.kafka import UNSECURED

_LOOK_SECONDS: Final = 0.5

stack = App(
    name="stack",
    help="""Start, stop and show Kafka and Valkey on this machine: no Docker, no root.

    The first start fetches Apache Kafka (45 MB) into the cache folder; later starts need no network. Data stays between
    starts. If KAFKA_BOOTSTRAP and REDIS_URL are set, everything uses those servers instead.
    """,
)

Name = Annotated[str, Parameter(help="Stacks of different names run side by side.")]


@stack.command
def up(
    *,
    name: Name = DEFAULT_NAME,
    brokers: Annotated[Literal[1, 3], Parameter(help="Kafka brokers; three to try out failures.")] = 1,
    foreground: Annotated[bool, Parameter(help="Stay until Ctrl-C, then stop the servers.", negative="")] = False,
) -> None:
    """Start the servers and create the topics; print the two lines that tell other programs where they are.

    Running it again changes nothing.

    Example: eval "$(rapport stack up)"
    """
    display = Display()
    started = monotonic()
    local = LocalStack(name=name, brokers=brokers, detached=not foreground, display=display)
    if existing := _existing_servers(local):
        _check_existing(existing)
        display.say(f"KAFKA_BOOTSTRAP and REDIS_URL are set: using {existing.kafka_bootstrap} and {existing.redis_url}.")
        return
    was_running = local.is_running()
    local.start()
    try:
        run_apart(ensure_topics(_settings_of(local)))
        display.say(
            f"Stack {name} {'already ran' if was_running else 'is ready'} ({monotonic() - started:.1f} s). "
            f"Stop it: rapport stack down{_option(name)}"
        )
        print(f"export KAFKA_BOOTSTRAP={local.kafka_bootstrap}")
        print(f"export REDIS_URL={local.redis_url}", flush=True)
        if foreground and not was_running:
            _stay(local)
    finally:
        if foreground and not was_running:
            local.stop()


@stack.command
def down(
    *,
    name: Name = DEFAULT_NAME,
    delete: Annotated[bool, Parameter(help="Delete the data of the stack as well.", negative="")] = False,
) -> None:
    """Stop the servers cleanly; their data stays. Running it again changes nothing.

    Example: rapport stack down
    """
    local = LocalStack(name=name)
    ran = local.is_running()
    local.stop()
    if delete:
        delete_stack(name)
    Display().say(f"Stack {name} {'is stopped' if ran else 'does not run'}{', its data is deleted' if delete else ''}.")


@stack.command
def topics() -> None:
    """Create the topics on the Kafka of KAFKA_BOOTSTRAP, or check those that exist. Running it again changes nothing.

    Example: rapport stack topics
    """
    settings = load_settings()
    created = run_apart(ensure_topics(settings))
    Display().say(f"{len(created)} topics created at {settings.kafka_bootstrap}, the others are as they should be.")


@stack.command
def status(*, name: Annotated[str | None, Parameter(help="Only this stack; all, if not given.")] = None) -> int:
    """Show what runs, where, and how much disk it takes.

    Example: rapport stack status

    Exit codes: 0 every server runs, 1 a server of a stack is missing, or there is no stack.
    """
    console = Console()
    names = [name] if name else stack_names()
    table = Table("stack", "server", "address", "pid", "state", "MB on disk", box=None)
    whole = bool(names)
    for each in names:
        local = LocalStack(name=each)
        servers = local.servers()
        if not servers:
            local.forget_stale_state()
            table.add_row(each, "", "", "", "stopped", f"{size_of(local.folder) / 1e6:.0f}")
            whole = False
        for server in servers:
            state = "runs" if server.pid else f"ended with code {server.exit}"
            size = size_of(local.folder / "data" / server.name) / 1e6
            table.add_row(each, server.name, f"127.0.0.1:{server.port}", str(server.pid or "-"), state, f"{size:.0f}")
            whole &= server.pid is not None
    if names:
        console.print(table)
    else:
        console.print("No stack yet. Start one: rapport stack up")
    return 0 if whole else 1


@stack.command
def logs(
    server: Annotated[Literal["kafka", "valkey", "supervisor"] | None, Parameter(help="Only this one.")] = None,
    /,
    *,
    name: Name = DEFAULT_NAME,
    lines: Annotated[int, Parameter(help="How many lines of each.")] = 40,
    following: Annotated[
        bool, Parameter(name=["--follow", "-f"], help="Go on printing what is added, until Ctrl-C.", negative="")
    ] = False,
) -> None:
    """Print the end of the servers' logs.

    Example: rapport stack logs kafka --follow
    """
    folder = LocalStack(name=name).folder / "logs"
    files = sorted(path for path in folder.glob("*.log") if path.name.startswith(server or ""))
    if not files:
        message = f"stack {name} has no logs in {folder}; start it: rapport stack up{_option(name)}"
        raise UsageError(message)
    for path in files:
        print(f"==> {path} <==", tail(path, lines=lines), sep="\n")
    if following:
        follow(files)


def doctor() -> int:
    """Check this machine and the servers line by line, each with the fix if something is missing.

    Example: rapport doctor

    Exit codes: 0 all that is needed is there, 1 something is missing.
    """
    from handlers.stack.doctor import examine, show

    existing = "KAFKA_BOOTSTRAP" in os.environ or "REDIS_URL" in os.environ
    local = LocalStack(name=DEFAULT_NAME)
    settings = load_settings() if existing or not local.is_running() else _settings_of(local)
    return show(examine(settings, local=not existing), settings=settings)


def _settings_of(local: LocalStack) -> Settings:
    return load_settings().model_copy(
        update={**UNSECURED, "kafka_bootstrap": local.kafka_bootstrap, "redis_url": local.redis_url}
    )


def _existing_servers(local: LocalStack) -> Settings | None:
    """Return settings that name other servers than those of `local`, if the environment does."""
    given = {key: value for key in ("KAFKA_BOOTSTRAP", "REDIS_URL") if (value := os.environ.get(key))}
    if not given or set(given.values()) <= set(local.last_addresses()):
        return None
    if len(given) == 1:
        missing = "REDIS_URL" if "KAFKA_BOOTSTRAP" in given else "KAFKA_BOOTSTRAP"
        message = f"{next(iter(given))} is set, {missing} is not; fix: set both to use existing servers, or none to start a stack"
        raise UsageError(message)
    return load_settings()


def _check_existing(settings: Settings) -> None:
    run_apart(ensure_topics(settings))
    try:
        run_apart(wait_for_valkey(settings.redis_url, patience=5.0))
    except StackError as error:
        message = f"{error}; fix: start it, or unset KAFKA_BOOTSTRAP and REDIS_URL and run rapport stack up"
        raise StackError(message) from error


def _stay(local: LocalStack) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    while not stop.wait(_LOOK_SECONDS):
        local.raise_if_broken()


def _option(name: str) -> str:
    return "" if name == DEFAULT_NAME else f" --name {name}"
