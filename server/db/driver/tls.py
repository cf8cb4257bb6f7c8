"""TLS to the database for asyncpg, from the parameters that libpq reads by itself.

``require`` verifies nothing unless there is a root certificate, ``verify-ca`` and ``verify-full`` need one, as libpq's
documentation says of ``sslmode`` ("Protection Provided in Different Modes").
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from server.db.driver.url import home_file
from server.db.errors import DatabaseUrlError

_ALPN: Final = "postgresql"
_VERSIONS: Final = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


def tls_of(parameters: Mapping[str, str]) -> ssl.SSLContext | str:
    """Asyncpg's ``ssl``: a context, or the mode's name where nothing is verified.

    Raises ``DatabaseUrlError`` if a file is missing or no good.
    """
    mode = parameters.get("sslmode", "prefer")
    if mode in {"disable", "allow", "prefer"}:
        return mode
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([_ALPN])
    context.minimum_version = _VERSIONS[parameters.get("ssl_min_protocol_version", "TLSv1.2")]
    if "ssl_max_protocol_version" in parameters:
        context.maximum_version = _VERSIONS[parameters["ssl_max_protocol_version"]]
    try:
        _verify(context, mode, parameters)
        _show_certificate(context, parameters)
    except DatabaseUrlError:  # a ValueError, but ours: it says what is missing
        raise
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        said = (getattr(error, "strerror", None) or type(error).__name__).splitlines()[0]
        raise DatabaseUrlError(f"a TLS file of its URL can't be used: {said}") from None
    return context


def _verify(context: ssl.SSLContext, mode: str, parameters: Mapping[str, str]) -> None:
    root = parameters.get("sslrootcert") or _in_home("root.crt")
    if root is None:
        if mode != "require":
            raise DatabaseUrlError(f"its URL has sslmode={mode}, which needs sslrootcert (a file, or system)")
        return
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = mode == "verify-full"
    context.load_verify_locations(cafile=root)
    revoked = parameters.get("sslcrl") or _in_home("root.crl")
    if revoked is not None:
        context.load_verify_locations(cafile=revoked)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN


def _show_certificate(context: ssl.SSLContext, parameters: Mapping[str, str]) -> None:
    certificate = parameters.get("sslcert") or _in_home("postgresql.crt")
    if certificate is None or not Path(certificate).is_file():
        return  # as libpq does: the server says if it wants one
    key = parameters.get("sslkey") or _in_home("postgresql.key")
    password = parameters.get("sslpassword", "")
    context.load_cert_chain(certificate, keyfile=key, password=lambda: password)


def _in_home(name: str) -> str | None:
    path = home_file(name)
    return None if path is None else str(path)
