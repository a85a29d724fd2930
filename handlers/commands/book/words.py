"""What cells say in words: nothing, not yet, or what became of an invoice."""

import re
from enum import Enum
from typing import Final

from handlers.commands.book.column_names import NUMBERS, Meaning, letters

_BLANKS: Final = frozenset({"na", "n/a", "#n/a", "#null!", "nan", "nat", "none", "null", "nil", "false", r"\n"})
_LONGEST: Final = max(map(len, _BLANKS))
_MARKS: Final = re.compile(r"[\s\-–—.?_*/]*")  # noqa: RUF001 (dashes that people write where there is nothing)

_PAID_WHEN: Final = (Meaning.SETTLED_ON, *NUMBERS)
_SUM: Final = re.compile(r"[1-9]")

_NOT_YET: Final = frozenset((
    "open", "unpaid", "outstanding", "pending", "notpaid", "notyetpaid", "notyet", "overdue", "pastdue", "due", "tbd", "tba",
    "tbc", "no", "unknown", "awaitingpayment", "offen", "unbezahlt", "nichtbezahlt", "ausstehend", "nonregle", "nonpaye",
    "impaye", "enattente", "pendiente", "impagado", "impagada", "nopagado", "aperta", "aperto", "nonpagato", "insoluto",
    "emaberto", "pendente", "openstaand", "nietbetaald", "onbetaald", "niezaplacono", "niezaplacona", "obetald", "ubetalt",
))  # fmt: skip
_PAID: Final = frozenset((
    "closed", "settled", "cleared", "collected", "bezahlt", "beglichen", "ausgeglichen", "erledigt", "paye", "payee", "reglee",
    "soldee", "pagada", "pagado", "cobrada", "pagata", "pagato", "saldata", "saldato", "paga", "pago", "betaald", "voldaan",
    "zaplacona", "oplacona", "betald", "betalt", "inpayment", "fullypaid",
))  # fmt: skip
_NEVER_OWED: Final = frozenset((
    "void", "voided", "cancelled", "canceled", "deleted", "draft", "proforma", "rejected", "reversed", "entwurf", "storniert",
    "gestrichen", "brouillon", "annule", "annulee", "borrador", "anulada", "anulado", "cancelada", "bozza", "annullata",
    "annullato", "concept", "geannuleerd", "anulowana",
))  # fmt: skip


def is_credit(amount: str, credit: str) -> bool:
    """Say whether, of two columns for debit and credit, only the second one has a sum; zeros stand for nothing."""
    return bool(_SUM.search(credit)) and not _SUM.search(amount)


class Became(Enum):
    """What a status says of an invoice."""

    PAID = "paid"
    OPEN = "open"
    NEVER_OWED = "never owed"
    UNSAID = "unsaid"


def is_blank(text: str) -> bool:
    """Say whether a cell, without blanks around it, says nothing: also where a program or a person wrote a mark for it."""
    if text[:1].isalnum() and len(text) > _LONGEST:
        return False
    return text.lower() in _BLANKS or bool(_MARKS.fullmatch(text))


def said(text: str, meaning: Meaning) -> str:
    """Return what a cell says, nothing where it is blank; of when it was paid, also where a word says that it is not yet."""
    text = text.strip()
    if is_blank(text) or (meaning in _PAID_WHEN and not text[0].isdigit() and letters(text) in _NOT_YET):
        return ""
    return text


def became(text: str) -> Became:
    """Return what a status says; a word of which we cannot tell ("sent", "partially paid") says nothing."""
    word = letters(text) if text else ""
    if word in _NEVER_OWED:
        return Became.NEVER_OWED
    if word in _NOT_YET:
        return Became.OPEN
    return Became.PAID if word in _PAID or word.startswith("paid") else Became.UNSAID
