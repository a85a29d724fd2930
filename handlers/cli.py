"""One command with subcommands. Each is imported only when it is called, so that `rapport --help` is quick."""

import difflib
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final

from cyclopts import App, CycloptsError, Group, Parameter, UnknownCommandError

from handlers.terminal.plain import made_plain
from streams.runtime.errors import RapportError, UsageError

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells report it
EXIT_BROKEN_PIPE: Final = 141  # 128 + SIGPIPE, likewise


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand: where it lives (`module:attribute`, a cyclopts `App` or a function) and what it is for, in one line."""

    name: str
    target: str
    summary: str
    group: str


GROUPS: Final = ("Try it", "Run it", "Look inside", "Feed it")
_TRY, _RUN, _LOOK, _FEED = GROUPS

COMMANDS: Final = (
    Command("simulate", "handlers.commands.simulate:simulate", "Tell a history as the program sees it, without servers.", _TRY),
    Command("demo", "handlers.demo.commands:demo", "Live a year of a small firm on real Kafka and Valkey.", _TRY),
    Command("doctor", "handlers.stack.commands:doctor", "Say what is missing on this machine, and the fix.", _TRY),
    Command("stack", "handlers.stack.commands:stack", "Start, stop and show the local Kafka and Valkey.", _RUN),
    Command("serve-webhooks", "handlers.webhooks.commands:serve_webhooks", "Receive signed webhooks and publish them raw.", _RUN),
    Command("worker", "handlers.commands.worker:worker", "Fold events into client states and decide.", _RUN),
    Command("run-trainer", "handlers.commands.run_trainer:run_trainer", "Learn from answered questions in one place.", _RUN),
    Command(
        "run-channels",
        "handlers.channels.commands:run_channels",
        "Deliver triggers by mail, SMS, webhook, portal, task and console.",
        _RUN,
    ),
    Command(
        "check-channel",
        "handlers.channels.check_command:check_channel",
        "Hold a channel of your own against the laws of all channels.",
        _TRY,
    ),
    Command("portal", "handlers.commands.portal:portal", "Serve messages and answers to the firm's client portal.", _RUN),
    Command("halt", "handlers.commands.stopping:halt", "Stop contact at once: all, a journey, a channel or a purpose.", _RUN),
    Command("resume", "handlers.commands.stopping:resume", "Let contact go on that was stopped.", _RUN),
    Command(
        "feeds", "handlers.commands.feeds.commands:feeds", "Notice sources that are late, and hold what depends on them.", _RUN
    ),
    Command("access", "handlers.commands.access.commands:access", "Print what each process may do on Kafka and Redis.", _RUN),
    Command("inspect", "handlers.commands.inspect:inspect", "Explain a client: segment, score, and every silence.", _LOOK),
    Command("tasks", "handlers.commands.tasks:tasks", "List, show and end the tasks left to people.", _RUN),
    Command(
        "run-lag-exporter",
        "handlers.commands.run_lag_exporter:run_lag_exporter",
        "Tell monitoring how far behind, also when workers are dead.",
        _RUN,
    ),
    Command("lag", "handlers.commands.lag:lag", "Show how far the workers are behind, per partition.", _LOOK),
    Command("fence", "handlers.commands.fence:fence", "Show where partitions stand; decide what workers must not.", _LOOK),
    Command(
        "canary",
        "handlers.commands.canary.commands:canary",
        "Ask live workers what is known of synthetic clients.",
        _RUN,
    ),
    Command(
        "resettle", "handlers.commands.resettle:resettle", "Make a deployment with more partitions from a stopped one.", _RUN
    ),
    Command(
        "after-paid",
        "handlers.commands.after_paid:after_paid",
        "Count what was sent although it was paid; the aim is none.",
        _LOOK,
    ),
    Command(
        "dead-letters",
        "handlers.commands.dead_letters:dead_letters",
        "List, show, redrive and dismiss unreadable records.",
        _LOOK,
    ),
    Command("clients", "handlers.commands.clients.commands:clients", "Say that two clients are one company.", _LOOK),
    Command(
        "overrides",
        "handlers.commands.overrides.commands:overrides",
        "Decide over the policy's head, and see how it turned out.",
        _LOOK,
    ),
    Command(
        "segments", "handlers.commands.segments.commands:segments", "Say who moved, how steady segments are, and why.", _LOOK
    ),
    Command("evaluate", "handlers.commands.evaluate:evaluate", "Say how well a history would have been predicted.", _LOOK),
    Command(
        "evaluate-renewals",
        "handlers.commands.evaluate_renewals:evaluate_renewals",
        "Say how well renewals of contracts would have been foreseen.",
        _LOOK,
    ),
    Command(
        "policy", "handlers.commands.policies.commands:policy", "Show, check and try who gets what, when, in which tone.", _LOOK
    ),
    Command(
        "experiments",
        "handlers.commands.experiments.commands:experiments",
        "Say how experiments, holdouts and the steps of sequences do.",
        _LOOK,
    ),
    Command("learners", "handlers.commands.learners.commands:learners", "Show, compare and choose versions of learners.", _LOOK),
    Command("contracts", "handlers.commands.contracts:contracts", "Show, write and check the published contracts.", _LOOK),
    Command(
        "import", "handlers.commands.import_book:import_book", "Adopt a receivables CSV without sending old messages.", _FEED
    ),
    Command("export", "handlers.commands.export:export", "Write the log of the running deployment as a history.", _FEED),
    Command("replay", "handlers.commands.replay:replay", "Send a recorded history into a running stack.", _FEED),
)
"""Every subcommand, in the order in which `rapport --help` and the README list them."""

_ABOUT = """Payments in, timely and respectful client care out.

