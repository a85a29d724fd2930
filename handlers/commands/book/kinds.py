"""What a row of a journal is: an invoice, a payment or a credit note, by the word or the code in its column."""

import re
from enum import Enum
from typing import Final

from handlers.commands.book.column_names import letters


class RowKind(Enum):
    """What one row tells."""

    INVOICE = "invoice"
    PAYMENT = "payment"
    CREDIT = "credit note"


# Codes are the usual document types of customer documents in SAP, of sales documents in Xero, and of Sage 50's audit trail.
_CODES: Final = {
    "dz": RowKind.PAYMENT, "zp": RowKind.PAYMENT, "pmt": RowKind.PAYMENT, "pay": RowKind.PAYMENT, "cr": RowKind.CREDIT,
    "dg": RowKind.CREDIT, "g2": RowKind.CREDIT, "cn": RowKind.CREDIT, "cm": RowKind.CREDIT, "accreccredit": RowKind.CREDIT,
    "refund": RowKind.CREDIT, "outrefund": RowKind.CREDIT, "sr": RowKind.PAYMENT, "sc": RowKind.CREDIT,
}  # fmt: skip
_PAYMENT: Final = re.compile(
    r"payment|receipt|zahlung|paiement|reglement|encaissement|pago|cobro|pagamento|betaling|deposit|remittance"
)
_CREDIT: Final = re.compile(
    r"credit(memo|note|adj)|^credit$|creditmemo|gutschrift|avoir|notadecredito|notadicredito|storno|salesreturn"
)
_NOT_PAYMENT: Final = re.compile(r"salesreceipt|terms|invoice|rechnung|facture")
_CREDIT_SIDES: Final = frozenset({"h", "c", "cr", "k", "credit", "haben"})


def kind_of(text: str) -> RowKind:
    """Return the kind that a cell names; a word that says nothing about it ("Service") is an invoice."""
    word = letters(text)
    if word in _CODES:
        return _CODES[word]
    if _CREDIT.search(word):
        return RowKind.CREDIT
    if _PAYMENT.search(word) and not _NOT_PAYMENT.search(word):
        return RowKind.PAYMENT
    return RowKind.INVOICE


def on_credit_side(text: str) -> bool:
    """Say whether a debit or credit mark means credit."""
    return letters(text) in _CREDIT_SIDES
