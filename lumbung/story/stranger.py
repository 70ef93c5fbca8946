"""A terminal that asks for what the EDC's menu does not have: cash.

The kept menu has no cash function (R5), so the story lets a doctored message arrive: the last
purchase of a counter with another processing code, a fresh trace number and a PIN block that opens
to a wrong PIN, under a good MAC. The switch must refuse it by the law, and cost no PIN try.
"""

from lumbung.composition import Offices
from lumbung.story.counter import LINK, Counter, terminal_keys
from protocols.business_time import rrn_for, transmission_time
from protocols.crypto.mac import retail_mac
from protocols.framing import EDC_FRAMES, Framer, frame
from protocols.iso8583 import Codec, load_spec
from terminal.keystore import KeyStore, SessionKeys
from terminal.sealing import Sealer

#: Trace numbers that no story terminal reaches, so that the doctored message is a new one.
_FIRST_STAN = 990_000


def cash_request(parts: Offices, at: Counter, processing_code: str, now_ns: int) -> bytes:
    """Give a framed 0200 for cash, as a doctored terminal would send it."""
    codec = Codec(load_spec(LINK))
    original = Framer(EDC_FRAMES).feed(at.last_request())[0]
    message = codec.decode(original.payload)
    stan = _FIRST_STAN + int(processing_code[:2])
    keys = session_keys(parts, at.terminal_id)
    spoilt = bytes(byte ^ 0x5A for byte in message.data(52))
    request = message.replace(
        {
            3: processing_code,
            7: transmission_time(now_ns),
            11: f"{stan:06d}",
            37: rrn_for(now_ns, stan),
            52: spoilt,
            64: None,
        }
    )
    payload = codec.encode_with_mac(request, lambda covered: retail_mac(keys.mac, covered))
    return frame(payload, original.tpdu, EDC_FRAMES)


def session_keys(parts: Offices, terminal_id: str) -> SessionKeys:
    """Give the keys inside the device: whoever doctors it has them."""
    master_key, storage_key = terminal_keys(parts, terminal_id)
    sealer = Sealer(storage_key, parts.random_for(f"stranger/{terminal_id}"))
    path = parts.data.terminal(terminal_id) / "keys"
    session = KeyStore.open(path, terminal_id, sealer, master_key).keys.session
    assert session is not None, "the terminal has logged on"
    return session
