"""The words of which a policy document is made: names, days, amounts, and a section that refuses what it does not know."""

from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Words: TypeAlias = Annotated[str, StringConstraints(min_length=3, max_length=160, strip_whitespace=True)]
Days: TypeAlias = Annotated[int, Field(ge=0, le=400)]
Times: TypeAlias = Annotated[int, Field(ge=1, le=100)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Units: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000_000)]


class Section(BaseModel):
    """Part of a document: frozen, and what it does not know is an error with its line."""

    model_config = ConfigDict(frozen=True, extra="forbid")
