"""What `rapport inspect client` says of a score: a client of a made-up firm, lived and learned by the code that runs live."""

from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from handlers.commands.book.plan import Asked
from handlers.commands.held_history import hold_history
from handlers.commands.inspect import score_lines
from handlers.evaluation.telling import Telling
from models.state.client import ClientState
from streams.engine.program import ClientProgram
from tests.histories.books import DIALECTS, write_dialect
from tests.histories.firms import FIRMS

_CLIENT: Final = "C00002"
_EVENTS: Final = 30  # up to an invoice of this client, so that it was scored by the weights that tell the reasons


class Lived(Telling):
    """A history that can be looked at as it was left."""

    def left(self, client: str) -> tuple[ClientState, ClientProgram]:
        """Return what is known of a client, and the program that scores it."""
        state = self._states.get(client)
        assert state is not None, client
        return state, ClientProgram(scorer=self._scorer)


def score_a_client() -> str:
    """Return the score of a client with its reasons as lines of text."""
    lived = Lived()
    with TemporaryDirectory() as folder:
        path = write_dialect(Path(folder) / "book.csv", FIRMS["moody"](7, 120), DIALECTS["german"])
        lived.tell(islice(hold_history(path, asked=Asked())[0], _EVENTS))
    return "\n".join(["```text", *score_lines(*lived.left(_CLIENT)), "```"])
