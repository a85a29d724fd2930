"""Several opinions about the same number, averaged by how far off each has been lately.

Exponentially weighted average (Vovk 1990; Cesa-Bianchi and Lugosi 2006, chapter 2) over fading losses: never much worse than the
best of them, and it follows when another becomes the best.
"""

import struct
from collections.abc import Sequence
from math import exp
from typing import Final

from models.learners.daily import Daily

_FADE: Final = 0.995  # per answer: about the last 200 count
_A_DAY: Final = 5  # answers of a day that fade what was seen
_SHARPNESS: Final = 0.25  # per loss of the typical size
_WORST: Final = 12.0  # typical errors; an accident counts no more than that


class Opinions:
    """Fading losses of some opinions; who has lost less weighs more."""

    def __init__(self, losses: Sequence[float]) -> None:
        """Start from the `losses` that are expected of each, in typical errors; they fade as those that are seen."""
        self.losses = list(losses)
        self._daily = Daily(_A_DAY)
        self._form = struct.Struct(f"{len(losses)}d")

    def turn(self) -> None:
        """Begin a new day."""
        self._daily.turn()

    def see(self, errors: Sequence[float], *, typical: float) -> None:
        """Count how far off each opinion was, in units of the `typical` error."""
        fade = _FADE if self._daily.ages() else 1.0
        self.losses = [fade * loss + min(abs(error) / typical, _WORST) for loss, error in zip(self.losses, errors, strict=True)]

    @property
    def weights(self) -> list[float]:
        """What each opinion weighs; they add up to 1."""
        least = min(self.losses)
        found = [exp(-_SHARPNESS * (loss - least)) for loss in self.losses]
        total = sum(found)
        return [weight / total for weight in found]

    @property
    def size(self) -> int:
        """Bytes of a dump."""
        return self._form.size

    def dump(self) -> bytes:
        """Return what `load` continues from."""
        return self._form.pack(*self.losses)

    def load(self, raw: bytes) -> None:
        """Continue from what `dump` gave."""
        self.losses = list(self._form.unpack(raw))
