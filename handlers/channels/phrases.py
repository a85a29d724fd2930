"""The words around every message, in each language that has templates: greeting, farewell, links, statement, the payer's role.

A message speaks one language: where it has no template in the client's, everything around it is English too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from babel import Locale

from handlers.channels.wording import FALLBACK
from models.events.signals import Purpose, Role

ENGLISH: Final = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """One language. `greeting` takes the name; `invoice`, `invoices` and `more` take numbers, a count, or both."""

    language: str
    greeting: str
    greeting_without_name: str
    farewell: str
    answer: Mapping[Purpose, str]
    answer_renewal: str
    opt_out: str
    invoice: str
    invoices: str
    more: str
    statement: tuple[str, str, str]
    total: str
    others: str
    credit: str
    roles: Mapping[Role, str]


def _answers(servicing: str, other: str) -> Mapping[Purpose, str]:
    return MappingProxyType({Purpose.SERVICING: servicing, Purpose.RELATIONSHIP: other, Purpose.PROMOTION: other})


def _roles(finance_lead: str, accounts_payable: str, project_manager: str, partner: str) -> Mapping[Role, str]:
    return MappingProxyType(
        {
            Role.FINANCE_LEAD: finance_lead,
            Role.ACCOUNTS_PAYABLE: accounts_payable,
            Role.PROJECT_MANAGER: project_manager,
            Role.PARTNER: partner,
        }
    )


PHRASES: Final[Mapping[str, Phrases]] = MappingProxyType(
    {
        ENGLISH: Phrases(
            language=ENGLISH,
            greeting="Hello {name},",
            greeting_without_name="Hello,",
            farewell="Kind regards,",
            answer=_answers(
                "Name a day, ask for a plan, tell us what is wrong, or pause", "Pause these mails, or let somebody else get them"
            ),
            answer_renewal="Renew as it is, start later, or pause these mails",
            opt_out="Stop mails like this one",
            invoice="invoice {numbers}",
            invoices="invoices {numbers}",
            more="{count} invoices ({numbers} and others)",
            statement=("Invoice", "Due", "Open"),
            total="Total",
            others="and {count} more",
            credit="Credit, already taken off",
            roles=_roles(
                "If it helps your planning, we will confirm agreed dates and amounts in writing.",
                "If you need a copy, a purchase order number on it or a statement of account, tell us and you will have it.",
                "If the work behind it is not what you expected, tell us; then that comes first.",
                "If it is quicker, answer in one line and we will do the rest.",
            ),
        ),
        "de": Phrases(
            language="de",
            greeting="Guten Tag {name},",
            greeting_without_name="Guten Tag,",
            farewell="Mit freundlichen Grüßen",
            answer=_answers(
                "Einen Tag nennen, einen Ratenplan erbitten, sagen, was nicht stimmt, oder pausieren",
                "Diese Nachrichten pausieren oder an jemand anderen gehen lassen",
            ),
            answer_renewal="Unverändert verlängern, später beginnen oder diese Nachrichten pausieren",
            opt_out="Keine solchen Nachrichten mehr",
            invoice="Rechnung {numbers}",
            invoices="Rechnungen {numbers}",
            more="{count} Rechnungen ({numbers} und weitere)",
            statement=("Rechnung", "Fällig", "Offen"),
            total="Summe",
            others="und {count} weitere",
            credit="Gutschrift, schon abgezogen",
            roles=_roles(
                "Hilft es Ihrer Planung, bestätigen wir vereinbarte Tage und Beträge schriftlich.",
                "Brauchen Sie eine Kopie, eine Bestellnummer darauf oder einen Kontoauszug, sagen Sie es, und Sie bekommen es.",
                "Ist die Arbeit dahinter nicht, was Sie erwartet haben, sagen Sie es uns; dann geht das vor.",
                "Geht es schneller, antworten Sie mit einer Zeile, den Rest erledigen wir.",
            ),
        ),
        "fr": Phrases(
            language="fr",
            greeting="Bonjour {name},",
            greeting_without_name="Bonjour,",
            farewell="Cordialement,",
            answer=_answers(
                "Indiquer un jour, demander un échéancier, dire ce qui ne va pas, ou faire une pause",
                "Mettre ces messages en pause, ou les adresser à une autre personne",
            ),
            answer_renewal="Renouveler tel quel, commencer plus tard ou mettre ces messages en pause",
            opt_out="Ne plus recevoir de tels messages",
            invoice="facture {numbers}",
            invoices="factures {numbers}",
            more="{count} factures ({numbers} et d'autres)",
            statement=("Facture", "Échéance", "À régler"),
            total="Total",
            others="et {count} autres",
            credit="Avoir, déjà déduit",
            roles=_roles(
                "Si cela aide votre planification, nous confirmons par écrit les dates et les montants convenus.",
                "S'il vous faut une copie, un numéro de commande ou un relevé de compte, dites-le nous et vous l'aurez.",
                "Si le travail n'est pas ce que vous attendiez, dites-le nous ; cela passera d'abord.",
                "Si c'est plus rapide, répondez en une ligne et nous ferons le reste.",
            ),
        ),
        "es": Phrases(
            language="es",
            greeting="Buenos días, {name}:",
            greeting_without_name="Buenos días:",
            farewell="Atentamente,",
            answer=_answers(
                "Indicar un día, pedir un plan, decir qué no está bien, o hacer una pausa",
                "Pausar estos mensajes, o que los reciba otra persona",
            ),
            answer_renewal="Renovar sin cambios, empezar más tarde o pausar estos mensajes",
            opt_out="No recibir más mensajes como este",
            invoice="factura {numbers}",
            invoices="facturas {numbers}",
            more="{count} facturas ({numbers} y otras)",
            statement=("Factura", "Vencimiento", "Pendiente"),
            total="Total",
            others="y {count} más",
            credit="Abono, ya descontado",
            roles=_roles(
                "Si le ayuda a planificar, confirmamos por escrito las fechas y los importes acordados.",
                "Si necesita una copia, un número de pedido o un extracto de cuenta, díganoslo y lo tendrá.",
                "Si el trabajo no es lo que esperaba, díganoslo; eso irá primero.",
                "Si es más rápido, responda en una línea y nosotros haremos el resto.",
            ),
        ),
    }
)
"""Every language with templates of its own, by its code."""


def tongue(locale: Locale) -> tuple[Phrases, Locale]:
    """Return the phrases of the client's language and the locale to write in; English where we do not speak it."""
    spoken = PHRASES.get(locale.language)
    return (PHRASES[ENGLISH], FALLBACK) if spoken is None else (spoken, locale)