Rapport reads payment, invoice and delay events, keeps a rolling state per client, and decides whom to contact, how and why -
and why not. Start without any server: rapport simulate. The whole system on this machine: rapport demo.

Exit codes: 0 done, 1 failed or a server is away, 2 wrong usage, 130 stopped with Ctrl-C. rapport COMMAND --help teaches each.
"""


def build_app(*, chosen: str | None = None) -> App:
    """Return the command line with every subcommand registered by name; only the `chosen` one is imported."""
    app = App(
        name="rapport",
        help=_ABOUT,
        version=lambda: f"rapport {version('rapport')}",
        # The overview reads as written and spares the import of a Markdown parser; a command's own paragraphs are re-wrapped.
        help_format="plaintext" if chosen is None else "markdown",
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(show_default=_shown, negative_iterable=()),
        group_commands=Group("Options", sort_key=len(GROUPS)) if chosen is None else Group("Commands"),
    )
    groups = {name: Group(name, sort_key=place) for place, name in enumerate(GROUPS)}
    for command in COMMANDS:
        if command.name == chosen:
            app.command(load_command(command), name=command.name)  # its own docstring is its help
        else:
            app.command(command.target, name=command.name, help=command.summary, group=groups[command.group])
    return app


def _shown(default: object) -> str | None:
    """Say in help what holds where nothing is given; nothing of a switch that is off, and of what is empty."""
    return None if default is None or default is False or default in ("", ()) else str(default)


def load_command(command: Command) -> Any:  # noqa: ANN401 (a cyclopts App or any function)
    """Import one subcommand."""
    module, _, attribute = command.target.partition(":")
    return getattr(import_module(module), attribute)


def main() -> None:
    """Run one command and exit with its code; errors that have a fix are one line, never a traceback."""
    # Before anything imports it: on matrices of ninety rows its threads cost learning twenty times what they save.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Started without an output (`>&-`), a command does its work all the same.
    nowhere = Path(os.devnull)
    sys.stdout = sys.stdout or nowhere.open("w", encoding="utf-8")
    sys.stderr = sys.stderr or nowhere.open("w", encoding="utf-8")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout = made_plain(sys.stdout)
    if isinstance(sys.stderr, TextIOWrapper):
        sys.stderr = made_plain(sys.stderr)
    sys.exit(run())


def run(tokens: Sequence[str] | None = None, *, app: App | None = None) -> int:
    """Run one command, of `app` where one is given, and return its exit code (see `EXIT_*`)."""
    try:
        return _finished(sys.argv[1:] if tokens is None else list(tokens), app)
    except BrokenPipeError:
        return _left_alone()
    except SystemExit as ending:
        if isinstance(ending.__context__, BrokenPipeError):  # rich, and with it every help page, ends the process by itself
            return _left_alone()
        raise


def _finished(tokens: list[str], app: App | None) -> int:
    try:
        code = _call(tokens, app)
        sys.stdout.flush()
    except CycloptsError as error:
        return _complain(_wrong_usage(error), code=EXIT_USAGE)
    except UsageError as error:
        return _complain(str(error), code=EXIT_USAGE)
    except RapportError as error:
        return _complain(str(error), code=EXIT_FAILED)
    except Exception as error:
        # What Redis refuses whatever it is asked (a database it lacks, a right of the user): by name, as help imports no client.
        if not type(error).__module__.startswith("redis."):
            raise
        said = (
            f"Redis refuses it ({type(error).__name__}: {error}); check REDIS_URL, the rights of its user, and `rapport doctor`"
        )
        return _complain(said, code=EXIT_FAILED)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return EXIT_INTERRUPTED
    return code


def _left_alone() -> int:
    """Say no more: whoever read us has left, and what is still buffered must not fail when the interpreter flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    return EXIT_BROKEN_PIPE


def _call(tokens: list[str], app: App | None) -> int:
    if app is None:
        app = build_app(chosen=next((token for token in tokens if not token.startswith("-")), None))
    # That Kafka is away is said once, by us. Those that serve hear all of it again when they configure their log.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    _name_slips(tokens)
    result = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    return result if isinstance(result, int) else 0


def _name_slips(tokens: list[str]) -> None:
    """Say which names of the environment are nearly settings: whoever set them believes that they are obeyed."""
    asked_for_help = not tokens or tokens[-1] in {"--help", "-h", "--version"}
    if asked_for_help or not any(name.startswith("RAPPORT_") for name in os.environ):
        return
    settings = import_module("streams.runtime.settings")  # not for help, which has to be quick
    for name, meant in settings.mistyped(os.environ).items():
        print(f"rapport: {name} is set, and no setting is called so; did you mean {meant}?", file=sys.stderr)


def _wrong_usage(error: CycloptsError) -> str:
    if isinstance(error, UnknownCommandError) and error.unused_tokens:
        # Asked for its text, this error would import every command to find a similar name.
        word = error.unused_tokens[0]
        near = difflib.get_close_matches(word, [command.name for command in COMMANDS], n=1)
        return f"unknown command {word!r}{f', did you mean {near[0]!r}?' if near else '.'} See: rapport --help"
    said = " ".join(str(error).split())
    called = " ".join(("rapport", *(error.command_chain or ())))
    return f"{said} See: {called} --help"


def _complain(message: str, *, code: int) -> int:
    print(f"rapport: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
