"""What all workers of a run share: made in the process that runs them when the first of them asks, and gone with the run."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from multiprocessing.connection import Client, Listener
from threading import Thread
from typing import Final, Generic, TypeVar

Lent = TypeVar("Lent")
_PLEASE: Final = "please"
_CLOSE: Final = "close"


class Lender(Generic[Lent]):
    """Answers at `address`, a socket of this user's own, with what `make` gives; it is entered once, at the first question."""

    def __init__(self, make: Callable[[], AbstractContextManager[Lent]]) -> None:
        """Listen; nothing is made yet."""
        self._make = make
        self._listener = Listener(family="AF_UNIX")
        self.address = str(self._listener.address)
        self._thread = Thread(target=self._answer, name="lender", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Undo what was made, if anything was."""
        with Client(self.address) as connection:
            connection.send(_CLOSE)
        self._thread.join()

    def _answer(self) -> None:
        answer: Lent | Exception | None = None
        with self._listener, ExitStack() as made:
            while True:
                # Who asks may be killed before it hears the answer.
                with suppress(OSError, EOFError), self._listener.accept() as connection:
                    if connection.recv() == _CLOSE:
                        return
                    if answer is None:
                        try:
                            answer = made.enter_context(self._make())
                        except Exception as error:  # noqa: BLE001 - whatever it is, whoever asked is told
                            answer = error
                    connection.send(answer)


def borrow(address: str, kind: type[Lent]) -> Lent:
    """Return what the lender at `address` lends, which is of `kind`; raise what making it raised."""
    with Client(address) as connection:
        connection.send(_PLEASE)
        answer = connection.recv()
    if isinstance(answer, Exception):
        raise answer
    assert isinstance(answer, kind)
    return answer
