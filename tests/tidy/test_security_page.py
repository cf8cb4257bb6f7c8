"""The security page points to tests that are there, and goes through every chapter."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
REFERENCES = sorted(set(re.findall(r"`(tests/[A-Za-z0-9_/.]+)(?:::([a-z0-9_]+))?`", PAGE)))
CHAPTERS = range(1, 18)
ANSWERS = {"met", "not met", "**not met**", "partly", "yours", "n/a"}


def test_every_test_that_is_named_is_there():
    assert len(REFERENCES) > 60
    missing = []
    for path, name in REFERENCES:
        file = ROOT / path
        if not file.exists() or (name and not re.search(rf"^(async )?def {name}\(", file.read_text("utf-8"), re.M)):
            missing.append(f"{path}::{name}")
    assert missing == []


def test_every_chapter_is_gone_through():
    headings = " ".join(line for line in PAGE.splitlines() if line.startswith("## "))
    assert [chapter for chapter in CHAPTERS if not re.search(rf"\bV{chapter}\b", headings)] == []


def test_every_requirement_has_one_answer():
    answered: list[str] = []
    for line in PAGE.splitlines():
        row = re.match(r"\| ((?:\d+\.\d+\.[\d*]+)[^|]*) \| ([^|]+) \|", line)
        if row is None:
            continue
        assert row[2].strip() in ANSWERS, line
        answered += re.findall(r"\d+\.\d+\.\d+", row[1])
    assert len(answered) > 150
    assert sorted({each for each in answered if answered.count(each) > 1}) == []
