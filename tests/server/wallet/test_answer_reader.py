"""How a wallet's answer is taken in, byte by byte, and what is never taken for one."""

import gc
import weakref

import h11
import pytest

from server.wallet.answer import LOST, WalletAnswerReader

BODY = b'{"ok":true,"balance_minor":1}'
NOT_HTTP = "the answer is not valid HTTP/1"
TOO_LARGE = "the answer is too large"


def answer(*headers, status="200 OK", body=BODY):
    return b"HTTP/1.1 " + status.encode() + b"\r\n" + b"".join(line + b"\r\n" for line in headers) + b"\r\n" + body


def length(body=BODY):
    return b"Content-Length: %d" % len(body)


def chunked(*pieces, end=b"0\r\n\r\n"):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + end


def read(*feeds, body_bytes_max=1000, ends=False):
    reader = WalletAnswerReader()
    reader.begin(body_bytes_max)
    for data in feeds:
        reader.feed(data)
    if ends:
        reader.end()
    return reader


GOOD = [
    answer(length()),
    answer(length(b""), body=b""),
    answer(length(), b"X-Long: " + b"a" * 5000),
    answer(length(), b"Connection: close"),
    answer(b"Transfer-Encoding: chunked", body=chunked(BODY[:1], BODY[1:])),
    answer(b"Transfer-Encoding: chunked", body=chunked(BODY, end=b"0\r\nTrailer: 1\r\n\r\n")),
    answer(length(), status="402 No"),
    answer(status="204 None", body=b""),
    b"HTTP/1.1 102 Wait\r\nX: 1\r\n\r\nHTTP/1.1 103 Hint\r\n\r\n" + answer(length()),
    answer(length()).replace(b"HTTP/1.1", b"HTTP/1.0"),
]


