"""Options that several commands have, each with one meaning and one sentence of help."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter

from models.events.envelope import epoch_ms

Format: TypeAlias = Literal["jsonl", "csv"]

Author: TypeAlias = Annotated[str | None, Parameter(help="Who decides this; default: the account this runs under.")]
AgainstOption: TypeAlias = Annotated[
    Path | None, Parameter(help="The policy it is held against; default: RAPPORT_POLICY_FILE, else the shipped policy.")
]
BookOption: TypeAlias = Annotated[
    Path | None, Parameter(help="The history to live through: jsonl, or a receivables CSV; or --live.")
]
FormOption: TypeAlias = Annotated[
    Format | None, Parameter(name="--format", help="jsonl or csv; default: by the name of the file.")
]
JsonOption: TypeAlias = Annotated[bool, Parameter(name="--json", negative=(), help="One JSON document, for programs.")]
LiveOption: TypeAlias = Annotated[
    bool, Parameter(name="--live", negative=(), help="The history of the running deployment, in the place of a file.")
]
MetricsPortOption: TypeAlias = Annotated[
    int | None, Parameter(help="Port of /metrics and /health on loopback; 0: none; default: RAPPORT_METRICS_PORT.")
]
PolicyOption: TypeAlias = Annotated[
    Path | None, Parameter(name="--policy", help="The policy file; default: RAPPORT_POLICY_FILE, else the shipped policy.")
]
ReportOption: TypeAlias = Annotated[Path | None, Parameter(help="Write the report as a page (HTML) here.")]
SampleOption: TypeAlias = Annotated[
    int | None,
    Parameter(name="--sample", help="Live so many clients only, drawn by their names, and say what that means for all of them."),
]
TemplatesOption: TypeAlias = Annotated[
    Path | None,
    Parameter(name="--templates", help="Folder of the firm's own templates; default: RAPPORT_TEMPLATES, else ours only."),
]


def end_of_day_ms(moment: datetime) -> int:
    """Return the moment in epoch ms; a day without an hour is meant up to its end, one without a zone is in UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment.hour == moment.minute == moment.second == 0:
        moment = moment.replace(hour=23, minute=59, second=59)
    return epoch_ms(moment)
