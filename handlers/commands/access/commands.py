"""`rapport access kafka|redis` (`access`, a cyclopts App): the rights that each process needs, in the servers' own words."""

import re
from collections.abc import Iterator
from typing import Annotated, Final

from cyclopts import App, Parameter

from handlers.commands.access.roles import ROLES, Operation, Role, redis_keys
from streams.runtime.settings import Settings, load_settings

_READS: Final = ("+@read", "+@connection")
# Scripts are how we write: each of their calls is checked against the keys of the user too.
_WRITES: Final = ("+@read", "+@write", "+@connection", "+@transaction", "+eval", "+evalsha", "+script|load")

_NO_LETTER: Final = re.compile(r"[^A-Z0-9_]")  # in the name of a variable of the shell


def _no_blanks(_kind: object, users: str) -> None:
    if re.search(r"\s", users):
        message = "a name of a user has no blanks"
        raise ValueError(message)


_Prefix = Annotated[str, Parameter(help="What the names of the users begin with.", validator=_no_blanks)]

access = App(
    name="access",
    help="""Print what each process may do on Kafka and Redis, and no more: one user for each.

    A gateway, which the world can reach, can then not read what clients were told; a channel cannot write payments. Names follow
    RAPPORT_TOPIC_PREFIX, RAPPORT_GROUP and RAPPORT_NAMESPACE. Commands of people (overrides, fence, tasks) run as an operator.

        rapport access kafka    commands of kafka-acls.sh
        rapport access redis    a file of users (aclfile)

    Exit codes: 0 printed, 2 wrong usage.
    """,
)


@access.command
def kafka(*, users: _Prefix = "rapport-") -> None:
    """Print one command of kafka-acls.sh per process and kind of right; run them with BOOTSTRAP and ADMIN_CONFIG set.

    Brokers need an authorizer (`authorizer.class.name`), and the users a password or a certificate, as RAPPORT_KAFKA_USER or
    RAPPORT_KAFKA_CERTIFICATE_FILE of each process show it.

    Example: rapport access kafka > kafka-acls.sh
    """
    print("\n".join(kafka_commands(load_settings(), users=users)))


@access.command
def redis(*, users: _Prefix = "rapport-") -> None:
    """Print a file of users for Redis or Valkey; each password is a variable to be filled in.

    Example: rapport access redis > users.acl

    Fill in with `envsubst < users.acl`, say `aclfile` in the server's configuration, and give each process its user in REDIS_URL.
    """
    print("\n".join(redis_lines(load_settings(), users=users)))


def kafka_commands(settings: Settings, *, users: str) -> Iterator[str]:
    """Yield the commands that let each process do what it must, under the names of `settings`."""
    call = 'kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --command-config "$ADMIN_CONFIG" --add --force'
    for role in ROLES:
        who = f"--allow-principal User:{users}{role.name}"
        by_right: dict[tuple[Operation, ...], list[str]] = {}
        for topic, operations in role.topics():
            by_right.setdefault(operations, []).append(settings.topic(topic.name))
        for operations, names in by_right.items():
            rights = " ".join(f"--operation {operation}" for operation in operations)
            yield f"{call} {who} {rights} {' '.join(f'--topic {name}' for name in names)}"
        for ending in role.groups:
            yield f"{call} {who} --operation Read --group {settings.group}{ending}"


def redis_lines(settings: Settings, *, users: str) -> Iterator[str]:
    """Yield the users of a file for `aclfile`, and that nobody else may do anything."""
    yield "user default off"
    for role in ROLES:
        if keys := _key_rules(role, settings):
            rules = _WRITES if redis_keys(role, settings)[0] else _READS
            name = f"{users}{role.name}"
            variable = f"${{{_NO_LETTER.sub('_', name.upper())}_PASSWORD}}"
            about = ["+info"] * role.measures
            yield " ".join(["user", name, "on", f">{variable}", "resetchannels", *keys, "-@all", *rules, "-@dangerous", *about])


def _key_rules(role: Role, settings: Settings) -> list[str]:
    written, read = redis_keys(role, settings)
    return [*(f"~{pattern}" for pattern in written), *(f"%R~{pattern}" for pattern in read)]