def by_h11(raw):
    """What h11 makes of an answer: status, headers, body, and whether the connection stays open."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="POST", target="/", headers=[("Host", "a"), ("Content-Length", "0")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(raw)
    head, body = None, b""
    while type(event := connection.next_event()) is not h11.EndOfMessage:
        if type(event) is h11.Response:
            head = event
        elif type(event) is h11.Data:
            body += event.data
    return head.status_code, list(head.headers), body, connection.their_state is h11.DONE


@pytest.mark.parametrize("raw", GOOD)
def test_an_answer_is_what_another_implementation_takes_it_for(raw):
    reader = read(raw)
    assert reader.is_complete
    assert reader.problem is None
    assert (reader.status, reader.headers, bytes(reader.body), reader.is_clean) == by_h11(raw)


@pytest.mark.parametrize("raw", GOOD)
def test_an_answer_may_come_in_any_pieces(raw):
    whole = read(raw)
    for cut in range(1, len(raw)):
        reader = read(raw[:cut])
        assert not reader.is_complete
        assert reader.problem is None
        reader.feed(raw[cut:])
        assert vars(reader) | {"_parser": None} == vars(whole) | {"_parser": None}
    single = read(*(raw[at : at + 1] for at in range(len(raw))))
    assert vars(single) | {"_parser": None} == vars(whole) | {"_parser": None}


@pytest.mark.parametrize("raw", GOOD)
def test_half_an_answer_is_none(raw):
    for cut in range(len(raw)):
        assert read(raw[:cut], ends=True).problem == LOST


@pytest.mark.parametrize(
    "raw",
    [
        answer(length(), length()),
        answer(length(), b"Content-Length: 1"),
        answer(b"Content-Length: +29"),
        answer(b"Content-Length: 0x1d"),
        answer(b"Content-Length: 99999999999999999999999"),
        answer(b"Content-Length : 29"),
        answer(length(), b"Transfer-Encoding: chunked", body=chunked(BODY)),
        answer(b"Transfer-Encoding: chunked", length(), body=chunked(BODY)),
        answer(length(), b"A: b\r\n folded"),
        answer(length(), b"A: \x00"),
        answer(length()).replace(b"\r\n", b"\n"),
        answer(length()).replace(b"HTTP/1.1", b"HTTP/1.2"),
        answer(length()).replace(b"HTTP/1.1", b"HTTP/0.9"),
        answer(length()).replace(b"HTTP/1.1", b"HTTP/2.0"),
        answer(length(), status="20 OK"),
        answer(length(), status="2000 OK"),
    ],
)
def test_what_two_readers_could_understand_differently_is_no_answer(raw):
    reader = read(raw, ends=True)
    assert reader.problem is not None
    assert not reader.is_clean
    assert not reader.headers or not reader.is_headed


@pytest.mark.parametrize("more", [b"x", b"H", b"HTTP/1.1 ", answer(length()), b"\x00", b"\r\nx"])
def test_what_follows_an_answer_belongs_to_none(more):
    raw = answer(length(), b"X: 1")
    for reader in (read(raw + more), read(raw, more), read(raw[:-1], raw[-1:] + more)):
        assert reader.is_complete
        assert reader.problem is None
        assert (reader.headers[1:], bytes(reader.body)) == ([(b"x", b"1")], BODY)
        assert not reader.is_clean


def test_one_answer_after_the_other_is_read():
    reader = read(answer(length(), b"X: 1"))
    assert reader.is_clean
    reader.begin(1000)
    assert (reader.is_headed, reader.is_complete, reader.is_clean, reader.headers) == (False, False, False, [])
    reader.feed(answer(b"Transfer-Encoding: chunked", status="500 No", body=chunked(b"a")))
    assert (reader.status, bytes(reader.body), reader.is_clean) == (500, b"a", True)


@pytest.mark.parametrize(
    ("header", "is_complete"), [(b"X: 1", True), (length(), False), (b"Transfer-Encoding: x", False)]
)
def test_only_a_body_without_a_length_ends_with_the_connection(header, is_complete):
    reader = read(answer(header, body=BODY[:-1]), ends=True)
    assert (reader.is_complete, reader.problem) == (is_complete, None if is_complete else LOST)
    assert not reader.is_clean


def test_the_head_of_what_follows_changes_nothing_of_the_answer():
    """Else a stray 200 behind a refusal would have it booked."""
    refused = answer(length(), status="402 No")
    for more in (answer(length()), answer(b"X: 1", length(), b"Retry-After: 600"), answer(status="101 Switch")):
        reader = read(refused + more)
        assert (reader.status, reader.headers) == (402, [(b"content-length", b"%d" % len(BODY))])
        assert bytes(reader.body) == BODY and reader.is_complete and not reader.is_clean


def test_a_connection_may_carry_any_number_of_answers():
    """What bounds an answer is not the sum of all."""
    reader = WalletAnswerReader()
    large = answer(length(), b"X-Long: " + b"a" * 30_000)
    for _ in range(20):
        reader.begin(100)
        reader.feed(large[:-1])
        reader.feed(large[-1:])
        assert (reader.problem, reader.is_clean) == (None, True)


def test_a_change_of_protocols_is_an_answer_and_not_waited_behind():
    """Nobody has asked for one."""
    reader = read(answer(b"Upgrade: x", b"Connection: upgrade", status="101 Switching Protocols", body=b""))
    assert (reader.is_headed, reader.status, reader.is_clean) == (True, 101, False)


def test_a_status_stands_whatever_its_body_is():
    reader = read(answer(b"Transfer-Encoding: chunked", status="402 No", body=b"zz\r\n"))
    assert (reader.is_headed, reader.status, reader.problem) == (True, 402, NOT_HTTP)


@pytest.mark.parametrize(("size", "problem"), [(1000, None), (1001, TOO_LARGE)])
def test_a_body_has_a_size(size, problem):
    body = b" " * size
    reader = read(answer(length(body), body=body))
    assert (reader.problem, reader.is_clean) == (problem, problem is None)
    assert read(answer(b"Transfer-Encoding: chunked", body=chunked(body))).problem == problem


@pytest.mark.parametrize(
    "endless",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 12_000,
        b"HTTP/1.1 102 Wait\r\n\r\n" * 4_000,
        answer(b"Transfer-Encoding: chunked", body=b"1;" + b"a" * 80_000),
        answer(b"Transfer-Encoding: chunked", body=chunked(BODY, end=b"0\r\nX: " + b"a" * 80_000)),
    ],
)
def test_nothing_around_a_body_is_endless(endless):
    reader = read(*(endless[at : at + 1000] for at in range(0, len(endless), 1000)))
    assert reader.problem == TOO_LARGE
    assert not reader.is_clean


def test_a_closed_reader_is_freed_without_garbage_collection():
    gc.collect()
    gc.disable()
    try:
        reader = read(answer(length()))
        gone = weakref.ref(reader)
        reader.close()
        del reader
        assert gone() is None
    finally:
        gc.enable()
