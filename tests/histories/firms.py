"""Thirteen invented firms, each with its own way in which clients pay: what the learners must cope with, unseen.

A generator draws a list of bills from a seed; what decides when a client pays is stated in its docstring, so that a reader can
say what there is to learn. `TUNED` were looked at while learners were chosen, `HELD_OUT` only to confirm what was chosen.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

import numpy as np
from numpy.random import Generator

FIRST: Final = date(2020, 1, 6)
_FRIDAY: Final = 4
_WEEK: Final = 7


@dataclass(frozen=True, slots=True)
class Bill:
    """One invoice and, where it was paid within the book, its day of payment.

    `said` are promises to pay: on which day something was promised, and by which day.
    """

    client: str
    number: str
    issued: date
    due: date
    cents: int
    paid: date | None
    said: tuple[tuple[date, date], ...] = ()


@dataclass(slots=True)
class Draw:
    """The dice of one book, its clients' traits and its bills."""

    dice: Generator
    until: date
    bills: list[Bill] = field(default_factory=list)

    def bill(
        self, client: int, issued: date, *, terms: int, delay: float, cents: float, said: tuple[tuple[int, int], ...] = ()
    ) -> Bill:
        """Add a bill that is paid `delay` days after due, not before the day after issue; unpaid where the book ends first.

        `said` are promises in days after due: made on one (not before issue), to pay by the other.
        """
        due = issued + timedelta(days=terms)
        paid: date | None = max(issued + timedelta(days=1), due + timedelta(days=round(delay)))
        if paid is not None and paid > self.until:
            paid = None
        words = tuple((max(issued, due + timedelta(days=made)), due + timedelta(days=by)) for made, by in said)
        row = Bill(f"C{client:05}", f"R{len(self.bills):06}", issued, due, max(100, round(cents)), paid, words)
        self.bills.append(row)
        return row


def workday(day: date) -> date:
    """Return the day, or the Monday after a weekend."""
    return day + timedelta(days=max(0, _WEEK - day.weekday())) if day.weekday() > _FRIDAY else day


def issues(draw: Draw, count: int, *, clients: int, days: int, heavy: float = 1.0) -> Iterator[tuple[int, date]]:
    """Yield client and issue date of `count` invoices over `days` in order; `heavy` above 0 gives few clients most of them."""
    weights = np.exp(draw.dice.normal(0, heavy, clients))
    who = draw.dice.choice(clients, count, p=weights / weights.sum())
    when = np.sort(draw.dice.integers(0, days, count))
    for client, day in zip(who, when, strict=True):
        yield int(client), workday(FIRST + timedelta(days=int(day)))


def start(seed: int, days: int) -> Draw:
    """Return a book without bills that ends after so many days."""
    return Draw(np.random.default_rng(seed), FIRST + timedelta(days=days))


