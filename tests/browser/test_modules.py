"""The page's pure modules, run by node's own test runner."""

import json
import os
import subprocess
from decimal import Decimal
from pathlib import Path

from actors.rules.growth import GrowthCurve
from server.config.currencies import CURRENCY_EXPONENTS
from tests.helpers.vectors import VECTORS_PATH

HERE = Path(__file__).resolve().parent
RATES = ["0.00006", "0.0001", "0.000017"]
MOMENTS = [101, 102, 110, 150, 200, 201, 333, 999, 1_000, 12_345, 100_000, 199_999, 200_000]


def server_curve() -> dict:
    curves = {rate: GrowthCurve(Decimal(rate)) for rate in RATES}
    elapsed = [*range(400), *range(400, 130_000, 331), 11_552, 11_553]
    return {
        "curve": [[float(rate), e, curve.hundredths_at(e)] for rate, curve in curves.items() for e in elapsed],
        "moments": [
            [float(rate), m, curve.reaches_at_ms(m), curve.crashes_at_ms(m)]
            for rate, curve in curves.items()
            for m in [*MOMENTS, *range(100, 300, 3)]
        ],
    }


def test_the_pure_modules_pass_their_own_tests(node, tmp_path):
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps({"growth": server_curve(), "exponents": dict(CURRENCY_EXPONENTS)}))
    environment = os.environ | {"GETAWAY_SERVER_FACTS": str(facts), "GETAWAY_VECTORS": str(VECTORS_PATH)}
    files = sorted(str(path) for path in (HERE / "unit").glob("*.test.js"))
    ran = subprocess.run(
        [node, "--test", "--test-reporter=tap", *files],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
    assert "# fail 0" in ran.stdout and "# pass 0" not in ran.stdout
