import pytest

from server.secrets.signing import sign, string_to_sign
from tests.helpers import independent_signer, vectors

VECTORS = vectors.VECTORS["signatures"]


def test_there_are_vectors():
    assert len(VECTORS) >= 5


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["target"] for vector in VECTORS])
def test_both_signers_agree_with_the_published_vectors(vector):
    body = vector["body"].encode()
    text = string_to_sign(vector["timestamp"], vector["method"], vector["target"], body)
    assert text == vector["string_to_sign"]
    assert sign(vector["hmac_secret"], text) == vector["signature"]
    request = vector["timestamp"], vector["method"], vector["target"], body
    assert independent_signer.text_to_sign(*request) == vector["string_to_sign"]
    assert independent_signer.signature(vector["hmac_secret"], *request) == vector["signature"]


def test_secrets_of_any_text_are_keys_in_utf8():
    for secret in ("é€", "x" * 64, "x" * 65, "long " * 50):
        text = string_to_sign("1782864000", "POST", "/x", b"body")
        expected = independent_signer.signature(secret, "1782864000", "POST", "/x", b"body")
        assert sign(secret, text) == expected
