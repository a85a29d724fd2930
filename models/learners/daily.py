"""At most so many answers of a day age what is known: it grows old by days, not by how busy they are (docs/decisions/0062)."""


class Daily:
    """Counts the answers of a day, and says of each whether it still ages what was known before."""

    def __init__(self, most: int) -> None:
        """Let `most` answers of a day do so; the first day has begun."""
        self._most = most
        self._today = 0

    def turn(self) -> None:
        """Begin a new day."""
        self._today = 0

    def ages(self) -> bool:
        """Count one more answer."""
        self._today += 1
        return self._today <= self._most
