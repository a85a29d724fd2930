"""The part of the policy document that says how it goes on after a first payment, and what to object to in it."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from models.policy.document_parts import Section
from models.policy.guides import Guide, Resource
from models.policy.hours_document import Hours, Zone
from models.state.client import Segment

_HOST: Final = re.compile(r"(?i)[a-z0-9-]+(\.[a-z0-9-]+)+")
_STRANGE: Final = re.compile(r"[\s|{}<>\"'\\^`@\x00-\x1f\x7f]")


def _public(address: str) -> str:
    """Return an address that may stand in every client's mail; a query or a name in it could be one client's."""
    parts = urlsplit(address)
    if parts.scheme != "https" or not _HOST.fullmatch(parts.netloc) or not address.isascii() or _STRANGE.search(address):
        message = f"{address!r} must be an https address such as https://firm.example/start, without a user, a port or blanks"
        raise ValueError(message)
    if parts.query or parts.fragment or address.endswith(("?", "#")):
        message = f"{address!r} must end before its ? or #: every client gets the same address, and a query could name one"
        raise ValueError(message)
    return address


def _plain(words: str) -> str:
    if re.search(r"[|{}<>@]|://", words) or not words.isprintable():
        message = f"{words!r} must be plain words: no address, no mark-up, no |"
        raise ValueError(message)
    return words


_Address: TypeAlias = Annotated[str, StringConstraints(max_length=200), AfterValidator(_public)]
_Plain: TypeAlias = Annotated[str, StringConstraints(min_length=2, max_length=80, strip_whitespace=True), AfterValidator(_plain)]


class ResourceDocument(Section):
    """Something to read, and where."""

    title: _Plain
    url: _Address


class OfficeDocument(Section):
    """When the person can be reached, by the clock of `zone`."""

    zone: Zone
    hours: Hours = Hours()


class GuideDocument(Section):
    """What thanks for a first payment say of the way on, to clients of these segments and service lines; none named: to all.

    The first row that fits is used, also by the question about outcomes (its person and hours).
    """

    segments: tuple[Segment, ...] = ()
    service_lines: Annotated[tuple[_Plain, ...], Field(max_length=20)] = ()
    resources: Annotated[tuple[ResourceDocument, ...], Field(max_length=5)] = ()
    scheduler: _Address | None = Field(default=None, description="Where a client picks a time for a first talk themselves.")
    person: _Plain | None = Field(default=None, description="Who is there for questions, as clients know them: Ada Ferro.")
    office: OfficeDocument | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.resources or self.scheduler or self.person or self.office):
            message = "a guide says something: give resources, scheduler, person or office"
            raise ValueError(message)
        return self

    def guide(self) -> Guide:
        """Return the row as the policy keeps it."""
        return Guide(
            self.segments,
            self.service_lines,
            tuple(Resource(row.title, row.url) for row in self.resources),
            self.scheduler or "",
            self.person or "",
            self.office.hours.window() if self.office else None,
            self.office.zone if self.office else "",
        )

    @classmethod
    def of(cls, guide: Guide) -> Self:
        """Return the document of a row."""
        return cls(
            segments=guide.segments,
            service_lines=guide.service_lines,
            resources=tuple(ResourceDocument(title=row.title, url=row.url) for row in guide.resources),
            scheduler=guide.scheduler or None,
            person=guide.person or None,
            office=OfficeDocument(zone=guide.zone, hours=Hours.of(guide.office)) if guide.office else None,
        )


def unreached(guides: Sequence[GuideDocument]) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Yield the rows that no client comes to, because those before them fit whomever they fit."""
    for index, row in enumerate(guides):
        for place, before in enumerate(guides[:index]):
            segments = not before.segments or (row.segments and set(row.segments) <= set(before.segments))
            lines = {name.casefold() for name in before.service_lines}
            own = {name.casefold() for name in row.service_lines}
            if segments and (not lines or (own and own <= lines)):
                yield ("guides", index), f"row {place + 1} fits everybody whom this one fits", "put it before that one"
                break
