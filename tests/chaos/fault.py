"""What a fault is: what it does to a site, what it needs, and what must hold afterwards besides the audit."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tests.chaos.load import USUAL, Mix
from tests.chaos.site import Site


class Program(StrEnum):
    """What the workers of a trial fold with."""

    COUNTING = "counting"
    CLIENTS = "clients"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `row` is that of the fault matrix.

    `own_servers`: it stops, fills or wipes servers, so it needs some that nobody else uses. `brokers`: how many of those.
    `sentinel`: a primary, a replica and a sentinel in place of the lone Redis. `environment` is the workers'. `proof` is asked
    when all is at rest. `sign` is what workers must have logged in a trial, as a regular expression: a fault that nobody noticed
    proves nothing. Empty for those that are sure to happen, such as a kill.
    """

    row: str
    name: str
    inject: Callable[[Site], Awaitable[None]]
    own_servers: bool = False
    brokers: int = 1
    sentinel: bool = False
    mix: Mix = USUAL
    program: Program = Program.COUNTING
    environment: Mapping[str, str] = field(default_factory=dict)
    proof: Callable[[Site], Awaitable[None]] | None = None
    sign: str = ""

    @property
    def plain(self) -> bool:
        """Whether it may happen to any site at any time: it needs no special servers, workers or load."""
        usual = self.mix == USUAL and not self.environment and self.program is Program.COUNTING and self.proof is None
        return usual and not self.sentinel and self.brokers == 1
