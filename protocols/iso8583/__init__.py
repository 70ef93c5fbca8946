"""ISO 8583 messages by spec: decode, encode, explain. `Codec` is the door.

>>> codec = Codec(load_spec("edc"))
>>> raw = codec.encode(Message("0800", {7: "0105011407", 11: "000001", 41: "12400017", 70: "301"}))
>>> raw.hex()
'080082200000008000000400000000000000010501140700000131323430303031370301'
"""

from protocols.iso8583.codec import CODECS, Codec
from protocols.iso8583.describe import Difference, describe, diff, masked
from protocols.iso8583.errors import MessageError, Reason, SpecError
from protocols.iso8583.inspect import Inspection, inspect_message, specs_that_fit
from protocols.iso8583.lazy import LazyMessage
from protocols.iso8583.loader import load_spec, parse_spec, shipped_names
from protocols.iso8583.message import Message, Value, answer_mti, check_shape, find_use
from protocols.iso8583.model import Element, Kind, MessageUse, Prefix, Sensitivity, Spec
from protocols.iso8583.pure import PureCodec
from protocols.iso8583.receive import Proof, Received

__all__ = [
    "CODECS",
    "Codec",
    "Difference",
    "Element",
    "Inspection",
    "Kind",
    "LazyMessage",
    "Message",
    "MessageError",
    "MessageUse",
    "Prefix",
    "Proof",
    "PureCodec",
    "Reason",
    "Received",
    "Sensitivity",
    "Spec",
    "SpecError",
    "Value",
    "answer_mti",
    "check_shape",
    "describe",
    "diff",
    "find_use",
    "inspect_message",
    "load_spec",
    "masked",
    "parse_spec",
    "shipped_names",
    "specs_that_fit",
]
