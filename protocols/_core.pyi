"""What `protocols._core` holds where it was built: the codec of one spec, and the crypto engine.

`protocols.iso8583.native` and `protocols.crypto.engine` are its only callers; everyone else takes
`protocols.iso8583.Codec` and the modules of `protocols.crypto`, which run with or without it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import final

from protocols.crypto.engine import Engine
from protocols.iso8583.facts import Facts
from protocols.iso8583.message import Message, Value
from protocols.iso8583.model import Spec
from protocols.iso8583.native import Slow
from protocols.iso8583.receive import SenderKeys

@final
class CodecCore:
    """One spec; None from a method means that the pure twin must do it."""

    def __new__(
        cls, spec: Spec, message: type[Message], tables: Mapping[str, object], slow: Slow, /
    ) -> CodecCore: ...
    def decode(self, raw: bytes) -> Message: ...
    def decode_lazy(self, raw: bytes) -> LazyMessage: ...
    def peek(self, raw: bytes, wanted: list[int]) -> Message | None: ...
    def mask(self, raw: bytes) -> bytes | None: ...
    def encode(self, message: Message) -> bytes: ...
    def encode_signed(self, message: Message, key: object, padding: int) -> bytes | None: ...
    def answer(
        self,
        request: Message,
        mti: str,
        echoed: int,
        changes: Mapping[int, Value | None],
        key: tuple[object, int] | None,
    ) -> bytes | None: ...
    def receive(self, raw: bytes, keys: SenderKeys, sender: int) -> tuple[Message, int] | None: ...
    def receive_batch(
        self, raws: Sequence[bytes], keys: SenderKeys, sender: int
    ) -> list[tuple[Message, int] | None]: ...

@final
class LazyMessage:
    """A message over its own bytes; the pure twin is `protocols.iso8583.lazy.PureLazyMessage`."""

    @property
    def raw(self) -> bytes: ...
    @property
    def mti(self) -> str: ...
    @property
    def spec(self) -> Spec: ...
    def __getitem__(self, number: int, /) -> Value: ...
    def __contains__(self, number: object, /) -> bool: ...
    def __iter__(self) -> Iterator[int]: ...
    def __len__(self) -> int: ...
    def get(self, number: int, default: Value | None = None) -> Value | None: ...
    def wire(self, number: int) -> bytes: ...
    def message(self) -> Message: ...

@final
class FactsReader:
    """Reads facts into one class; None means that `protocols.iso8583.facts` must do it."""

    def __new__(
        cls, message: type, facts: type, pan: type, pin_block: type, no_types: frozenset[str], /
    ) -> FactsReader: ...
    def read(self, message: Message, link: str, /) -> Facts | None: ...

class _CodecModule(ModuleType):
    FactsReader: Callable[..., FactsReader]
    CodecCore: Callable[..., CodecCore]
    LazyMessage: type[LazyMessage]

codec: _CodecModule
crypto: Engine
