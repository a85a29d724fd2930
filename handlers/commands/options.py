"""Options that several commands have, each with one meaning and one sentence of help."""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter

Format: TypeAlias = Literal["jsonl", "csv"]

Author: TypeAlias = Annotated[str | None, Parameter(help="Who decides this; default: the account this runs under.")]
FormOption: TypeAlias = Annotated[
    Format | None, Parameter(name="--format", help="jsonl or csv; default: by the name of the file.")
]
JsonOption: TypeAlias = Annotated[bool, Parameter(name="--json", negative=(), help="One JSON document, for programs.")]
PolicyOption: TypeAlias = Annotated[
    Path | None, Parameter(name="--policy", help="The policy file; default: RAPPORT_POLICY_FILE, else the shipped policy.")
]
