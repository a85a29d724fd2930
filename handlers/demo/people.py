"""The clients of the demo's firm: forty invented companies in several countries, each with a way of paying."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from models.ids import derive


class PayerType(StrEnum):
    """How a client of the demo pays; the program is never told, it has to find out."""

    RELIABLE = "reliable"
    TURNED = "reliable, then suddenly late"
    SLOW = "slow"
    PROBLEM = "problem"
    NEW = "new"
    MICRO = "micro-invoices"
    SEASONAL = "seasonal"


@dataclass(frozen=True, slots=True)
class Person:
    """One client. `typical` is the usual invoice in minor units; `retainer_months` the billing period of a retainer, or none.

    `joins_day` counts from the first day of the year. `method` is a payment method as Stripe names it; `out_of_band` means
    paid by wire outside Stripe.
    """

    name: str
    email: str
    country: str
    timezone: str
    locale: str
    currency: str
    payer: PayerType
    typical: int
    terms_days: int
    method: str
    retainer_months: int | None
    joins_day: int

    @property
    def client_id(self) -> str:
        """The customer id that Stripe would have given."""
        return f"cus_{derive('demo.customer', self.email)[:14]}"


# name, mail, country, zone, locale, currency
_COMPANIES: Final = (
    ("Brightwater Dental Group", "accounts@brightwater.example", "US", "America/Chicago", "en-US", "USD"),
    ("Müller & Söhne Orgelbau", "buchhaltung@mueller-orgel.example", "DE", "Europe/Berlin", "de-DE", "EUR"),
    ("Åse Bjørnsen Arkitekter", "post@bjornsen.example", "NO", "Europe/Oslo", "nb-NO", "EUR"),
    ("さくら翻訳事務所", "keiri@sakura-honyaku.example", "JP", "Asia/Tokyo", "ja-JP", "JPY"),
    ("Château Mirelle SCEA", "compta@mirelle.example", "FR", "Europe/Paris", "fr-FR", "EUR"),
    ("Harbour Lane Veterinary", "office@harbourlane.example", "US", "America/New_York", "en-US", "USD"),
    ("O'Rourke Timber", "bills@orourke-timber.example", "IE", "Europe/Dublin", "en-IE", "EUR"),
    ("Studio Ilaria Vecchi", "studio@vecchi.example", "IT", "Europe/Rome", "it-IT", "EUR"),
    ("Łódź Instruments", "faktury@lodz-instruments.example", "PL", "Europe/Warsaw", "pl-PL", "EUR"),
    ("Kita Sternschnuppe e. V.", "vorstand@sternschnuppe.example", "DE", "Europe/Berlin", "de-DE", "EUR"),
    ("Pinecrest Robotics", "ap@pinecrest.example", "US", "America/Los_Angeles", "en-US", "USD"),
    ("Ōtani Ceramics", "keiri@otani-ceramics.example", "JP", "Asia/Tokyo", "ja-JP", "JPY"),
    ("Fjord & Fell Outfitters", "regnskap@fjordfell.example", "NO", "Europe/Oslo", "nb-NO", "EUR"),
    ("Clínica Peña Blanca", "pagos@penablanca.example", "ES", "Europe/Madrid", "es-ES", "EUR"),
    ("Nomad Lens Media", "hello@nomadlens.example", "US", "America/Denver", "en-US", "USD"),
    ("Van der Kloot Bakkerijen", "administratie@vanderkloot.example", "NL", "Europe/Amsterdam", "nl-NL", "EUR"),
    ("Greyfield Logistics", "payables@greyfield.example", "US", "America/New_York", "en-US", "USD"),
    ("Tänzer Bühnenbau", "rechnung@taenzer.example", "AT", "Europe/Vienna", "de-AT", "EUR"),
    ("Maple & Main Realty", "books@maplemain.example", "US", "America/Chicago", "en-US", "USD"),
    ("Lumière Noire Films", "production@lumierenoire.example", "FR", "Europe/Paris", "fr-FR", "EUR"),
    ("Cobalt Ridge Brewing", "money@cobaltridge.example", "US", "America/Denver", "en-US", "USD"),
    ("Koroleva Textiles", "office@koroleva.example", "EE", "Europe/Tallinn", "et-EE", "EUR"),
    ("Santos & Figueira Lda", "contas@santosfigueira.example", "PT", "Europe/Lisbon", "pt-PT", "EUR"),
    ("Blue Heron Montessori", "director@blueheron.example", "US", "America/New_York", "en-US", "USD"),
    ("Weingut Hölderlin", "kontor@hoelderlin.example", "DE", "Europe/Berlin", "de-DE", "EUR"),
    ("Quillfeather Press", "accounts@quillfeather.example", "IE", "Europe/Dublin", "en-IE", "EUR"),
    ("株式会社みなと設計", "keiri@minato-sekkei.example", "JP", "Asia/Tokyo", "ja-JP", "JPY"),
    ("Aurora Physio", "admin@auroraphysio.example", "FI", "Europe/Helsinki", "fi-FI", "EUR"),
    ("Ironbark Surveying", "jobs@ironbark.example", "US", "America/Phoenix", "en-US", "USD"),
    ("Delacroix Événements", "factures@delacroix.example", "BE", "Europe/Brussels", "fr-BE", "EUR"),
    ("Tidepool Software", "finance@tidepool.example", "US", "America/Los_Angeles", "en-US", "USD"),
    ("Baumhaus Verlag Grün", "verlag@gruen-baumhaus.example", "DE", "Europe/Berlin", "de-DE", "EUR"),
    ("Mercado São Bento", "financeiro@saobento.example", "PT", "Europe/Lisbon", "pt-PT", "EUR"),
    ("Juniper Street Yoga", "hi@juniperstreet.example", "US", "America/New_York", "en-US", "USD"),
    ("Český Křišťál s.r.o.", "ucetni@ceskykristal.example", "CZ", "Europe/Prague", "cs-CZ", "EUR"),
    ("Hollis & Wray Surveyors", "ledger@holliswray.example", "IE", "Europe/Dublin", "en-IE", "EUR"),
    ("Tax Desk Okafor", "desk@okafor-tax.example", "US", "America/Chicago", "en-US", "USD"),
    ("Ferme des Trois Chênes", "ferme@troischenes.example", "FR", "Europe/Paris", "fr-FR", "EUR"),
    ("Ski Club Adelboden-Nord", "kasse@skiclub-nord.example", "CH", "Europe/Zurich", "de-CH", "EUR"),
    ("Lindqvist Festival AB", "ekonomi@lindqvist-festival.example", "SE", "Europe/Stockholm", "sv-SE", "EUR"),
)

# Who pays how, in the order of the companies: 14 reliable, 1 turned, 8 slow, 4 problem, 5 new, 4 micro, 4 seasonal.
_PAYERS: Final = (
    *[PayerType.RELIABLE] * 14,
    PayerType.TURNED,
    *[PayerType.SLOW] * 8,
    *[PayerType.PROBLEM] * 4,
    *[PayerType.NEW] * 5,
    *[PayerType.MICRO] * 4,
    *[PayerType.SEASONAL] * 4,
)

_TYPICAL: Final = (180_000, 95_000, 240_000, 420_000, 60_000)  # minor units of EUR and USD
_METHODS: Final = ("card", "sepa_debit", "card", "out_of_band")
_YEN_PER_CENT: Final = 1.5  # so that a yen invoice (no minor unit) has a plausible size


def people() -> tuple[Person, ...]:
    """Return the forty clients; always the same."""
    return tuple(_person(place) for place in range(len(_COMPANIES)))


def _person(place: int) -> Person:
    name, email, country, timezone, locale, currency = _COMPANIES[place]
    payer = _PAYERS[place]
    typical = 4_500 if payer is PayerType.MICRO else _TYPICAL[place % len(_TYPICAL)]
    method = "card" if payer is PayerType.PROBLEM else _METHODS[place % len(_METHODS)]
    return Person(
        name=name,
        email=email,
        country=country,
        timezone=timezone,
        locale=locale,
        currency=currency,
        payer=payer,
        typical=round(typical * _YEN_PER_CENT) if currency == "JPY" else typical,
        terms_days={PayerType.MICRO: 7, PayerType.RELIABLE: 30}.get(payer, 14),
        method="us_bank_account" if method == "sepa_debit" and currency == "USD" else method,
        retainer_months=_retainer_months(place, payer),
        joins_day=200 + 25 * (place % 5) if payer is PayerType.NEW else (place * 3) % 28,
    )


def _retainer_months(place: int, payer: PayerType) -> int | None:
    if payer in (PayerType.MICRO, PayerType.SEASONAL, PayerType.PROBLEM):
        return None
    return {0: 3, 1: None, 2: 1, 3: None, 4: 6}[place % 5]
