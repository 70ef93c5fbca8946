"""PIN blocks and PIN verification values: round trips, refusals, nothing without its check."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.clock import RandomBytes
from protocols.crypto import pin
from protocols.crypto.errors import KeyRefusedError, PinError
from protocols.values import Pan, PinBlock, SecretBytes

KEY = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
OTHER_KEY = SecretBytes(bytes.fromhex("00112233445566778899AABBCCDDEEFF"))
PAN = Pan("9360099912344821")
OTHER_PAN = Pan("9360099912344839")
FORMS = (0, 1, 3, 4)

pins = st.text("0123456789", min_size=4, max_size=12)
pans = st.text("0123456789", min_size=8, max_size=19).map(Pan)


def counting(seed: int) -> RandomBytes:
    """Give random bytes that repeat for one seed."""
    state = [seed]

    def random_bytes(count: int) -> bytes:
        out = bytearray()
        while len(out) < count:
            state[0] = (state[0] * 6364136223846793005 + 1442695040888963407) % (1 << 64)
            out.append(state[0] >> 56)
        return bytes(out)

    return random_bytes


@given(form=st.sampled_from((0, 1, 2, 3)), text=pins, pan=pans, seed=st.integers(0, 1 << 32))
def test_clear_block_of_any_pin_is_read_back(form: int, text: str, pan: Pan, seed: int) -> None:
    block = pin.pin_block_encode(form, text, pan, counting(seed))
    assert len(block) == 8
    assert pin.pin_block_decode(form, block, pan) == text


@given(form=st.sampled_from(FORMS), text=pins, pan=pans, seed=st.integers(0, 1 << 32))
def test_enciphered_block_of_any_pin_is_read_back(
    form: int, text: str, pan: Pan, seed: int
) -> None:
    random_bytes = counting(seed)
    block = pin.encipher_pin_block(KEY, text, pan, form=form, random_bytes=random_bytes)
    assert len(block) == (16 if form == 4 else 8)
    assert pin.decipher_pin_block(KEY, block, pan, form=form) == text


@pytest.mark.parametrize("form", FORMS)
def test_block_under_another_key_is_refused(form: int) -> None:
    block = pin.encipher_pin_block(KEY, "123456", PAN, form=form, random_bytes=bytes)
    with pytest.raises(PinError):
        pin.decipher_pin_block(OTHER_KEY, block, PAN, form=form)


@pytest.mark.parametrize("form", [0, 4])
def test_block_for_another_card_is_refused(form: int) -> None:
    block = pin.encipher_pin_block(KEY, "123456", PAN, form=form, random_bytes=bytes)
    with pytest.raises(PinError):
        pin.decipher_pin_block(KEY, block, OTHER_PAN, form=form)


def test_translation_of_a_damaged_block_is_refused() -> None:
    for form_in, form_out in itertools.product(FORMS, FORMS):
        translator = pin.PinTranslator(
            KEY, OTHER_KEY, form_in=form_in, form_out=form_out, random_bytes=bytes
        )
        size = 16 if form_in == 4 else 8
        for damaged in (bytes(size), bytes(size - 1)):
            with pytest.raises(PinError):
                translator.translate(PinBlock(damaged), PAN)


@pytest.mark.parametrize("text", ["", "123", "1234567890123", "12a4", "12 4", "١٢٣٤", "-123"])
def test_text_that_is_no_pin_is_refused_without_being_repeated(text: str) -> None:
    for form in (0, 1, 2, 3):
        with pytest.raises(PinError) as caught:
            pin.pin_block_encode(form, text, PAN, bytes)
        assert len(text) < 4 or text not in f"{caught.value!r} {caught.value.internal}"
    for form in FORMS:
        with pytest.raises(PinError):
            pin.encipher_pin_block(KEY, text, PAN, form=form, random_bytes=bytes)


@pytest.mark.parametrize(
    ("form", "field"),
    [
        (0, "16123456FFFFFFFF"),  # control digit of another format
        (2, "2312345678FFFFFF"),  # PIN length 3
        (2, "2D12345678FFFFFF"),  # PIN length 13
        (2, "24123AFFFFFFFFFF"),  # a letter among the digits
        (2, "241234FFFFFFFFF0"),  # filler that is none
        (2, "2F123456789012FF"),
        (1, "1411A2FFFFFFFFFF"),
    ],
)
def test_clear_block_that_breaks_its_format_is_refused(form: int, field: str) -> None:
    with pytest.raises(PinError):
        pin.pin_block_decode(form, SecretBytes(bytes.fromhex(field)), PAN)


def test_format_3_filler_is_only_letters_and_none_is_favoured() -> None:
    # Six letters stand evenly in bytes up to 251; those above would bring A to D once more.
    draw = bytes((*range(255, 245, -1), 254, 253))
    letters = pin._letter_filler(lambda count: draw[:count], 12)
    assert {letter: letters.count(letter) for letter in letters} == dict.fromkeys("FEDCBA", 2)


@pytest.mark.parametrize("form", [1, 3, 4])
def test_format_with_random_filler_asks_for_randomness(form: int) -> None:
    with pytest.raises(PinError, match="random"):
        pin.encipher_pin_block(KEY, "123456", PAN, form=form)


@pytest.mark.parametrize("form", [-1, 4, 5, 9])
def test_unknown_clear_format_is_refused(form: int) -> None:
    with pytest.raises(PinError):
        pin.pin_block_encode(form, "1234", PAN, bytes)
    with pytest.raises(PinError):
        pin.pin_block_decode(form, SecretBytes(bytes(8)), PAN)


@given(text=st.text("0123456789", min_size=6, max_size=6), wrong=st.integers(1, 999_999))
def test_offset_verifies_its_pin_and_no_other_of_six_digits(text: str, wrong: int) -> None:
    offset = pin.ibm3624_offset(KEY, PAN, text)
    assert len(offset) == 6
    assert pin.ibm3624_verify(KEY, PAN, text, offset)
    other = f"{(int(text) + wrong) % 1_000_000:06d}"
    assert not pin.ibm3624_verify(KEY, PAN, other, offset)
    assert not pin.ibm3624_verify(KEY, OTHER_PAN, text, offset)


def test_offset_of_the_natural_pin_is_zero() -> None:
    for length in (4, 6, 12):
        natural = pin.ibm3624_natural_pin(KEY, PAN, length)
        assert pin.ibm3624_offset(KEY, PAN, natural, length) == "0" * length


def test_pin_of_another_length_than_its_offset_is_wrong_and_no_error() -> None:
    offset = pin.ibm3624_offset(KEY, PAN, "123456")
    assert not pin.ibm3624_verify(KEY, PAN, "12345", offset)
    assert not pin.ibm3624_verify(KEY, PAN, "1234567", offset)
    with pytest.raises(PinError):
        pin.ibm3624_verify(KEY, PAN, "123456", "12345x")
    with pytest.raises(PinError):
        pin.ibm3624_offset(KEY, PAN, "12345")
    with pytest.raises(PinError):
        pin.ibm3624_natural_pin(KEY, PAN, 6, "012345678901234A")


def test_pvv_reads_only_four_digits_which_is_why_six_need_the_offset() -> None:
    assert pin.pvv(KEY, PAN, "123456", 1) == pin.pvv(KEY, PAN, "123499", 1)
    for text, index in (("123", 1), ("1234", 7), ("12x4", 1)):
        with pytest.raises(PinError):
            pin.pvv(KEY, PAN, text, index)
    with pytest.raises(PinError):
        pin.cvv(KEY, PAN, "301", "201")


UNFIT_KEYS = {
    "zeros": bytes(16),
    "single DES": KEY.reveal()[:8],
    "single DES in disguise": KEY.reveal()[:8] * 2,
    "weak half": bytes.fromhex("0101010101010101FEDCBA9876543210"),
    "semi-weak half": bytes.fromhex("01FE01FE01FE01FEFEDCBA9876543210"),
    "too long": bytes(range(32)),
}


@pytest.mark.parametrize("name", UNFIT_KEYS)
def test_pin_is_never_enciphered_under_a_key_that_hides_nothing(name: str) -> None:
    key = SecretBytes(UNFIT_KEYS[name])
    with pytest.raises(KeyRefusedError):
        pin.encipher_pin_block(key, "123456", PAN)
    with pytest.raises(KeyRefusedError):
        pin.decipher_pin_block(key, PinBlock(bytes(8)), PAN)
    for keys in ((key, KEY), (KEY, key)):
        with pytest.raises(KeyRefusedError):
            pin.PinTranslator(*keys)


def test_format_4_refuses_a_key_of_zeros_and_a_source_without_randomness() -> None:
    with pytest.raises(KeyRefusedError):
        pin.encipher_pin_block(SecretBytes(bytes(16)), "123456", PAN, form=4, random_bytes=bytes)
    with pytest.raises(PinError):
        pin.pin_block_encode(3, "123456", PAN, lambda count: b"\xff" * count)
    with pytest.raises(AssertionError):
        pin.pin_block_encode(1, "123456", PAN, lambda count: b"")
