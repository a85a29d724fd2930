"""`python -m tests.readme`: make the generated parts of README.md and docs/learning.md anew."""

from tests.readme.parts import PARTS, renewed

for document in PARTS:
    document.write_text(renewed(document), encoding="utf-8")
