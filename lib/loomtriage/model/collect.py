"""The one registration mechanism: a package lists its modules by name, in teaching order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any, Generic, TypeVar

from loomtriage.errors import ContractBroken, UsageError

Item = TypeVar("Item")


class Collection(Generic[Item]):
    """Named members of one package, imported on first use.

    Each module `<package>.<name>` holds the member in the attribute `attribute`
    (`{name}` in it stands for the module's own name).
    """

    def __init__(self, package: str, attribute: str, kind: type, names: tuple[str, ...]) -> None:
        self._package, self._attribute, self._kind = package, attribute, kind
        self.names = names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def get(self, name: str, *, noun: str) -> Item:
        """The member of that name.

        Raises:
            UsageError: there is none; the message lists what there is.
            ContractBroken: the module does not hold what the package promises.
        """
        if name not in self.names:
            raise UsageError(
                f"There is no {noun} {name[:60]!r}.", hint=f"Choose one of {', '.join(self.names)}."
            )
        member: Item = _load(self._package, name, self._attribute.format(name=name))
        if not isinstance(member, self._kind):
            raise ContractBroken(
                f"{self._package}.{name} holds a {type(member).__name__}.",
                hint=f"It must hold a {self._kind.__name__}.",
            )
        return member

    def all(self, *, noun: str) -> Mapping[str, Item]:
        """All members, in teaching order."""
        return {name: self.get(name, noun=noun) for name in self.names}


@cache
def _load(package: str, name: str, attribute: str) -> Any:
    module = import_module(f"{package}.{name}")
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise ContractBroken(
            f"{package}.{name} has no {attribute!r}.",
            hint="Name the member after its file, or fix the list.",
        ) from None


def collect(package: str, *names: str, attribute: str, kind: type) -> Collection[Item]:
    """List the modules of a package, in teaching order."""
    return Collection(package, attribute, kind, names)
