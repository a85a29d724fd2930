"""Whether a promise to pay was kept: by the money it was about, not by whether the invoice is settled."""

from collections.abc import Iterator

from msgspec.structs import replace

from models.state.balances import items, paid_in_effect
from models.state.habits import mark_of
from models.state.reckoning import TRANSFER_BANK_DAYS, Item, is_credited, is_given_up, is_live, net, receipt_ms
from models.state.rows import Invoice, Ledger, Promise
from models.state.words import Word, with_word
from models.workdays import bank_days_on


def unkept(promise: Promise, ledger: Ledger, now_ms: int) -> tuple[Item, ...]:
    """Return the open invoices on which money that was promised is missing at `now_ms`, once the promise holds no more.

    Money that may not be asked for by then (disputed, promised anew, in a plan, under way, covered) is not missing. Of a part
    that was promised, what has come since counts first; money whose day is forgotten counts as if it had come since.
    """
    scope = [row for row in items(ledger, now_ms) if row.rest and promise.invoice_id in {"", row.invoice.invoice_id}]
    if not promise.minor:
        return tuple(scope)
    if promise.invoice_id:
        return tuple(row for row in scope if row.invoice.currency != promise.currency or _missing(promise, row, ledger) > 0)
    return tuple(_oldest(promise, [row for row in scope if row.invoice.currency == promise.currency], ledger))


def was_kept(promise: Promise, ledger: Ledger, now_ms: int) -> bool | None:
    """Return whether the money that was promised came, once the promise holds no more. None: that says nothing of the client.

    So where the invoice was withdrawn or given up before, and where something took the promise's place: a dispute, a promise
    anew, a plan, money under way.
    """
    if not promise.invoice_id:
        if unkept(promise, ledger, now_ms):
            return False
        return True if any(_since(promise, ledger)) else None
    invoice = _invoice(promise, ledger)
    if invoice is None or not is_live(invoice) or is_credited(invoice) or is_given_up(invoice):
        return None
    if _is_there(promise, invoice, ledger, now_ms):
        return True
    return False if unkept(promise, ledger, now_ms) else None


def words_after(promise: Promise, words: tuple[Word, ...], ledger: Ledger, now_ms: int) -> tuple[Word, ...]:
    """Return the words with how a promise ended, once it holds no more, where that says something."""
    kept = was_kept(promise, ledger, now_ms)
    return words if kept is None else with_word(words, mark_of(promise.promise_id), kept=kept)


def words_by_now(words: tuple[Word, ...], ledger: Ledger, now_ms: int) -> tuple[Word, ...]:
    """Return the words with what the ledger says of their promises by now; what has left the ledger stays as it was.

    A promise that was withdrawn or made anew, or whose invoice was withdrawn, counts for nothing. One that was broken as far as
    was known is kept once money of its days is reported, and one that was kept counts for nothing once the client takes the money
    back. All of that follows from the ledger, so what is taken back again is as it was.
    """
    if not words or not ledger.promises:
        return words
    rows = {mark_of(row.promise_id): row for row in ledger.promises}
    told = tuple([_by_now(word, rows[word.mark], ledger, now_ms) if word.mark in rows else word for word in words])
    return words if told == words else told


def _by_now(word: Word, promise: Promise, ledger: Ledger, now_ms: int) -> Word:
    invoice = _invoice(promise, ledger)
    if not promise.judged or promise.made_at <= promise.withdrawn_at:
        return replace(word, says=0)
    if invoice is None:
        # One that has collapsed is as it was then; of a promise that names none, no money can be told from other money.
        return word if promise.invoice_id else replace(word, says=1 if word.kept else -1)
    if not is_live(invoice) or is_credited(invoice):
        return replace(word, says=0)
    in_time = 0 < invoice.settled_ms < bank_days_on(promise.promised_ms, TRANSFER_BANK_DAYS)
    if in_time and not is_given_up(invoice):
        return replace(word, says=1)
    if not word.kept:
        return replace(word, says=-1)
    # What the firm gave back of its own will had been paid.
    return replace(word, says=1 if invoice.refunded or _is_there(promise, invoice, ledger, now_ms) else 0)


def _invoice(promise: Promise, ledger: Ledger) -> Invoice | None:
    return next((row for row in ledger.invoices if row.invoice_id == promise.invoice_id), None)


def _is_there(promise: Promise, invoice: Invoice, ledger: Ledger, now_ms: int) -> bool:
    """Say whether the money of a promise about one invoice is there: the part that was promised, or all but a trifle."""
    if invoice.settled_ms or invoice.invoice_id in paid_in_effect(ledger, now_ms):
        return True
    item = next((row for row in items(ledger, now_ms) if row.invoice is invoice), None)
    is_part = promise.minor and promise.currency == invoice.currency
    return bool(is_part) and item is not None and _missing(promise, item, ledger) <= 0


def _missing(promise: Promise, item: Item, ledger: Ledger) -> int:
    invoice = item.invoice
    come = sum(
        part.minor
        for payment in ledger.payments
        for part in payment.parts
        if part.invoice_id == invoice.invoice_id and part.at >= promise.made_at
    )
    return promise.minor - come - item.covered - invoice.carried_paid


def _oldest(promise: Promise, scope: list[Item], ledger: Ledger) -> Iterator[Item]:
    missing = promise.minor - sum(_since(promise, ledger))
    for row in scope:
        if missing <= 0:
            return
        missing -= row.rest
        yield row


def _since(promise: Promise, ledger: Ledger) -> Iterator[int]:
    """Yield what came since a promise was made, payment by payment, in its currency where it names one."""
    for row in ledger.payments:
        if promise.currency in {"", row.currency} and receipt_ms(row) >= promise.made_at:
            yield net(row)
