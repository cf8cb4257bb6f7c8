"""What waits for all clients of a port together, and who pays when it is too much."""

from server.edge.wire.unsent import Unsent


class Slow:
    """A connection that is cut when it is told so, and says then that nothing waits for it any more."""

    def __init__(self, unsent):
        self.unsent, self.is_cut = unsent, False

    def overflow(self):
        self.is_cut = True
        self.unsent.note(self, 0)


def test_whoever_has_most_waiting_is_cut_although_another_one_comes_last():
    unsent = Unsent(100)
    little, much, newest = Slow(unsent), Slow(unsent), Slow(unsent)
    for slow, count in ((little, 20), (much, 60), (newest, 20)):
        unsent.note(slow, count)
    assert unsent.bytes_waiting == 100 and not any(slow.is_cut for slow in (little, much, newest))
    unsent.note(newest, 21)
    assert [slow.is_cut for slow in (little, much, newest)] == [False, True, False]
    assert unsent.bytes_waiting == 41


def test_so_many_are_cut_as_it_takes_and_what_was_taken_counts_no_more():
    unsent = Unsent(100)
    slow = [Slow(unsent) for _ in range(3)]
    unsent.note(slow[0], 40)
    unsent.note(slow[0], 0)
    assert unsent.bytes_waiting == 0 and not unsent.has(slow[0])
    for each, count in zip(slow, (30, 40, 300), strict=True):
        unsent.note(each, count)
    assert [each.is_cut for each in slow] == [False, False, True]
    assert unsent.bytes_waiting == 70
