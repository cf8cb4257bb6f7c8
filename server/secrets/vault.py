"""Sealing what must not lie in the database in plain: unrevealed server seeds and operators' secrets.

AES-256-GCM with a random 96-bit nonce in front of the ciphertext. The context is authenticated with it, so that a
sealed value moved to another row does not open.
"""

import base64
import binascii
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server.secrets.row_macs import RowMacs

KEY_BYTES = 32
KEY_VARIABLE = "GETAWAY_MASTER_KEY"
KEY_FILE = "master.key"
KEY_PLACES = f"{KEY_VARIABLE}, or {KEY_FILE} in [database] data_dir"
"""Where a wrong master key is to be corrected, for errors."""
_NONCE_BYTES = 12


class VaultError(Exception):
    """A sealed value does not open: another master key, another place, or damage."""


class MasterKeyError(Exception):
    """The master key is missing or unusable; the text is one line for a person and never the key."""


class Vault:
    """Seals and opens with one master key, and makes the codes of rows with another one that is derived from it."""

    def __init__(self, master_key: bytes) -> None:
        assert len(master_key) == KEY_BYTES
        self._cipher = AESGCM(master_key)
        self.macs = RowMacs(master_key)
        derived = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"getaway/address-digest/v1")
        self.address_key = derived.derive(master_key)
        """For digests of addresses: equal on all nodes, since the master key is."""

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """``plaintext`` sealed for one place, named by ``context``."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plaintext, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """What was sealed for this place. Raises ``VaultError``."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError):
            raise VaultError(
                f"a sealed value does not open: is this the master key it was sealed with? It is {KEY_PLACES}"
            ) from None


def load_master_key(environ: Mapping[str, str], data_dir: Path, *, may_create: bool) -> bytes:
    """The 32 bytes in ``GETAWAY_MASTER_KEY`` (base64), or in ``data_dir/master.key``, made if ``may_create``.

    Raises ``MasterKeyError``.
    """
    text = environ.get(KEY_VARIABLE)
    if text is not None:
        return _decode(text, KEY_VARIABLE)
    path = data_dir / KEY_FILE
    try:
        if may_create:
            _create(path)
        mode = path.stat().st_mode & 0o777
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        raise MasterKeyError(f"set {KEY_VARIABLE} to 32 random bytes in base64 (there is no {path})") from None
    except (OSError, ValueError) as error:
        # The error of a text that is no ASCII holds the text.
        raise MasterKeyError(f"{path} can't be read: {type(error).__name__}") from None
    if mode != 0o600:
        raise MasterKeyError(f"{path} must have the mode 0600, and has {mode:04o}: chmod 600 it")
    return _decode(text, str(path))


def _decode(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise MasterKeyError(f"{where} must be 32 bytes in base64")
    return key


def _create(path: Path) -> None:
    """Make the key file unless it is there; of several processes at once, one makes it and all read that one."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    # Nothing sealed may outlive the key: the name, too, must be on the disk before the first use.
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
