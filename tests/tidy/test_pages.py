"""What is written down a second time, for people or for browsers, is the same as in the code."""

import re
from pathlib import Path
from typing import get_args

import pytest

from actors.facts.frames_in import ClientIn, FrameError, parse_frame
from actors.facts.frames_out import ClientOut, Frame
from server.config.currencies import CURRENCY_EXPONENTS

ROOT = Path(__file__).resolve().parents[2]
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
RECEIVED, SENT = PROTOCOL.split("\n## Server to client\n")


def rows(chapter: str) -> dict[str, str]:
    """The first table's rows, by the name that each begins with."""
    table = chapter[chapter.index("\n| ---") :].partition("\n\n")[0]
    return dict(re.findall(r"^\| `(\w+)` \|(.*)$", table, re.MULTILINE))


def test_the_protocols_page_has_every_frame_that_players_send():
    with pytest.raises(FrameError) as refusal:
        parse_frame(b'{"type":"no such"}')
    known = re.findall(r"\w+", refusal.value.message.partition("one of")[2])
    assert list(rows(RECEIVED[RECEIVED.index("\n## Client to server\n") :])) == known
    assert len(known) == len(get_args(ClientIn))


def test_the_protocols_page_has_every_frame_that_players_are_sent_and_its_fields():
    said = rows(SENT)
    sent = {frame.__struct_config__.tag: frame for frame in get_args(ClientOut)}
    assert said.keys() == sent.keys()
    own = {
        tag: [name for name in frame.__struct_fields__ if name not in {*Frame.__struct_fields__, *parents(frame)}]
        for tag, frame in sent.items()
    }
    assert [f"{tag}.{name}" for tag, names in own.items() for name in names if f"`{name}" not in said[tag]] == []


def parents(frame: type[Frame]) -> set[str]:
    """The fields that a frame has from another: the page says that it has those of a history entry, too."""
    return {name for base in frame.__bases__ for name in getattr(base, "__struct_fields__", ())}


def test_the_player_page_knows_the_decimals_of_every_currency():
    script = (ROOT / "static" / "money.js").read_text(encoding="utf-8")
    special = {
        code: int(exponent)
        for exponent, codes in re.findall(r"^  \[(\d), \"(.+)\"\],$", script, re.M)
        for code in codes.split()
    }
    usual = int(re.search(r"USUAL_EXPONENT = (\d);", script)[1])
    assert {code: special.get(code, usual) for code in CURRENCY_EXPONENTS} == CURRENCY_EXPONENTS
    assert special.keys() <= CURRENCY_EXPONENTS.keys()


def test_the_languages_are_those_of_the_messages():
    (listed,) = re.findall(r"^export const LANGUAGES = \[(.+)\];$", (ROOT / "static" / "words.js").read_text(), re.M)
    files = {path.stem for path in (ROOT / "static" / "messages").glob("*.json")}
    assert set(re.findall(r"\w+", listed)) == files
