"""`make audit`: what pip-audit said of the packages that we ship, judged. What could not be asked is never taken for sound."""

import json
import sys
from pathlib import Path
from typing import Any


def judge(report: dict[str, Any]) -> tuple[int, list[str]]:
    """Return the exit code and what to say of a report of pip-audit (JSON): 1 with known flaws, 0 otherwise, also unasked."""
    packages = report["dependencies"]
    unasked = [package["name"] for package in packages if "skip_reason" in package]
    said = [
        f"{package['name']} {package['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'no version yet'}"
        for package in packages
        for flaw in package.get("vulns", ())
    ]
    if said:
        said.append("Fix: raise these in pyproject.toml, then make lock.")
    if unasked:
        some = f"{', '.join(unasked[:3])} ..." if len(unasked) > 3 else ", ".join(unasked)
        said.append(
            f"NOT AUDITED: {len(unasked)} of {len(packages)} packages ({some}): the index here tells nothing of known flaws."
            " Run it where pypi.org answers."
        )
    elif not said:
        said.append(f"None of {len(packages)} packages has a known flaw.")
    return int(any(package.get("vulns") for package in packages)), said


def main() -> int:
    """Judge the report in the file named; a missing or empty one means that nobody could be asked."""
    file = Path(sys.argv[1])
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        sys.stdout.write("NOT AUDITED: pip-audit could not run, see above. Run it where a package index and pypi.org answer.\n")
        return 0
    code, said = judge(report)
    sys.stdout.writelines(f"{line}\n" for line in said)
    return code


if __name__ == "__main__":
    sys.exit(main())
