"""How a bug is planted: under a name, what is patched."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

Patches = list[tuple[object, str, object]]
"""Owner, attribute, replacement."""
Plant = Callable[[], Patches]


class Bugs(dict[str, Plant]):
    """Bugs by name."""

    def named(self, name: str) -> Callable[[Plant], Plant]:
        def register(plant: Plant) -> Plant:
            assert name not in self
            self[name] = plant
            return plant

        return register


@contextmanager
def patched(patches: Patches) -> Iterator[None]:
    with ExitStack() as stack:
        for owner, attribute, replacement in patches:
            stack.enter_context(mock.patch.object(owner, attribute, replacement))
        yield
