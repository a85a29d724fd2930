"""`rapport worker`: folds events into client states and decides. Exposes the function `worker`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from handlers.commands.options import MetricsPortOption
from streams.runtime.lifecycle import ending_at_once_when_asked
from streams.runtime.log import configure_log
from streams.runtime.settings import load_settings


def worker(
    *,
    metrics_port: MetricsPortOption = None,
    policy: Annotated[Path | None, Parameter(help="Policy file to decide by; default: RAPPORT_POLICY_FILE.")] = None,
) -> int:
    """Fold events into client states and decide, until stopped with Ctrl-C or SIGTERM.

    Reads webhooks, payments, invoices, delays and signals into the one client log, folds that log, and publishes triggers and
    decisions. Start as many workers as there are processors, at most one per partition; they share the work, and take over
    from one that dies within half a minute, at once from one that stops. Missing topics are created.

    Settings come from the environment, chiefly KAFKA_BOOTSTRAP and REDIS_URL. A policy that `rapport policy lint` calls wrong
    is refused. Give all workers, and run-channels by RAPPORT_POLICY_FILE, the same one: every decision names its version.

    Example: rapport worker --metrics-port 9100

    Exit codes: 0 stopped, 2 the policy or the port of its metrics cannot be used, 70 stopped itself
    because going on was not safe (a supervisor should start it again).
    """
    with ending_at_once_when_asked():
        import asyncio

        from handlers.channels.template_facts import facts_of
        from streams.app import check_versions, run_worker
        from streams.engine.program import ClientProgram
        from streams.wire.admin import ensure_topics
        from streams.wire.policy_file import policy_in_force

        settings = load_settings(metrics_port=metrics_port)
        configure_log(settings)
        check_versions(settings)
        program = ClientProgram(policy=policy_in_force(settings, policy, facts_stated=facts_of(settings)))
        asyncio.run(ensure_topics(settings))
        return run_worker(settings, program)
