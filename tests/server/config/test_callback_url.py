import pytest

from server.config.callback_url import callback_url_error

GOOD = [
    "https://wallet.example",
    "https://wallet.example/",
    "https://wallet.example:8443/a/b",
    "https://wallet.example/a%2Fb/~x",
    "https://10.0.0.7/wallet",
    "https://[2001:db8::1]/wallet",
    "https://xn--mnchen-3ya.example/wallet",
    "https://wallet.example/a/b;c=1,2/@me",
]
LOOPBACK = ["http://127.0.0.1:8090/wallet", "http://localhost:1/", "http://[::1]:9/w", "http://127.9.9.9"]
BAD = [
    ("", "1 to 2048"),
    ("https://wallet.example/" + "a" * 2048, "1 to 2048"),
    ("ftp://wallet.example", "https://"),
    ("wallet.example/bet", "https://"),
    ("//wallet.example", "https://"),
    ("https:///wallet", "host"),
    ("https://", "host"),
    ("https://:443/", "host"),
    ("https://a..b/", "host"),
    ("https://exa_mple*/", "host"),
    ("https://999.1.1.1/", "host"),
    ("https://2130706433/", "host"),
    ("https://wallet.7/", "host"),
    ("https://0x7f000001/", "host"),
    ("https://127.0.0x1/", "host"),
    ("https://0177.0.0.1/", "host"),
    ("https://0x/", "host"),
    ("https://[fe80::1%25eth0]/", "host"),
    ("https://[fe80::1%eth0]/", "host"),
    ("https://user@wallet.example", "user info"),
    ("https://user:secret@wallet.example", "user info"),
    ("https://@wallet.example", "user info"),
    ("https://wallet.example?x=1", "query"),
    ("https://wallet.example/?", "query"),
    ("https://wallet.example/#top", "fragment"),
    ("https://wallet.example/a#", "fragment"),
    ("https://wallet.example:0/", "port"),
    ("https://wallet.example:/", "port"),
    ("https://wallet.example:70000/", "valid URL"),
    ("https://wallet.example:x/", "valid URL"),
    ("https://[::1/", "valid URL"),
    ("https://wallet.example/a b", "printable ASCII"),
    ("https://wallet.example/\r\nX: y", "printable ASCII"),
    ("https://münchen.example/", "printable ASCII"),
    ("https://wallet.example\\@evil.example/", "backslash"),
    ("https://wallet.example/%zz", "percent-encoded"),
    ('https://wallet.example/"', "percent-encoded"),
    ("https://wallet.example/a/../b", "in its path"),
    ("https://wallet.example/./b", "in its path"),
    ("http://wallet.example/", "https"),
    ("http://10.0.0.7/", "https"),
    ("http://localhost.evil.example/", "https"),
    ("http://0.0.0.0/", "https"),
]


@pytest.mark.parametrize("url", GOOD)
@pytest.mark.parametrize("allow_insecure", [False, True])
def test_https_is_accepted(url, allow_insecure):
    assert callback_url_error(url, allow_insecure) is None


@pytest.mark.parametrize("url", LOOPBACK)
def test_plain_http_is_for_loopback_and_only_when_allowed(url):
    assert callback_url_error(url, True) is None
    assert "https" in (callback_url_error(url, False) or "")


@pytest.mark.parametrize(("url", "says"), BAD)
@pytest.mark.parametrize("allow_insecure", [False, True])
def test_everything_else_is_refused_with_its_reason(url, says, allow_insecure):
    assert says in (callback_url_error(url, allow_insecure) or "accepted")


def test_a_reason_never_repeats_the_url():
    assert "hunter2" not in (callback_url_error("https://me:hunter2@wallet.example", True) or "")
