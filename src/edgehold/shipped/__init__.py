"""Files that come with the package, each named by path and digest in a module of its own."""

from pathlib import Path
from typing import Final

COHORT_FILE: Final = Path(__file__).parent / "cohort" / "synthea_400_ma.ndjson.zst"
"""400 synthetic people, one FHIR R4 bundle a line; origin and licence in the README beside it."""
