"""Sealing, and where the master key comes from."""

import base64
import os
import stat
from pathlib import Path
from uuid import UUID

import pytest

from actors.facts.records import Commitment
from actors.rules import fairness
from server.db.stores.rows import commitment, seal_seed
from server.secrets.vault import KEY_FILE, KEY_VARIABLE, MasterKeyError, Vault, VaultError, load_master_key

KEY = bytes(range(32))


def one_line(error) -> str:
    text = str(error.value)
    assert len(text.splitlines()) == 1
    for form in (KEY.hex(), base64.b64encode(KEY).decode(), repr(KEY)):
        assert form not in text
    assert error.value.__cause__ is None, "a cause could hold the key"
    return text


def test_what_is_sealed_opens_in_its_place_only():
    vault = Vault(KEY)
    sealed = vault.seal(b"the seed", b"round 1")
    assert vault.open(sealed, b"round 1") == b"the seed"
    with pytest.raises(VaultError):
        vault.open(sealed, b"round 2")


@pytest.mark.parametrize("moved", [{}, {"session_id": UUID(int=2)}, {"nonce": 4}, {"server_seed_hash": "0" * 64}])
def test_a_promise_opens_for_the_round_that_it_was_made_for(moved):
    """Or a seed that was revealed elsewhere could be promised again."""
    vault, seed, row = Vault(KEY), "ab" * 32, {"session_id": UUID(int=1), "nonce": 3, "client_seed": "player"}
    row["server_seed_sealed"] = seal_seed(vault, seed, row["session_id"], row["nonce"])
    row["server_seed_hash"] = fairness.commitment(seed)
    if moved:
        with pytest.raises(VaultError):
            commitment(vault, row | moved)
    else:
        assert commitment(vault, row) == Commitment(seed, fairness.commitment(seed), "player", 3)


def test_sealing_twice_looks_different():
    vault = Vault(KEY)
    assert vault.seal(b"the seed", b"") != vault.seal(b"the seed", b"")


@pytest.mark.parametrize(
    "damage",
    [
        lambda sealed: sealed[:-1],
        lambda sealed: b"",
        lambda sealed: bytes([sealed[0] ^ 1]) + sealed[1:],
        lambda sealed: sealed[:5],
    ],
)
def test_damage_is_found(damage):
    vault = Vault(KEY)
    with pytest.raises(VaultError) as caught:
        vault.open(damage(vault.seal(b"the seed", b"")), b"")
    assert "the seed" not in one_line(caught)


def test_another_key_opens_nothing():
    with pytest.raises(VaultError) as caught:
        Vault(bytes(32)).open(Vault(KEY).seal(b"the seed", b""), b"")
    assert "master key" in one_line(caught)


def test_the_variable_comes_before_the_file(tmp_path):
    environ = {KEY_VARIABLE: base64.b64encode(KEY).decode() + "\n"}
    assert load_master_key(environ, tmp_path, may_create=True) == KEY
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    ["", "not base64!", base64.b64encode(KEY[:31]).decode(), base64.b64encode(KEY).decode()[:-3], KEY.hex(), "ключ"],
)
def test_a_variable_that_is_no_key_is_refused(tmp_path, text):
    with pytest.raises(MasterKeyError) as caught:
        load_master_key({KEY_VARIABLE: text}, tmp_path, may_create=True)
    message = one_line(caught)
    assert KEY_VARIABLE in message
    assert not text or text not in message


def test_a_key_is_made_once_for_its_owner_only(tmp_path):
    data_dir = tmp_path / "new" / "folder"
    key = load_master_key({}, data_dir, may_create=True)
    assert len(key) == 32
    path = data_dir / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_master_key({}, data_dir, may_create=True) == key
    assert load_master_key({}, data_dir, may_create=False) == key
    assert [entry.name for entry in data_dir.iterdir()] == [KEY_FILE], "no draft is left"


def test_a_key_and_its_name_are_on_the_disk_before_its_first_use(tmp_path, monkeypatch):
    written, fsync = [], os.fsync

    def sync(descriptor):
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        written.append("folder" if is_folder else Path(f"/proc/self/fd/{descriptor}").read_bytes())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    key = load_master_key({}, tmp_path, may_create=True)
    assert written == [base64.b64encode(key) + b"\n", "folder"]


def test_a_missing_key_names_the_variable_and_the_file(tmp_path):
    with pytest.raises(MasterKeyError) as caught:
        load_master_key({}, tmp_path, may_create=False)
    assert KEY_VARIABLE in one_line(caught) and KEY_FILE in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o400, 0o700])
def test_a_key_that_others_could_read_is_refused(tmp_path, mode):
    path = tmp_path / KEY_FILE
    path.write_bytes(base64.b64encode(KEY))
    path.chmod(mode)
    with pytest.raises(MasterKeyError) as caught:
        load_master_key({}, tmp_path, may_create=True)
    assert f"{mode:04o}" in one_line(caught)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", KEY, base64.b64encode(KEY + KEY)])
def test_a_damaged_key_file_is_refused_and_kept(tmp_path, content):
    path = tmp_path / KEY_FILE
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(MasterKeyError) as caught:
        load_master_key({}, tmp_path, may_create=True)
    assert KEY_FILE in one_line(caught)
    assert path.read_bytes() == content


def test_a_folder_that_can_not_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MasterKeyError) as caught:
        load_master_key({}, tmp_path / "file" / "data", may_create=True)
    one_line(caught)


def test_of_two_makers_the_first_name_stays(tmp_path):
    """A draft that another process linked first: its key is the one."""
    first = load_master_key({}, tmp_path, may_create=True)
    os.link(tmp_path / KEY_FILE, tmp_path / "elsewhere")
    assert load_master_key({}, Path(tmp_path), may_create=True) == first
