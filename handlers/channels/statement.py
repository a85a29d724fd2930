"""A statement in words: invoices of each currency, what credit takes off them, and what they come to. Nothing is added here."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from babel import Locale

from handlers.channels.phrases import Phrases
from handlers.channels.wording import day_in_words, money_in_words, number_in_words
from models.money import Money
from models.triggers import StatementTotal, Trigger


class RowKind(StrEnum):
    """What a line of a statement is."""

    INVOICE = "invoice"
    OTHERS = "others"
    CREDIT = "credit"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Row:
    """A line, in words; `due` is empty except for invoices. A statement of several currencies has a total after each."""

    invoice: str
    due: str
    amount: str
    kind: RowKind = RowKind.INVOICE


def rows_of(trigger: Trigger, phrases: Phrases, locale: Locale) -> Iterator[Row]:
    """Yield the lines of a message's statement, currency by currency; none where it has no statement."""
    if not trigger.statement:
        return
    for total in trigger.totals:
        yield from _currency(trigger, total, phrases, locale)


def _currency(trigger: Trigger, total: StatementTotal, phrases: Phrases, locale: Locale) -> Iterator[Row]:
    code = total.open.currency
    lines = [item for item in trigger.statement if item.open.currency == code]
    for item in lines:
        due = day_in_words(item.due_on.isoformat(), locale)
        yield Row(" ".join(item.invoice_id.split()), due, money_in_words(item.open, locale))
    more = total.invoices - len(lines)
    if more:
        # What the lines do not list: so that every statement adds up for whoever checks it.
        rest = total.open + total.credit - sum((item.open for item in lines), Money(0, code))
        yield Row(phrases.others.format(count=number_in_words(more, locale)), "", money_in_words(rest, locale), RowKind.OTHERS)
    if total.credit.minor:
        yield Row(phrases.credit, "", money_in_words(Money(-total.credit.minor, code), locale), RowKind.CREDIT)
    name = phrases.total if len(trigger.totals) == 1 else f"{phrases.total} {code}"
    yield Row(name, "", money_in_words(total.open, locale), RowKind.TOTAL)
