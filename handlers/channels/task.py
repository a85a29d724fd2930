"""The task channel: one task per trigger on a board, for people; `rapport tasks` shows and ends them."""

from handlers.channels.contract import Delivery, Limits, OnAmbiguous, Recipient, SendResult, Verdict
from handlers.channels.tasks import Task, TaskBoard
from streams.runtime.errors import RetryError


class TaskChannel:
    """Puts tasks on `board`, which drops repetitions of a trigger id."""

    def __init__(self, board: TaskBoard) -> None:
        """Use `board`, and close it in the end."""
        self._board = board

    @property
    def name(self) -> str:
        """See `Channel.name`."""
        return "task"

    @property
    def provider(self) -> str:
        """The board."""
        return "board"

    @property
    def on_ambiguous(self) -> OnAmbiguous:
        """The board knows a trigger id again."""
        return OnAmbiguous.RESEND

    @property
    def limits(self) -> Limits:
        """See `Channel.limits`."""
        return Limits(per_second=500, timeout_seconds=15)

    def address_of(self, recipient: Recipient) -> str | None:
        """Return whom it concerns; a colleague looks up the rest."""
        return recipient.name or recipient.email or "client"

    async def send(self, message: Delivery) -> SendResult:
        """Put one task on the board."""
        content = message.content
        task = Task(
            trigger=message.trigger, name=message.recipient.name or "", subject=content.subject, text=content.text.strip()
        )
        try:
            fresh = await self._board.put(task)
        except RetryError as error:
            return SendResult(Verdict.UNAVAILABLE, str(error)[:200])
        return SendResult(Verdict.ACCEPTED, "" if fresh else "it was on the board already")

    async def close(self) -> None:
        """Close the board."""
        await self._board.close()
