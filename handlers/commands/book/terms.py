"""Payment terms as people and programs write them: "Net 30", "2/10 n/30", "30 Tage netto", "due on receipt", "EOM"."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

_AT_ONCE: Final = re.compile(
    r"receipt|immediate|sofort|prepa|cash|c\.?o\.?d\.?$|a la recepcion|reception|comptant|contado|on delivery", re.IGNORECASE
)
_END_OF_MONTH: Final = re.compile(r"\beom\b|end of (the )?month|monatsende|fin de mois|fin de mes|fine mese", re.IGNORECASE)
_NAMED: Final = re.compile(r"(?:\bnet(?:to)?|\bn/?|\bnt)\s*(?:due\s*)?(?:in\s*)?(\d{1,3})\b", re.IGNORECASE)
_COUNTED: Final = re.compile(r"(\d{1,3})\s*(?:days?|d|tage?n?|jours?|d[ií]as?|giorni|dagen|dni|net(?:to)?)\b", re.IGNORECASE)
_PLAIN: Final = re.compile(r"(\d{1,3})(?:\.0+)?")
_CODED: Final = re.compile(r"[A-Z]{1,2}0*(\d{2,3})", re.IGNORECASE)
_LONGEST: Final = 365


@dataclass(frozen=True, slots=True)
class Terms:
    """Days from issue to due date, and whether the end of that month is meant."""

    days: int
    month_end: bool = False

    def due(self, issued: date) -> date:
        """Return the day on which an invoice of `issued` falls due."""
        day = issued + timedelta(days=self.days)
        return day.replace(day=monthrange(day.year, day.month)[1]) if self.month_end else day


def read_terms(text: str) -> Terms | None:
    """Return what a cell says; none for a code that only its sender understands."""
    text = text.strip()
    month_end = bool(_END_OF_MONTH.search(text))
    for pattern in (_NAMED, _COUNTED):
        if found := pattern.search(text):
            return _within(int(found[1]), month_end=month_end)
    for pattern in (_PLAIN, _CODED):
        if found := pattern.fullmatch(text):
            return _within(int(found[1]), month_end=month_end)
    if _AT_ONCE.search(text):
        return Terms(0)
    return Terms(0, month_end=True) if month_end else None


def _within(days: int, *, month_end: bool) -> Terms | None:
    return Terms(days, month_end) if days <= _LONGEST else None
