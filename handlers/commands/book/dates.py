"""Dates as books write them. Whether 3/4 is March or April is decided by the whole column, or asked; never guessed."""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

Order: TypeAlias = Literal["dmy", "mdy", "ymd"]

_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            ("jan", "january", "januar", "janvier", "janv", "enero", "ene", "gennaio", "gen", "januari", "janeiro"),
            ("feb", "february", "februar", "février", "févr", "febrero", "febbraio", "februari", "fevereiro", "fev"),
            ("mar", "march", "märz", "mär", "mrz", "mars", "marzo", "maart", "mrt", "março"),
            ("apr", "april", "avril", "avr", "abril", "abr", "aprile"),
            ("may", "mai", "mayo", "maggio", "mag", "mei", "maio"),
            ("jun", "june", "juni", "juin", "junio", "giugno", "giu", "junho"),
            ("jul", "july", "juli", "juillet", "juil", "julio", "luglio", "lug", "julho"),
            ("aug", "august", "août", "agosto", "ago", "augustus"),
            ("sep", "sept", "september", "septembre", "septiembre", "settembre", "set", "setembro"),
            ("oct", "october", "okt", "oktober", "octobre", "octubre", "ottobre", "ott", "outubro", "out"),
            ("nov", "november", "novembre", "noviembre", "novembro"),
            ("dec", "december", "dez", "dezember", "décembre", "déc", "diciembre", "dic", "dicembre", "dezembro"),
        ),
        start=1,
    )
    for name in names
}
_CLOCK: Final = r"(?:[T ,]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)?\s*(?P<half>[AaPp][Mm])?)?"
_ZONES: Final = {
    "Z": 0, "UTC": 0, "GMT": 0, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3,
    "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
}  # fmt: skip
"""Hours ahead of UTC of zones that programs write by name: those of mail headers, and of Europe."""
_ZONE: Final = rf"\s*(?P<zone>{'|'.join(_ZONES)}|(?:UTC|GMT)?[+-]\d{{2}}(?::?\d{{2}})?)?(?:\[[\w/+-]+\])?"
_YEAR_FIRST: Final = re.compile(r"(?P<year>\d{4})([-/.])(?P<month>\d{1,2})\2(?P<day>\d{1,2})" + _CLOCK + _ZONE)
_COMPACT: Final = re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(?:\.0)?")
_YEAR_LAST: Final = re.compile(
    r"(?P<first>\d{1,2})(?P<second>\d{2})(?P<year>(?:19|20)\d{2})(?:\.0)?"
)  # a leading zero may be lost
_NUMBERS: Final = re.compile(r"(?P<first>\d{1,2})([-/.])(?P<second_number>\d{1,2})\2(?P<year>\d{4}|\d{2})" + _CLOCK + _ZONE)
_DAY_NAMED: Final = re.compile(
    r"(?P<day>\d{1,2})(?:st|nd|rd|th)?[-/. ]*(?P<name>[^\W\d_]+)\.?[-/., ]*(?P<year>\d{4}|\d{2})" + _CLOCK + _ZONE
)
_NAMED_DAY: Final = re.compile(
    r"(?P<name>[^\W\d_]+)\.?[-/. ]+(?P<day>\d{1,2})(?:st|nd|rd|th)?[-/., ]+(?P<year>\d{4}|\d{2})" + _CLOCK + _ZONE
)
_EAST_ASIAN: Final = re.compile(r"(?P<year>\d{4})[年년]\s*(?P<month>\d{1,2})[月월]\s*(?P<day>\d{1,2})[日일]" + _CLOCK + _ZONE)
_WEEKDAY: Final = re.compile(r"^[^\W\d_]{2,10}\.?,\s+")  # "Mon, 5 Jan 2024": the day of the week says nothing new
_SERIAL: Final = re.compile(r"(?P<days>[2-6]\d{4})(?:[.,](?P<part>\d+))?")  # days as spreadsheets count them: 1954 to 2091
_SINCE_1970: Final = re.compile(r"(?P<seconds>1[0-7]\d{8})(?:\d{3})?(?:\.\d+)?")  # or milliseconds: 2001 to 2027
_SERIAL_ZERO: Final = date(1899, 12, 30)
_NO_DAY: Final = re.compile(
    r"0{1,4}[-/.]0{1,2}[-/.]0{1,4}.*|0{8}|0|(0001|1899|1900)-?01-?0[01].*|(2999|9999|4712)-?12-?31.*|31-DEC-4712.*"
    r"|0?1[-/.]0?[01][-/.](1900|0001).*|(12[-/.]31|31[-/.]12)[-/.][29]999.*|-0001-11-30.*"
)
"""No dates to any reader, or such that a zone carries over into another year; `_NEVER` are days that can be read."""
_NEVER: Final = frozenset((
    date(1753, 1, 1), date(1899, 12, 30), date(1899, 12, 31), date(1900, 1, 1), date(1969, 12, 31), date(1970, 1, 1),
    date(2079, 6, 6), date(2099, 12, 31), date(2999, 12, 31), date(4712, 12, 31), date(9999, 12, 31),
))  # fmt: skip
"""What is left of an empty date: the first and the last days that databases, spreadsheets and clocks know."""
_PIVOT: Final = 69  # two-digit years: 69-99 are 1969-1999, 00-68 are 2000-2068, as POSIX reads them
_MONTHS_IN_YEAR: Final = 12
_LAST_DAY: Final = 31
_YEAR_DIGITS: Final = 32  # of two digits from here on can be no day


