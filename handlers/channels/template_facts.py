"""Which facts a message template states, found in the template itself: lint holds them against what its purpose allows."""

from functools import lru_cache
from typing import Final

from jinja2 import Environment, PackageLoader, TemplateNotFound, meta, nodes

from handlers.channels.content import template_name
from handlers.channels.phrases import ENGLISH, PHRASES
from models.policy.facts import ALLOWED_FACTS
from models.policy.stated import Stated
from models.triggers import Journey, Tone

_FACTS: Final = frozenset().union(*ALLOWED_FACTS.values())


def facts_stated(journey: Journey, step: str, tone: Tone) -> Stated | None:
    """Return the facts that the template of a step states in any language, with its includes; None where there is no template."""
    names: frozenset[str] = frozenset()
    untranslated: list[str] = []
    for language in PHRASES:
        try:
            names |= _variables(template_name(journey, step, tone, language=language))
        except TemplateNotFound:
            if language == ENGLISH:
                return None
            untranslated.append(language)
    return Stated(names & _FACTS, tuple(untranslated))


@lru_cache(maxsize=256)
def _variables(name: str) -> frozenset[str]:
    environment = _environment()
    if environment.loader is None:
        raise TemplateNotFound(name)
    source, _, _ = environment.loader.get_source(environment, name)
    tree = environment.parse(source)
    included = [other for other in meta.find_referenced_templates(tree) if other is not None]
    read = (node.name for node in tree.find_all(nodes.Name) if node.ctx == "load")
    return frozenset(read).union(*(_variables(other) for other in included))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    # Templates are only read here, never rendered; filters need not exist to be parsed.
    return Environment(loader=PackageLoader("handlers.channels"), autoescape=True)
