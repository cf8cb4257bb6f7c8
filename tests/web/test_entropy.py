"""Identifiers keep the order of their time, so that new rows lie together in an index."""

from types import SimpleNamespace

from server.entropy import SystemEntropy

NOON_MS = 1_782_864_000_000


def test_identifiers_are_of_version_7_and_in_the_order_of_time():
    clock = SimpleNamespace(now_ms=lambda: NOON_MS)
    entropy = SystemEntropy(clock)
    early = [entropy.identifier() for _ in range(100)]
    clock.now_ms = lambda: NOON_MS + 1
    late = [entropy.identifier() for _ in range(100)]
    assert {(each.version, each.variant) for each in early + late} == {(7, "specified in RFC 4122")}
    assert {each.int >> 80 for each in early} == {NOON_MS}
    assert max(early) < min(late)
    assert len({each.int & (1 << 62) - 1 for each in early + late}) == 200