def weekly_runs(seed: int, count: int) -> list[Bill]:
    """Each client pays once a week, on its weekday, whatever has been due for its own number of days."""
    draw = start(seed, 900)
    clients = max(4, count // 40)
    weekday, grace = draw.dice.integers(0, 5, clients), draw.dice.gamma(1.2, 4, clients) - 3
    for client, issued in issues(draw, count, clients=clients, days=900):
        terms = 15 if draw.dice.random() < 0.7 else 30
        ready = issued + timedelta(days=terms + round(grace[client] + draw.dice.normal(0, 1)))
        wait = (weekday[client] - ready.weekday()) % _WEEK + (_WEEK if draw.dice.random() < 0.06 else 0)
        delay = (ready - issued).days + wait - terms
        draw.bill(client, issued, terms=terms, delay=float(delay), cents=np.exp(draw.dice.normal(11, 1)))
    return draw.bills


def month_end(seed: int, count: int) -> list[Bill]:
    """Clients pay at the end of the month, some of them a month later; the day of the month on which it falls due decides."""
    draw = start(seed, 1100)
    clients = max(4, count // 25)
    runs, lag = draw.dice.choice([1, 2, 0], clients, p=[0.5, 0.2, 0.3]), draw.dice.random(clients)
    for client, issued in issues(draw, count, clients=clients, days=1100, heavy=0.7):
        due = issued + timedelta(days=30)
        if runs[client] == 0:
            delay = draw.dice.normal(-2 + 12 * lag[client], 4)
        else:
            last = (due.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
            middle = due.replace(day=15)
            run = middle if runs[client] == 2 and due <= middle else last
            delay = (run - due).days + (30 if draw.dice.random() < 0.25 * lag[client] else 0) + draw.dice.integers(0, 2)
        draw.bill(client, issued, terms=30, delay=float(delay), cents=np.exp(draw.dice.normal(11, 1.2)))
    return draw.bills


def seasonal(seed: int, count: int) -> list[Bill]:
    """Four years; everybody pays later in August and at the turn of the year, some clients much later."""
    draw = start(seed, 1460)
    clients = max(5, count // 30)
    usual, summer = draw.dice.normal(0, 6, clients), draw.dice.gamma(1.5, 5, clients)
    for client, issued in issues(draw, count, clients=clients, days=1460):
        due = issued + timedelta(days=30)
        slow = 1.0 if due.month in {8, 12} else 0.4 if due.month in {7, 1} else 0.0
        delay = usual[client] + slow * summer[client] + draw.dice.normal(0, 4)
        draw.bill(client, issued, terms=30, delay=delay, cents=np.exp(draw.dice.normal(10, 1)))
    return draw.bills


def shifting(seed: int, count: int) -> list[Bill]:
    """A crisis after two thirds: half of the clients slow down by weeks and recover at their own pace; others drift slowly."""
    draw = start(seed, 1000)
    clients = max(5, count // 30)
    usual, hit = draw.dice.normal(-1, 5, clients), draw.dice.random(clients) < 0.5
    slope, recovery = draw.dice.normal(0, 5, clients), draw.dice.uniform(60, 400, clients)
    for client, issued in issues(draw, count, clients=clients, days=1000):
        day = (issued - FIRST).days
        crisis = 18 * np.exp(-(day - 660) / recovery[client]) if hit[client] and day > 660 else 0.0
        delay = usual[client] + slope[client] * day / 1000 + crisis + draw.dice.normal(0, 4)
        draw.bill(client, issued, terms=30, delay=delay, cents=np.exp(draw.dice.normal(11, 1)))
    return draw.bills


def newcomers(seed: int, count: int) -> list[Bill]:
    """Most clients are new, with one to four bills: amount and terms say more than a history that is hardly there."""
    draw = start(seed, 900)
    when = np.sort(draw.dice.integers(0, 900, count))
    client = 0
    left, usual = 0, 0.0
    for day in when:
        if left <= 0:
            client, left, usual = client + 1, int(draw.dice.geometric(0.4)), draw.dice.normal(0, 5)
        left -= 1
        terms = int(draw.dice.choice([7, 14, 30]))
        size = draw.dice.normal(0, 1)
        delay = usual + 4 * size * (2 if terms == 7 else 1) + (6 if terms == 7 else 0) + draw.dice.normal(0, 6)
        issued = workday(FIRST + timedelta(days=int(day)))
        draw.bill(client, issued, terms=terms, delay=delay, cents=np.exp(10 + size))
    return draw.bills


def cash_bound(seed: int, count: int) -> list[Bill]:
    """Clients with little cash pay their oldest bill first when money arrives: what is open and overdue decides."""
    draw = start(seed, 900)
    clients = max(5, count // 40)
    poor, free_from = draw.dice.random(clients) < 0.5, [FIRST] * clients
    for client, issued in issues(draw, count, clients=clients, days=900):
        due = issued + timedelta(days=21)
        if poor[client]:
            # A bill can be paid once the one before it has been: they queue up.
            free_from[client] = max(free_from[client], due - timedelta(days=4)) + timedelta(days=int(draw.dice.exponential(14)))
            delay = float((free_from[client] - due).days)
        else:
            delay = draw.dice.normal(-4, 4)
        draw.bill(client, issued, terms=21, delay=delay, cents=np.exp(draw.dice.normal(11, 0.8)))
    return draw.bills


def bundling(seed: int, count: int) -> list[Bill]:
    """Accounts payable empties the whole tray every ten days or so, more often with some: payments come in bundles."""
    draw = start(seed, 700)
    clients = max(4, count // 60)
    rhythm, grace = draw.dice.choice([5, 10, 14, 21], clients), draw.dice.normal(0, 5, clients)
    phase = draw.dice.integers(0, 21, clients)
    for client, issued in issues(draw, count, clients=clients, days=700, heavy=1.4):
        terms = 15
        ready = (issued - FIRST).days + terms + grace[client]
        run = phase[client] + np.ceil((ready - phase[client]) / rhythm[client]) * rhythm[client]
        paid = FIRST + timedelta(days=int(run + draw.dice.integers(0, 2)))
        delay = (workday(paid) - issued).days - terms
        draw.bill(client, issued, terms=terms, delay=float(delay), cents=np.exp(draw.dice.normal(12, 1.3)))
    return draw.bills


def moody(seed: int, count: int) -> list[Bill]:
    """Each client switches between reliable, slow and troubled now and then; the last bills say more than the many before."""
    draw = start(seed, 1100)
    clients = max(5, count // 35)
    mood = draw.dice.choice(3, clients, p=[0.6, 0.3, 0.1])
    for client, issued in issues(draw, count, clients=clients, days=1100):
        if draw.dice.random() < 0.06:
            mood[client] = draw.dice.choice(3)
        delay = (-4, 8, 28)[mood[client]] + draw.dice.normal(0, (3, 5, 15)[mood[client]])
        if mood[client] == 2 and draw.dice.random() < 0.15:
            delay = 5000.0
        draw.bill(client, issued, terms=30, delay=delay, cents=np.exp(draw.dice.normal(11, 1)))
    return draw.bills


def prompt(seed: int, count: int) -> list[Bill]:
    """Nearly everybody pays before due; one bill in twenty-five is late, most of them with the same few clients."""
    draw = start(seed, 900)
    clients = max(5, count // 20)
    chance = np.where(draw.dice.random(clients) < 0.12, 0.25, 0.015)
    for client, issued in issues(draw, count, clients=clients, days=900):
        late = draw.dice.random() < chance[client]
        delay = draw.dice.gamma(2, 8) + 6 if late else -abs(draw.dice.normal(6, 4))
        draw.bill(client, issued, terms=30, delay=delay, cents=np.exp(draw.dice.normal(11, 1)))
    return draw.bills


def crowd(seed: int, count: int) -> list[Bill]:
    """Five thousand clients with two or three bills each; a client's own habit is faint, the weekday and terms decide."""
    draw = start(seed, 600)
    clients = max(10, count // 2)
    usual = draw.dice.normal(0, 4, clients)
    for client, issued in issues(draw, count, clients=clients, days=600, heavy=0.3):
        terms = int(draw.dice.choice([10, 30, 60]))
        due = issued + timedelta(days=terms)
        delay = usual[client] + (5 if due.weekday() > _FRIDAY - 1 else 0) - terms / 12 + 4 + draw.dice.normal(0, 4)
        draw.bill(client, issued, terms=terms, delay=delay, cents=np.exp(draw.dice.normal(9, 1.5)))
    return draw.bills


def interplay(seed: int, count: int) -> list[Bill]:
    """Large bills are checked for weeks, but only by clients that check at all, and only when terms are short."""
    draw = start(seed, 900)
    clients = max(5, count // 30)
    checks, usual = draw.dice.random(clients) < 0.5, draw.dice.normal(-1, 3, clients)
    for client, issued in issues(draw, count, clients=clients, days=900):
        terms, size = int(draw.dice.choice([14, 45])), draw.dice.normal(0, 1)
        slow = 16 if checks[client] and size > 0.4 and terms == 14 else 0
        delay = usual[client] + slow + draw.dice.normal(0, 3)
        draw.bill(client, issued, terms=terms, delay=delay, cents=np.exp(10 + 1.2 * size))
    return draw.bills


def random_payers(seed: int, count: int) -> list[Bill]:
    """Nothing to learn: delays are drawn alike for everybody. A learner should say the base rate and nothing else."""
    draw = start(seed, 700)
    for client, issued in issues(draw, count, clients=max(5, count // 20), days=700):
        draw.bill(client, issued, terms=30, delay=draw.dice.normal(2, 8), cents=np.exp(draw.dice.normal(11, 1)))
    return draw.bills


def promising(seed: int, count: int) -> list[Bill]:
    """Who is short of cash says so around the due date, and by when it will pay. Two thirds of the clients pay by that day, nine
    times in ten; the others weeks later, three times in four. Both are short as often: only the words tell them apart.
    """
    draw = start(seed, 900)
    clients = max(6, count // 30)
    honest, short = draw.dice.random(clients) < 2 / 3, draw.dice.beta(2, 3, clients)
    for client, issued in issues(draw, count, clients=clients, days=900):
        said: tuple[tuple[int, int], ...] = ()
        delay = draw.dice.normal(-3, 3)
        if draw.dice.random() < short[client]:
            made, by = int(draw.dice.integers(-9, 7)), 8 + int(draw.dice.exponential(9))
            is_kept = draw.dice.random() < (0.9 if honest[client] else 0.25)
            delay = by - draw.dice.uniform(0, 3) if is_kept else by + 5 + draw.dice.exponential(20)
            if draw.dice.random() < 0.75:
                said = ((made, by),)
        draw.bill(client, issued, terms=30, delay=float(delay), cents=np.exp(draw.dice.normal(11, 1)), said=said)
    return draw.bills


Firm = Callable[[int, int], list[Bill]]

TUNED: Final[dict[str, Firm]] = {
    row.__name__: row for row in (weekly_runs, seasonal, newcomers, bundling, interplay, random_payers, promising)
}
HELD_OUT: Final[dict[str, Firm]] = {row.__name__: row for row in (month_end, shifting, cash_bound, moody, prompt, crowd)}
FIRMS: Final = TUNED | HELD_OUT
