"""Policies as YAML files: read with line numbers, so that whatever is wrong is named with its line and the fix."""

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path as FilePath
from typing import Any, Final, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from models.policy.document import PolicyDocument, policy_of
from models.policy.finding import Finding, Path
from models.policy.lint import errors_of, lint
from models.policy.policy import Policy
from models.policy.stated import FactsStated
from streams.runtime.errors import UsageError
from streams.runtime.firm import firm_policy
from streams.runtime.settings import Settings
from streams.wire.topics import CHANNELS
from streams.wire.yaml_lines import YamlLineError, read_yaml

LARGEST: Final = 1_000_000
"""Characters of a policy file; a larger one is no policy."""

_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A file that could be read: its document, and the line of every part of it."""

    name: str
    document: PolicyDocument
    lines: Mapping[Path, int] = field(default_factory=dict)

    def where(self, finding: Finding) -> str:
        """Return file, line and path of a finding: `new.yaml:12: journeys.pre_renewal.steps[0].tone`."""
        return place(self.name, self.lines, finding.path)


class PolicyFileError(UsageError):
    """A policy file cannot be used. `problems` has a line each: file, line, what is wrong and the fix."""

    def __init__(self, name: str, problems: Sequence[str]) -> None:
        """Keep all problems; the message shows the first few."""
        more = [f"... and {len(problems) - _SHOWN} more: rapport policy lint {name}"] if len(problems) > _SHOWN else []
        super().__init__("\n  ".join([f"the policy {name} cannot be used:", *problems[:_SHOWN], *more]))
        self.problems = tuple(problems)


def policy_in_force(settings: Settings, file: FilePath | None = None, *, facts_stated: FactsStated | None = None) -> Policy:
    """Return the policy to decide by: of `file`, else of the setting `policy_file`, else the default; in the firm's zone.

    Raises PolicyFileError for one that lint calls wrong: a worker never starts on it.
    """
    chosen = file or settings.policy_file
    if chosen is None:
        return firm_policy(settings)
    read = read_policy_file(chosen)
    wrong = errors_of(lint(read.document, channels=CHANNELS, facts_stated=facts_stated))
    if wrong:
        raise PolicyFileError(read.name, [f"{read.where(finding)}: {finding.message}; fix: {finding.fix}" for finding in wrong])
    policy = policy_of(read.document, home_zone=settings.firm_timezone)
    return firm_policy(settings, policy, zone=policy.zone)


def default_policy_text() -> str:
    """Return the YAML file that ships with the program and says what the default policy does."""
    return (files("models.policy") / "policies" / "default.yaml").read_text(encoding="utf-8")


def read_policy_file(path: FilePath) -> PolicyFile:
    """Read a policy file; raises UsageError when there is none, PolicyFileError when it is no policy."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read the policy {path} ({error}); name a YAML file in UTF-8, for a start: rapport policy show --yaml"
        raise UsageError(message) from error
    return read_policy(text, name=str(path))


def read_policy(text: str, *, name: str) -> PolicyFile:
    """Read the text of a policy called `name`; raises PolicyFileError with every type that is wrong, and its line."""
    if len(text) > LARGEST:
        raise PolicyFileError(name, [f"{name}: longer than {LARGEST:,} characters; fix: name a policy"])
    content, lines = _parse(text, name)
    try:
        document = PolicyDocument.model_validate(content)
    except ValidationError as error:
        problems = [_problem(name, lines, detail) for detail in error.errors(include_url=False)]
        raise PolicyFileError(name, problems) from error
    return PolicyFile(name, document, lines)


def write_policy(document: PolicyDocument) -> str:
    """Return a document as YAML with every number in it."""
    content = document.model_dump(mode="json", exclude_none=True)
    hours = content["contact"]["hours"]
    hours["opens"], hours["closes"] = (f"{at:%H:%M}" for at in (document.contact.hours.opens, document.contact.hours.closes))
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    return text


def place(name: str, lines: Mapping[Path, int], path: Path) -> str:
    """Return `name`, the line of `path` or of the nearest part above it that is written, and the path itself."""
    known = next((lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in lines), 1)
    dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
    return f"{name}:{known}: {dotted}" if dotted else f"{name}:{known}"


def _parse(text: str, name: str) -> tuple[dict[str, Any], Mapping[Path, int]]:
    try:
        content, lines = read_yaml(text)
    except YamlLineError as error:
        raise PolicyFileError(name, [f"{name}:{error.line}: {error}"]) from error
    if not isinstance(content, dict):
        raise PolicyFileError(name, [f"{name}:1: a policy is a map of sections; fix: start from rapport policy show --yaml"])
    return content, lines


def _problem(name: str, lines: Mapping[Path, int], detail: ErrorDetails) -> str:
    path = tuple(part for part in detail["loc"])
    message, fix = _said(detail, path)
    return f"{place(name, lines, path)}: {message}; fix: {fix}"


def _said(detail: ErrorDetails, path: Path) -> tuple[str, str]:
    """Return what pydantic found in words for people, and the fix."""
    given = detail.get("input")
    match detail["type"]:
        case "extra_forbidden":
            known = sorted(_keys(path[:-1]))
            near = difflib.get_close_matches(str(path[-1]), known, n=1)
            return f"{path[-1]!r} is not known here", f"write {near[0]}" if near else f"use one of {', '.join(known)}"
        case "missing":
            return "is missing", f"add {path[-1]}"
        case "enum" | "literal_error":
            expected = str(detail.get("ctx", {}).get("expected", ""))
            return f"{given!r} is none of the words taken here", f"write {expected}"
        case "string_type":
            return f"{given!r} is no text", f'write it in quotes: "{given}"'
        case "string_pattern_mismatch":
            return f"{given!r} does not fit here", f"write what matches {detail.get('ctx', {}).get('pattern', '')}"
        case _:
            message = detail["msg"].removeprefix("Value error, ")
            shown = f" (got {given!r})" if isinstance(given, (str, int, float)) else ""
            return f"{message[:1].lower()}{message[1:]}{shown}", "see docs/contracts/policy.v1.schema.json"


def _keys(path: Path) -> Collection[str]:
    """Return the keys that a section at `path` may have."""
    model: type[BaseModel] | None = PolicyDocument
    for part in path:
        if isinstance(part, int) or model is None:
            continue
        model = next(iter(_models(model.model_fields[part].annotation)), None) if part in model.model_fields else None
    return model.model_fields if model is not None else ()


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
