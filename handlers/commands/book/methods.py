"""How an invoice was paid, by the words in a cell."""

from typing import Final

from models.events.payments import PaymentMethod

_METHODS: Final = (
    (PaymentMethod.CARD, ("card", "visa", "master", "amex", "karte", "carte")),
    (PaymentMethod.BANK_DEBIT, ("debit", "ach", "sepa", "lastschrift")),
    (PaymentMethod.WIRE, ("wire", "transfer", "bank", "überweisung", "virement", "eft")),
    (PaymentMethod.CHECK, ("check", "cheque", "scheck", "chèque")),
    (PaymentMethod.CASH, ("cash", "bar")),
)


def method_in(text: str) -> PaymentMethod:
    """Return the method that a cell names; OTHER where it names none of ours."""
    lowered = text.lower()
    return next((method for method, words in _METHODS if any(word in lowered for word in words)), PaymentMethod.OTHER)
