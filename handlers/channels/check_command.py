"""`rapport check-channel`: the function of that name is the command."""

from typing import Annotated

from cyclopts import Parameter


def check_channel(
    kit: Annotated[str, Parameter(help="Where the kit is: module:name, importable from the working directory.")],
) -> int:
    """Hold a channel of your own against the laws that every channel keeps.

    A kit gives the command your channel with a provider that it can look at and take away; handlers/channels/conformance.py says
    how to write one in ten lines, and has the laws. Nothing is sent to a client. Examples:

        rapport check-channel my_channel.kit:kit
        rapport check-channel handlers.channels.example_kit:console

    Exit codes: 0 all laws kept, 1 a law is broken, 2 there is no such kit.
    """
    import asyncio
    import sys
    import tempfile
    from importlib import import_module
    from pathlib import Path

    from handlers.channels.conformance import check_channel as check
    from streams.runtime.errors import UsageError

    module, _, name = kit.partition(":")
    sys.path.insert(0, str(Path.cwd()))  # as python -m has it: the kit is the caller's own file
    try:
        make = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        message = f"there is no kit {kit!r} ({error}); give module:name of a function as in handlers/channels/conformance.py"
        raise UsageError(message) from error
    with tempfile.TemporaryDirectory() as folder:
        findings = asyncio.run(check(make, Path(folder)))
    for finding in findings:
        print(f"{'BROKEN' if finding.wrong else 'kept':<7} {finding.law.sentence}")
        if finding.wrong:
            print(f"        {finding.wrong}")
    broken = sum(bool(finding.wrong) for finding in findings)
    print(f"\n{len(findings) - broken} of {len(findings)} laws kept" if broken else f"\nAll {len(findings)} laws kept")
    return 1 if broken else 0
