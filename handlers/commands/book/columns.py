"""Which column of a receivables book means what: guessed from the names, shown, and overruled by `--map` or a preset."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from streams.runtime.errors import UsageError


class Meaning(StrEnum):
    """What a column can mean to us."""

    CLIENT_ID = "client_id"
    INVOICE_ID = "invoice_id"
    RECORDED_ON = "recorded_on"
    ISSUED_ON = "issued_on"
    DUE_ON = "due_on"
    TERMS_DAYS = "terms_days"
    AMOUNT = "amount"
    CURRENCY = "currency"
    SETTLED_ON = "settled_on"
    DAYS_TO_SETTLE = "days_to_settle"
    SETTLED = "settled"
    OUTSTANDING = "outstanding"
    DISPUTED = "disputed"
    NAME = "name"
    EMAIL = "email"
    PHONE = "phone"
    COUNTRY = "country"
    TIMEZONE = "timezone"
    METHOD = "method"
    SERVICE_LINE = "service_line"


DATES: Final = (Meaning.RECORDED_ON, Meaning.ISSUED_ON, Meaning.DUE_ON, Meaning.SETTLED_ON)
AMOUNTS: Final = (Meaning.AMOUNT, Meaning.SETTLED, Meaning.OUTSTANDING)
REQUIRED: Final = (Meaning.CLIENT_ID, Meaning.ISSUED_ON, Meaning.AMOUNT)


def _letters(name: str) -> str:
    """Return letters and digits in lower case, accents left out: "N° Numéro" and "numero" are one word to a reader."""
    bare = "".join(mark for mark in unicodedata.normalize("NFKD", name.lower()) if not unicodedata.combining(mark))
    return re.sub(r"[\W_]+", "", bare)


# Names in order of preference, lower case, letters and digits only. Whole names first; a name that merely contains one
# of them counts less (see `guess`).
_NAMES: Final[Mapping[Meaning, tuple[str, ...]]] = {
    meaning: tuple(_letters(name) for name in names.split())
    for meaning, names in (
        (
            Meaning.CLIENT_ID,
            (
                "clientid customerid customernumber custnumber customerno clientnumber accountid debtorid debtor "
                "kundennummer kundennr kundenr numeroclient idcliente payerid partyid customer client kunde account "
                "party payer businesspartner contactid vendorname customername clientname contactname"
            ),
        ),
        (
            Meaning.INVOICE_ID,
            (
                "invoiceid invoicenumber invoiceno invoicenr invoice documentnumber documentno documentid docid "
                "billnumber billid billno rechnungsnummer rechnungsnr belegnummer numerofacture factura docnumber "
                "reference invoiceref number"
            ),
        ),
        (Meaning.RECORDED_ON, "createdat created createdon createddate entrydate recordedon receiveddate postingdate entered"),
        (
            Meaning.ISSUED_ON,
            (
                "invoicedate issuedate issuedon issuedat documentdate documentcreatedate docdate billdate billingdate "
                "rechnungsdatum belegdatum datefacture datedefacture fechafactura dateissued baselinecreatedate "
                "issued date datum"
            ),
        ),
        (
            Meaning.DUE_ON,
            (
                "duedate dueon dueat dueindate paymentdue netduedate faelligkeit fälligkeit faelligam fälligam "
                "fälligkeitsdatum echeance échéance vencimiento due"
            ),
        ),
        (Meaning.TERMS_DAYS, "termsdays paymentterms terms custpaymentterms netdays zahlungsziel"),
        (
            Meaning.AMOUNT,
            (
                "amount invoiceamount totalamount invoicetotal grossamount amountdue totalopenamount total betrag "
                "bruttobetrag rechnungsbetrag montant montantttc importe gross value"
            ),
        ),
        (Meaning.CURRENCY, "currency currencycode invoicecurrency währung waehrung devise moneda ccy iso4217"),
        (
            Meaning.SETTLED_ON,
            (
                "settleddate settledon settlementdate paiddate paidon datepaid paymentdate cleardate clearingdate "
                "closeddate zahlungsdatum bezahltam datepaiement datedepaiement datereglement fechapago "
                "datedereglement fechadepago paymentreceived"
            ),
        ),
        (Meaning.DAYS_TO_SETTLE, "daystosettle numberofdaysuntilpayment daysuntilpayment daystopay paymentdays"),
        (Meaning.SETTLED, "settled amountpaid paidamount paid paymentamount settledamount bezahlt montantpaye"),
        (Meaning.OUTSTANDING, "outstanding balance openamount amountopen outstandingamount balancedue remaining offen solde"),
        (Meaning.DISPUTED, "disputed indispute isdisputed dispute contested"),
        (Meaning.NAME, "clientname customername companyname company namecustomer contactname name kundenname firma"),
        (Meaning.EMAIL, "email clientemail customeremail emailaddress mail contactemail"),
        (Meaning.PHONE, "phone phonenumber telephone telefon mobile"),
        (Meaning.COUNTRY, "country countrycode land pays"),
        (Meaning.TIMEZONE, "timezone tz"),
        (Meaning.METHOD, "paymentmethod method paidby zahlungsart"),
        (Meaning.SERVICE_LINE, "serviceline service practicearea department matter"),
    )
}


@dataclass(frozen=True, slots=True)
class Preset:
    """A known kind of file: its mapping, and the order of day and month in it."""

    mapping: Mapping[Meaning, str]
    date_order: Literal["dmy", "mdy"]


PRESETS: Final[Mapping[str, Preset]] = {
    "receivables": Preset(
        mapping={
            Meaning.CLIENT_ID: "customerID",
            Meaning.INVOICE_ID: "invoiceNumber",
            Meaning.ISSUED_ON: "InvoiceDate",
            Meaning.DUE_ON: "DueDate",
            Meaning.AMOUNT: "InvoiceAmount",
            Meaning.DISPUTED: "Disputed",
            Meaning.SETTLED_ON: "SettledDate",
        },
        date_order="mdy",
    ),
    "ledger": Preset(
        mapping={
            Meaning.CLIENT_ID: "Vendor_Name",
            Meaning.RECORDED_ON: "Created",
            Meaning.ISSUED_ON: "Invoice_Date",
            Meaning.DUE_ON: "Due_Date",
            Meaning.AMOUNT: "Amount",
            Meaning.SETTLED: "Settled",
            Meaning.OUTSTANDING: "Outstanding",
            Meaning.DAYS_TO_SETTLE: "Number_of_Days_until_Payment",
        },
        date_order="dmy",
    ),
}


def choose_columns(header: Sequence[str], *, preset: str | None = None, given: Sequence[str] = ()) -> dict[Meaning, str]:
    """Return the mapping from meaning to column name: `given` (`meaning=Column`) first, then the preset or the guess.

    Raise UsageError when a required meaning has no column, or a named column is not in the file.
    """
    asked = _parse_given(given, header)
    if preset is None:
        base = guess(header, taken=frozenset(asked.values()))
    elif preset in PRESETS:
        base = dict(PRESETS[preset].mapping)
        missing = [name for meaning, name in base.items() if name not in header and meaning not in asked]
        if missing:
            message = f"--preset {preset} expects the columns {', '.join(missing)}; leave it out to have the columns guessed"
            raise UsageError(message)
    else:
        message = f"--preset {preset} is unknown; there are: {', '.join(PRESETS)}"
        raise UsageError(message)
    mapping = {meaning: name for meaning, name in {**base, **asked}.items() if name}
    lacking = [meaning for meaning in REQUIRED if meaning not in mapping]
    if lacking:
        wanted = " ".join(f"--map {meaning}=COLUMN" for meaning in lacking)
        message = f"no column found for {', '.join(lacking)}; say which: {wanted} (columns: {', '.join(header)})"
        raise UsageError(message)
    return mapping


def guess(header: Sequence[str], *, taken: frozenset[str] = frozenset()) -> dict[Meaning, str]:
    """Return the best column for each meaning by its name alone; each column is used once, the surest pair first."""
    plain = {name: _letters(name) for name in header if name not in taken}
    ranked = sorted(
        (rank, place, meaning, name)
        for place, (meaning, wanted) in enumerate(_NAMES.items())
        for name, letters in plain.items()
        if (rank := _rank(letters, wanted)) is not None
    )
    mapping: dict[Meaning, str] = {}
    for _, _, meaning, name in ranked:
        if meaning not in mapping and name not in mapping.values():
            mapping[meaning] = name
    if Meaning.CLIENT_ID not in mapping and Meaning.NAME in mapping:
        mapping[Meaning.CLIENT_ID] = mapping.pop(Meaning.NAME)  # a book without numbers knows its clients by name
    return mapping


def _rank(letters: str, wanted: Sequence[str]) -> int | None:
    if letters in wanted:
        return wanted.index(letters)
    inside = [place for place, name in enumerate(wanted) if len(name) >= 5 and name in letters]  # noqa: PLR2004 (short words sit in many names)
    return 100 + min(inside) if inside else None


def _parse_given(given: Sequence[str], header: Sequence[str]) -> dict[Meaning, str]:
    asked: dict[Meaning, str] = {}
    for pair in given:
        left, mark, name = pair.partition("=")
        if not mark or left.strip() not in set(Meaning):
            message = f"--map {pair} is not MEANING=COLUMN; meanings: {', '.join(Meaning)}"
            raise UsageError(message)
        name = name.strip()
        if name and name not in header:
            message = f"--map {pair}: the file has no column {name!r}; it has: {', '.join(header)}"
            raise UsageError(message)
        asked[Meaning(left.strip())] = name
    return asked
