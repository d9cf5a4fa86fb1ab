"""Refuse a test run whose branch coverage fell: 100 % on the rules of the project, 95 % overall."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

FLOORS = {
    "src/edgehold/ledger/": 100.0,
    "src/edgehold/verify/": 100.0,
    "src/edgehold/policy/": 100.0,
    "src/edgehold/": 95.0,
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        subprocess.run([sys.executable, "-m", "coverage", "json", "--quiet", "-o", str(report)], check=True)
        files = json.loads(report.read_text())["files"]
    low = False
    for prefix, floor in FLOORS.items():
        summaries = [entry["summary"] for name, entry in files.items() if name.startswith(prefix)]
        if not summaries:
            sys.exit(f"coverage: nothing was measured under {prefix}")
        total = sum(summary["num_statements"] + summary["num_branches"] for summary in summaries)
        covered = sum(summary["covered_lines"] + summary["covered_branches"] for summary in summaries)
        share = 100 * covered / total
        print(f"coverage {prefix:<22} {share:6.2f} % of lines and branches (floor {floor:g} %)")
        if covered < total and share < floor:
            low = True
            for name, entry in sorted(files.items()):
                summary = entry["summary"]
                if name.startswith(prefix) and summary["percent_covered"] < floor:
                    lines = entry["missing_lines"][:12]
                    branches = entry["missing_branches"][:6]
                    print(f"    {name}: {summary['percent_covered']:.1f} %, lines {lines}, branches {branches}")
    sys.exit(1 if low else 0)


if __name__ == "__main__":
    main()
