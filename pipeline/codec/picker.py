"""JSON objects decoded no further than to what is asked for; all else in them is only passed over."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec


class Picker:
    """Decodes an object to what lies at the ends of paths, whatever it is.

    Args:
        paths: steps into objects within one another.
    """

    def __init__(self, paths: Iterable[Sequence[str]]) -> None:
        ways: dict[str, list[Sequence[str]]] = {}
        for first, *rest in paths:
            ways.setdefault(first, []).append(rest)
        self._names = list(ways)
        # one that is asked for as a whole, too, is decoded as a whole
        self._within = {name: Picker(rests) for name, rests in ways.items() if all(rests)}
        fields = [
            (f"f{index}", msgspec.Raw if name in self._within else Any, msgspec.UNSET)
            for index, name in enumerate(self._names)
        ]
        renamed = {f"f{index}": name for index, name in enumerate(self._names)}
        self._decode = msgspec.json.Decoder(msgspec.defstruct("Object", fields, rename=renamed)).decode

    def decode(self, content: bytes | msgspec.Raw) -> dict[str, Any]:
        """What is there, by the name of the first step; None for what should be an object and is none.

        Raises:
            msgspec.MsgspecError, UnicodeDecodeError: it is no object, or what is asked for in it cannot be decoded.
        """
        picked = msgspec.structs.astuple(self._decode(content))
        found = {name: value for name, value in zip(self._names, picked, strict=True) if value is not msgspec.UNSET}
        for name, inner in self._within.items():
            if name in found:
                raw = found[name]
                found[name] = inner.decode(raw) if bytes(memoryview(raw)[:1]) == b"{" else None
        return found
