"""What `make audit` makes of a report: flaws fail it, and silence is not taken for health."""

from typing import Any

from tests.audit import judge

SOUND = {"name": "redis", "version": "5.2.0", "vulns": []}
FLAWED = {"name": "jinja2", "version": "3.1.5", "vulns": [{"id": "CVE-2025-27516", "fix_versions": ["3.1.6"]}]}
UNASKED = {"name": "yarl", "skip_reason": "Dependency not found on PyPI and could not be audited: yarl (1.25.1)"}


def report(*packages: dict[str, Any]) -> dict[str, Any]:
    return {"dependencies": list(packages), "fixes": []}


def test_a_known_flaw_fails_the_audit_and_names_the_version_that_mends_it() -> None:
    code, said = judge(report(SOUND, FLAWED, UNASKED))
    assert code == 1
    assert said[0] == "jinja2 3.1.5: CVE-2025-27516, mended in 3.1.6"
    assert "make lock" in said[1]


def test_packages_of_which_nothing_could_be_learned_are_said_not_to_be_audited() -> None:
    code, said = judge(report(SOUND, UNASKED))
    assert code == 0
    assert said[0].startswith("NOT AUDITED: 1 of 2 packages (yarl)")
    assert judge(report(SOUND)) == (0, ["None of 1 packages has a known flaw."])