@dataclass(slots=True)
class OrderEvidence:
    """What a column has shown about its order of day and month; `doubtful` is an example that fits both."""

    dmy: int = 0
    mdy: int = 0
    doubtful: str | None = None
    _firsts: set[int] = field(default_factory=set)
    _lasts: set[int] = field(default_factory=set)

    def see(self, text: str) -> None:
        """Take one cell into account; blank cells say nothing."""
        match = _NUMBERS.fullmatch(_spelled(text))
        if match is None:
            return
        first, second = int(match["first"]), int(match["second_number"])
        self._firsts.add(first)
        self._lasts.add(int(match["year"]))
        if first > _MONTHS_IN_YEAR >= second:
            self.dmy += 1
        elif second > _MONTHS_IN_YEAR >= first:
            self.mdy += 1
        elif first != second and self.doubtful is None:
            self.doubtful = text.strip()

    @property
    def order(self) -> Order | None:
        """The order that every decisive cell agrees with; none without evidence or with contradicting evidence."""
        if self.dmy and not self.mdy:
            # What takes more values than years would, and than what stands first, are days: 24-05-31 begins with the year.
            days_last = max(self._lasts) < _YEAR_DIGITS and len(self._firsts) < _MONTHS_IN_YEAR < len(self._lasts)
            return "ymd" if days_last else "dmy"
        if self.mdy and not self.dmy:
            return "mdy"
        return None


def read_moment(text: str, *, order: Order | None, zone: ZoneInfo, at: time) -> datetime | None:
    """Read one cell; none when blank. A date without a time of day happens `at` that time in `zone`. The result is in UTC.

    Raise ValueError with a reason for people when the cell is no date, or `order` would be needed and is unknown.
    """
    text = _spelled(text)
    if not text:
        return None
    if serial := _SERIAL.fullmatch(text):
        return _of_serial(serial, zone=zone, at=at)
    if counted := _SINCE_1970.fullmatch(text):
        return datetime.fromtimestamp(int(counted["seconds"]), UTC)
    day, match = _day(text, order)
    groups = match.groupdict()
    clock = _clock(groups) or at
    moment = datetime.combine(day, clock)
    offset = groups.get("zone")
    if offset is None:
        return moment.replace(tzinfo=zone).astimezone(UTC)
    return datetime.fromisoformat(f"{moment.isoformat()}{_iso_offset(offset)}").astimezone(UTC)


