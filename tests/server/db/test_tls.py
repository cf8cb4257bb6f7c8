"""TLS to the database: what each ``sslmode`` finds out about who answers."""

import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from server.db.driver.tls import tls_of
from tests.helpers.certificates import make_certificate


@pytest.fixture(autouse=True)
def no_files_at_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def server(tmp_path):
    """A server's side, whose certificate is of localhost."""
    make_certificate(tmp_path / "server.crt", tmp_path / "server.key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    return context


def shake_hands(ours: ssl.SSLContext, server: ssl.SSLContext, name: str) -> ssl.SSLObject:
    """Our side after the handshake with whom we call ``name``. Raises ``ssl.SSLError``."""
    to_us, to_them = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        ours.wrap_bio(to_us, to_them, server_hostname=name),
        server.wrap_bio(to_them, to_us, server_side=True),
    ]
    for _ in range(4):
        for side in sides:
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    assert sides[0].version() is not None
    return sides[0]


@pytest.mark.parametrize(
    ("mode", "has_root", "name", "is_let_in"),
    [
        ("verify-full", True, "localhost", True),
        ("verify-full", True, "db.internal", False),
        ("verify-ca", True, "db.internal", True),
        ("require", True, "db.internal", True),
        ("require", False, "db.internal", True),
    ],
)
def test_a_name_is_verified_only_in_full(tmp_path, server, mode, has_root, name, is_let_in):
    root = {"sslrootcert": str(tmp_path / "server.crt")} if has_root else {}
    ours = tls_of({"sslmode": mode, **root})
    if is_let_in:
        shake_hands(ours, server, name)
    else:
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            shake_hands(ours, server, name)


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_whoever_has_a_root_certificate_believes_no_other(tmp_path, server, mode):
    make_certificate(tmp_path / "other.crt", tmp_path / "other.key")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tls_of({"sslmode": mode, "sslrootcert": str(tmp_path / "other.crt")}), server, "localhost")


@pytest.mark.parametrize("is_revoked", [False, True])
def test_a_certificate_that_was_revoked_is_refused(tmp_path, server, is_revoked):
    certificate = x509.load_pem_x509_certificate((tmp_path / "server.crt").read_bytes())
    key = serialization.load_pem_private_key((tmp_path / "server.key").read_bytes(), None)
    now = datetime.now(UTC)
    revoked = x509.RevokedCertificateBuilder(certificate.serial_number if is_revoked else 2, now).build()
    told = (
        x509.CertificateRevocationListBuilder(certificate.subject, now, now + timedelta(days=1))
        .add_revoked_certificate(revoked)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "revoked.crl").write_bytes(told.public_bytes(serialization.Encoding.PEM))
    files = {"sslrootcert": str(tmp_path / "server.crt"), "sslcrl": str(tmp_path / "revoked.crl")}
    ours = tls_of({"sslmode": "verify-full", **files})
    if not is_revoked:
        shake_hands(ours, server, "localhost")
        return
    with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
        shake_hands(ours, server, "localhost")


def test_versions_are_12_and_newer_unless_the_url_says_otherwise():
    assert tls_of({"sslmode": "require"}).minimum_version is ssl.TLSVersion.TLSv1_2
    told = tls_of({"sslmode": "require", "ssl_min_protocol_version": "TLSv1.3", "ssl_max_protocol_version": "TLSv1.3"})
    assert (told.minimum_version, told.maximum_version) == (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3)


def test_our_own_certificate_is_shown_to_a_server_that_asks_for_it(tmp_path, server):
    make_certificate(tmp_path / "ours.crt", tmp_path / "ours.key")
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(tmp_path / "ours.crt")
    files = {"sslcert": str(tmp_path / "ours.crt"), "sslkey": str(tmp_path / "ours.key")}
    shake_hands(tls_of({"sslmode": "require", **files}), server, "localhost")
    with pytest.raises(ssl.SSLError):
        shake_hands(tls_of({"sslmode": "require"}), server, "localhost")
