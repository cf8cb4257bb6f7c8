"""The file that says how far a node had got: read as it was written, and never in the way."""

import stat
from pathlib import Path

import pytest
import trio

from server.process.high_water import HighWater, Mark

MARK = Mark("5a0b", 17, 1_700_000_000_123)


def test_what_was_written_is_read_by_the_next_process(tmp_path):
    HighWater(tmp_path / "new", "node-a").write(MARK)
    assert HighWater(tmp_path / "new", "node-a").read() == MARK
    assert HighWater(tmp_path / "new", "node-b").read() is None


def test_a_name_leads_nowhere_else(tmp_path):
    folder = tmp_path / "data"
    for name in ("../out", "a/b", "..", "é"):
        HighWater(folder, name).write(MARK)
        assert HighWater(folder, name).read() == MARK
    assert len(list(folder.iterdir())) == 4
    assert [each.name for each in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff", b'{"history_id": "a", "epoch": "x", "beat_ms": 1}']
)
def test_a_file_that_makes_no_sense_is_none(tmp_path, caplog, content):
    water = HighWater(tmp_path, "node-a")
    water.write(MARK)
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    assert water.read() is None
    assert "can't be read" in caplog.text


def test_where_nothing_can_be_written_the_log_says_so_once(tmp_path, caplog):
    (tmp_path / "file").touch()
    water = HighWater(tmp_path / "file" / "data", "node-a")
    for beat_ms in (1, 2):
        water.write(Mark("a", 1, beat_ms))
    assert caplog.text.count("no high-water mark is kept") == 1


def test_a_disk_that_is_full_leaves_the_mark_of_before(tmp_path, monkeypatch):
    """Half a mark would be none, and a database put back while nothing runs would go unnoticed."""
    water = HighWater(tmp_path, "node-a")
    water.write(MARK)
    write = Path.write_text

    def write_half(path, text, **options):
        write(path, text[: len(text) // 2], **options)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(Path, "write_text", write_half)
        water.write(Mark("5a0b", 17, MARK.beat_ms + 1))
    assert HighWater(tmp_path, "node-a").read() == MARK
    later = Mark("5a0b", 17, MARK.beat_ms + 2)
    water.write(later)
    assert HighWater(tmp_path, "node-a").read() == later, "once there is room again it is written as before"


def test_a_folder_that_is_made_for_it_is_nobody_elses(tmp_path):
    HighWater(tmp_path / "data", "node-a").write(MARK)
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


async def at_once(work, *arguments):
    return work(*arguments)


async def test_it_is_kept_while_the_node_runs_and_once_more_in_the_end(tmp_path, autojump_clock, monkeypatch):
    """Written by a thread, which would not keep to the simulated time."""
    monkeypatch.setattr(trio.to_thread, "run_sync", at_once)
    water, beats = HighWater(tmp_path, "node-a"), [None, Mark("a", 1, 1), Mark("a", 1, 2)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(water.keep, lambda: beats[0])
        await trio.sleep(1.5)
        assert water.read() is None
        beats.pop(0)
        await trio.sleep(1)
        assert water.read() == Mark("a", 1, 1)
        beats.pop(0)
        nursery.cancel_scope.cancel()
    assert water.read() == Mark("a", 1, 2)
