"""`Codec`: the one door to messages of a spec.

`Codec` is the native twin where `protocols._core` can be imported and `PureCodec` otherwise; both
have the same methods, results and errors (`CODECS` lists what is here, for tests and benches).
"""

from protocols.iso8583.native import native_codec
from protocols.iso8583.pure import PureCodec

Codec: type[PureCodec] = PureCodec if native_codec is None else native_codec

#: The codec classes of this installation, the pure one first.
CODECS: tuple[type[PureCodec], ...] = (
    (PureCodec,) if native_codec is None else (PureCodec, native_codec)
)
