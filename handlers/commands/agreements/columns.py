"""Which column of a file of contracts means what: guessed from the names, shown, and overruled by `--map`."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from handlers.commands.book.column_names import letters
from streams.runtime.errors import UsageError


class Field(StrEnum):
    """What a column can mean to us."""

    CLIENT = "client"
    CONTRACT = "contract"
    TYPE = "type"
    START = "start"
    END = "end"
    RENEWED = "renewed"
    RAISED = "raised"
    AMOUNT = "amount"
    CURRENCY = "currency"
    SEGMENT = "segment"
    COST = "cost"


REQUIRED: Final = (Field.CLIENT, Field.START, Field.END, Field.AMOUNT)

_NAMES: Final[Mapping[Field, str]] = {
    Field.CLIENT: "clientid client customerid customer accountid account kundennummer kunde company subscriberid userid",
    Field.CONTRACT: "contractid contract contractnumber agreementid agreement subscriptionid subscription policyid vertrag",
    Field.TYPE: "contracttype type plan product tier service serviceline vertragsart",
    Field.START: "start startdate startsat startedat startson began begin from validfrom signupdate beginn periodstart",
    Field.END: "end enddate endsat endson until to validto expires expirydate renewaldate cancelledon churndate ende periodend",
    Field.RENEWED: "renewed isrenewed renewal retained wasrenewed verlaengert verlangert outcome",
    Field.RAISED: "upgraded raised expanded isupgraded upgrade upsell",
    Field.AMOUNT: "amount price value fee annualvalue contractvalue betrag mrr arr total periodprice",
    Field.CURRENCY: "currency currencycode waehrung wahrung",
    Field.SEGMENT: "segment clientsegment customersegment cohort group",
    Field.COST: "acquisitioncost cost cac acquisition",
}

_YES: Final = frozenset({"yes", "y", "true", "t", "1", "1.0", "renewed", "retained", "won", "upgraded", "ja", "oui", "si", "sí"})
_NO: Final = frozenset(
    {"no", "n", "false", "f", "0", "0.0", "lost", "churned", "cancelled", "canceled", "lapsed", "ended", "nein", "non"}
)


def choose_fields(header: Sequence[str], given: Sequence[str]) -> dict[Field, str]:
    """Return the column of each meaning: `given` (`meaning=Column`) first, then the guess. UsageError names what is missing."""
    asked = _parse(header, given)
    plain = {name: letters(name) for name in header if name not in asked.values()}
    mapping = dict(asked)
    ranked = sorted(
        (names.split().index(word), place, meaning, name)
        for place, (meaning, names) in enumerate(_NAMES.items())
        for name, word in plain.items()
        if word in names.split()
    )
    for _, _, meaning, name in ranked:
        if meaning not in mapping and name not in mapping.values():
            mapping[meaning] = name
    mapping = {meaning: name for meaning, name in mapping.items() if name}
    lacking = [meaning for meaning in REQUIRED if meaning not in mapping]
    if lacking:
        wanted = " ".join(f"--map {meaning}=COLUMN" for meaning in lacking)
        message = f"no column found for {', '.join(lacking)}; say which: {wanted} (columns: {', '.join(header)})"
        raise UsageError(message)
    return mapping


def _parse(header: Sequence[str], given: Sequence[str]) -> dict[Field, str]:
    asked: dict[Field, str] = {}
    for pair in given:
        left, mark, name = pair.partition("=")
        if not mark or left.strip() not in set(Field):
            message = f"--map {pair} is not MEANING=COLUMN; meanings: {', '.join(Field)}"
            raise UsageError(message)
        if name.strip() and name.strip() not in header:
            message = f"--map {pair}: the file has no column {name.strip()!r}; it has: {', '.join(header)}"
            raise UsageError(message)
        asked[Field(left.strip())] = name.strip()
    return asked


def read_yes(text: str) -> bool | None:
    """Return what a cell says, None when it is blank. ValueError for a word that is neither yes nor no."""
    word = text.strip().lower()
    if not word:
        return None
    if word in _YES or word in _NO:
        return word in _YES
    message = f"{text.strip()!r} is neither yes nor no"
    raise ValueError(message)
