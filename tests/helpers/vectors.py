"""The customer's test vectors: a copy, so that a clone of this repository alone can run its tests."""

import json
from pathlib import Path

VECTORS_PATH = Path(__file__).resolve().parents[1] / "data" / "vectors.json"
ORIGINAL_PATH = Path(__file__).resolve().parents[3] / "shared" / "spec" / "vectors.json"
VECTORS = json.loads(VECTORS_PATH.read_text(encoding="utf-8"))