def read_day(text: str, *, order: Order | None, zone: ZoneInfo, at: time) -> datetime | None:
    """Read one cell as `read_moment` does; none also for what programs write where there is no date, however they write it."""
    if _NO_DAY.fullmatch(text):
        return None
    moment = read_moment(text, order=order, zone=zone, at=at)
    return None if moment is not None and moment.astimezone(zone).date() in _NEVER else moment


def _spelled(text: str) -> str:
    """Return the cell without a weekday, and eight digits that end with the year (as 31012024) as other books write them.

    No eight digits can be read both ways: what would be the year in front is the day and the month, and 20 is no month.
    """
    text = _WEEKDAY.sub("", text.strip(), count=1)
    if (match := _YEAR_LAST.fullmatch(text)) and max(int(match["first"]), int(match["second"])) <= _LAST_DAY:
        return f"{match['first']}/{match['second']}/{match['year']}"
    return text


def _of_serial(serial: re.Match[str], *, zone: ZoneInfo, at: time) -> datetime:
    seconds = round(float(f"0.{serial['part']}") * 86_400) if serial["part"] else 0
    midnight = datetime.combine(_SERIAL_ZERO + timedelta(days=int(serial["days"])), time())
    local = midnight + timedelta(seconds=seconds) if seconds else datetime.combine(midnight.date(), at)
    return local.replace(tzinfo=zone).astimezone(UTC)


def _day(text: str, order: Order | None) -> tuple[date, re.Match[str]]:
    if match := _YEAR_FIRST.fullmatch(text) or _COMPACT.fullmatch(text) or _EAST_ASIAN.fullmatch(text):
        return _date(text, int(match["year"]), int(match["month"]), int(match["day"])), match
    if match := _DAY_NAMED.fullmatch(text) or _NAMED_DAY.fullmatch(text):
        month = _MONTHS.get(match["name"].lower())
        if month is None:
            message = f"{text!r} names no month known to us"
            raise ValueError(message)
        return _date(text, _year(match["year"]), month, int(match["day"])), match
    if match := _NUMBERS.fullmatch(text):
        return _numbers(text, match, order), match
    message = f"{text!r} is not a date"
    raise ValueError(message)


def _numbers(text: str, match: re.Match[str], order: Order | None) -> date:
    first, second, year = int(match["first"]), int(match["second_number"]), _year(match["year"])
    if first == second and order != "ymd":
        return _date(text, year, first, first)
    if order is None:
        message = f"{text!r} could be day/month or month/day"
        raise ValueError(message)
    if order == "ymd" and len(match["year"]) == len("25"):
        return _date(text, _year(match["first"].zfill(2)), second, int(match["year"]))
    day, month = (second, first) if order == "mdy" else (first, second)
    return _date(text, year, month, day)


def _date(text: str, year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError as error:
        message = f"{text!r} is not a date: {error}"
        raise ValueError(message) from error


def _year(digits: str) -> int:
    number = int(digits)
    if len(digits) == len("2025"):
        return number
    return number + (1900 if number >= _PIVOT else 2000)


def _clock(groups: dict[str, str | None]) -> time | None:
    hour, minute = groups.get("hour"), groups.get("minute")
    if hour is None or minute is None:
        return None
    number, half = int(hour), (groups.get("half") or "").lower()
    if half:
        number = number % 12 + (12 if half == "pm" else 0)
    try:
        return time(number, int(minute), int(groups.get("second") or 0))
    except ValueError as error:
        message = f"{hour}:{minute} is not a time of day"
        raise ValueError(message) from error


def _iso_offset(offset: str) -> str:
    if offset in _ZONES:
        return f"{_ZONES[offset]:+03}:00"
    offset = offset[-(len(offset) - max(offset.find("+"), offset.find("-"))) :]
    return offset if ":" in offset else f"{offset[:3]}:{offset[3:] or '00'}"
