"""YAML with the line of every part. YAML 1.2 without its predecessor's surprises: `NO` is a country, `18:00` is not 1080.

Only plain values, lists and maps: no tags, no anchors, no repeated keys, so that a file says what it seems to say.
"""

import re
from typing import Any, Final, TypeAlias

import yaml

Path: TypeAlias = tuple[str | int, ...]

_INT: Final = "tag:yaml.org,2002:int"
_FLOAT: Final = "tag:yaml.org,2002:float"
_BOOL: Final = "tag:yaml.org,2002:bool"
_NULL: Final = "tag:yaml.org,2002:null"
_TEXT: Final = "tag:yaml.org,2002:str"


class YamlLineError(ValueError):
    """The text cannot be read; `line` counts from one."""

    def __init__(self, line: int, message: str) -> None:
        """Say what is wrong and where."""
        super().__init__(message)
        self.line = line


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's own attribute)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise YamlLineError(self.line + 1, "anchors and aliases are not taken; write it out")
        return super().compose_node(parent, index)


_Loader.add_implicit_resolver(_NULL, re.compile(r"^(?:~|null|)$"), ["~", "n", ""])
_Loader.add_implicit_resolver(_BOOL, re.compile(r"^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver(_INT, re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    _FLOAT, re.compile(r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$"), list("-+.0123456789")
)


def read_yaml(text: str) -> tuple[Any, dict[Path, int]]:
    """Return the content of one YAML document and the line of each of its parts; raises YamlLineError."""
    lines: dict[Path, int] = {}
    try:
        node = yaml.compose(text, Loader=_Loader)
        return (None if node is None else _value(node, (), lines)), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlLineError(mark.line + 1 if mark else 1, f"this is no YAML: {_flaw(error)}") from error
    except yaml.YAMLError as error:
        raise YamlLineError(1, f"this is no YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise YamlLineError(1, "nested too deeply") from error


def _flaw(error: yaml.MarkedYAMLError) -> str:
    """Return what was met, the fix where it is known, and where the part begins that does not end as it should."""
    said, begins, met = error.problem or error.context or "", error.context_mark, error.problem_mark
    if "'\\t'" in said:
        return f"{said}; fix: indent with blanks"
    if begins is None or met is None or begins.line == met.line:
        return said
    return f"{said}; fix: see whether what begins on line {begins.line + 1} is closed and indented as it should be"


def _value(node: yaml.Node, path: Path, lines: dict[Path, int]) -> Any:  # noqa: ANN401 (any YAML value)
    line = node.start_mark.line + 1
    lines.setdefault(path, line)
    match node:
        case yaml.MappingNode():
            found: dict[str, Any] = {}
            for key, value in node.value:
                at = key.start_mark.line + 1
                if not isinstance(key, yaml.ScalarNode):
                    raise YamlLineError(at, "a key must be a word")
                if key.value in found:
                    before = lines[*path, key.value]
                    raise YamlLineError(at, f"{key.value!r} is there twice; fix: leave out this one or that on line {before}")
                lines[*path, key.value] = at
                found[key.value] = _value(value, (*path, key.value), lines)
            return found
        case yaml.SequenceNode():
            return [_value(item, (*path, index), lines) for index, item in enumerate(node.value)]
        case _:
            return _scalar(node.tag, str(node.value), line)


def _scalar(tag: str, text: str, line: int) -> object:
    match tag:
        case t if t == _TEXT:
            return text
        case t if t == _NULL:
            return None
        case t if t == _BOOL:
            return text == "true"
        case t if t == _INT:
            return int(text) if len(text) <= 20 else text  # noqa: PLR2004 (longer than any number of a policy)
        case t if t == _FLOAT:
            return float(text)
        case _:
            raise YamlLineError(line, f"the tag {tag} is not taken; write a plain value")
