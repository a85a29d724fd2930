"""`python -m tests.readme`: make the generated parts of README.md anew."""

from tests.readme.parts import README, renewed

README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8")
