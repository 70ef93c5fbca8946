"""Messages for programs and for people: answers, shapes, masked text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.iso8583 import (
    Codec,
    Message,
    MessageError,
    Reason,
    Spec,
    answer_mti,
    check_shape,
    describe,
    diff,
    find_use,
    inspect_message,
    load_spec,
    masked,
    specs_that_fit,
)

EDC, BANK = load_spec("edc"), load_spec("bank")
PAN = "9360099912344821"
PIN_BLOCK = bytes.fromhex("DB7C2A3918F05E64")


def example(name: str, spec: Spec = EDC) -> Message:
    """Give a decoded message of one use with all its elements."""
    use = spec.messages[name]
    elements = {n: spec.elements[n].example for n in sorted(use.mandatory | use.optional)}
    if use.processing_codes:
        elements[3] = min(use.processing_codes).ljust(6, "0")
    if use.network_codes:
        elements[70] = min(use.network_codes)
    codec = Codec(spec)
    return codec.decode(codec.encode(Message(use.mti, elements)))  # type: ignore[arg-type]


@pytest.mark.parametrize("spec", [EDC, BANK], ids=lambda spec: spec.name)
def test_response_of_every_request_fits_the_spec_of_its_answer(spec: Spec) -> None:
    for use in spec.messages.values():
        if not use.answer:
            continue
        answer = example(use.name, spec).response("00")
        expected = spec.messages[use.answer]
        assert answer.mti == expected.mti, use.name
        assert find_use(spec, answer) is expected, use.name
        check_shape(spec, answer)
        assert Codec(spec).decode(Codec(spec).encode(answer)) == answer


@pytest.mark.parametrize("spec", [EDC, BANK], ids=lambda spec: spec.name)
def test_use_of_every_example_is_found_and_its_repeat_is_the_same_use(spec: Spec) -> None:
    for use in spec.messages.values():
        message = example(use.name, spec)
        assert check_shape(spec, message) is use
        if use.repeat:
            repeat = Message(use.repeat, message.elements, spec)
            assert check_shape(spec, repeat) is use
            assert repeat.response("00").mti == spec.messages[use.answer].mti


def test_check_shape_missing_and_foreign_elements_are_named() -> None:
    sale = example("purchase")
    for changes, path, reason in (
        ({11: None}, "11", Reason.MISSING),
        ({90: sale.parts(90) or {}, 11: "000345"}, "90", Reason.NOT_ALLOWED),
        ({3: "999999"}, "mti", Reason.NOT_ALLOWED),
    ):
        with pytest.raises(MessageError) as caught:
            check_shape(EDC, sale.replace(changes))  # type: ignore[arg-type]
        assert (caught.value.path, caught.value.reason) == (path, reason)


def test_find_use_two_digit_codes_cover_all_codes_that_begin_so() -> None:
    use = find_use(EDC, Message("0200", {3: "010098"}))
    assert use is not None
    assert use.name == "cash"


def test_response_changes_win_and_none_takes_away() -> None:
    answer = example("purchase").response("51", {44: "Z02", 49: None}, de38=None, de13="0106")
    assert answer.text(39) == "51"
    assert answer.text(44) == "Z02"
    assert answer.text(13) == "0106"
    assert 49 not in answer
    assert list(answer) == sorted(answer)


def test_response_never_echoes_card_data_or_pin() -> None:
    answer = example("purchase").response("00")
    assert not {2, 14, 35, 52, 55, 64, 128} & set(answer.elements)


def test_response_of_an_answer_is_refused() -> None:
    with pytest.raises(MessageError):
        example("purchase-answer").response("00")


@pytest.mark.parametrize("mti", ["", "02", "0210", "0230", "08100"])
def test_answer_mti_of_what_has_no_answer_is_refused(mti: str) -> None:
    with pytest.raises(MessageError):
        answer_mti(mti)


def test_message_accessors_give_typed_values_or_say_what_is_missing() -> None:
    sale = example("purchase")
    assert sale.text(11) == "000345"
    assert sale.text(60, "batch") == "000012"
    assert sale.data(55, "9F36") == b"\x00\x25"
    assert sale.groups(62, "basket")[0]["item"] == "BERAS5KG"
    assert sale.groups(54) == []
    assert sale.get(54) is None
    for bad in (
        lambda: sale[39],
        lambda: sale.text(60, "nothing"),
        lambda: sale.text(52),
        lambda: sale.data(11),
        lambda: sale.parts(11),
        lambda: sale.groups(11),
    ):
        with pytest.raises(MessageError):
            bad()


SECRETS = (PAN, PAN[4:12], "30122200", PIN_BLOCK.hex(), "KARTU/UJI", "B0080M3TC", "B0080P0TE")


def holds_a_secret(text: str) -> bool:
    """Tell whether any of the examples' secrets stands in a text, as it is or in hex."""
    flat = text.lower()
    return any(s.lower() in flat or s.encode().hex() in flat for s in SECRETS)


def test_describe_and_repr_never_show_card_data() -> None:
    codec = Codec(EDC)
    for use in EDC.messages.values():
        message = example(use.name)
        message.elements[2] = PAN
        message.elements[55] = dict(EDC.elements[55].example)  # type: ignore[call-overload]
        message.elements[55].update(  # type: ignore[union-attr]
            {"5A": bytes.fromhex(PAN), "57": bytes.fromhex(PAN + "D30122200F")}
        )
        message.elements[55].pop("8E", None)  # type: ignore[union-attr]
        message.elements[55].pop("9F10", None)  # type: ignore[union-attr]
        raw = codec.encode(message)
        for text in (
            describe(message, EDC),
            describe(raw, EDC),
            repr(message),
            repr(inspect_message(EDC, raw).nodes),
            "\n".join(map(str, diff(message, Message("0200", {2: "1" * 16}), EDC))),
        ):
            assert not holds_a_secret(text)


def test_repr_without_a_spec_shows_no_value() -> None:
    assert repr(Message("0200", {2: PAN, 11: "000345"})) == "<Message 0200 elements 2 11>"
    assert PAN not in repr(Message(PAN, {}))


def test_describe_unknown_tag_shows_its_length_only() -> None:
    message = Message("0200", {55: {"DF7A": b"\x93\x60\x09"}, 60: {"7F": b"abc"}}, EDC)
    text = describe(message, EDC)
    assert "<3 bytes>" in text
    assert "936009" not in text
    assert "616263" not in text


def test_describe_explains_codes() -> None:
    text = describe(example("purchase-answer"), EDC)
    assert "00 (approved)" in text
    assert "Answer to a purchase" in text
    assert "purchase (belanja)" in text


def test_describe_broken_message_shows_what_was_read_and_where_it_ended() -> None:
    raw = Codec(EDC).encode(example("purchase"))
    text = describe(raw[:45], EDC)
    assert "009800" in text
    assert "stopped: element 12" in text
    assert "bytes not shown" in text


def test_masked_pan_that_is_no_pan_shows_nothing_of_it() -> None:
    pan = EDC.elements[2]
    assert masked(pan, "1234567") == "<pan, 7 characters>"
    assert masked(pan, PAN) == "****4821"
    assert masked(EDC.elements[41], f"id {PAN}") == "id ****4821"


def test_diff_names_each_path_once_in_order_and_masks() -> None:
    left = example("purchase")
    chip = {**left.parts(55), "9F36": b"\x00\x26"}
    right = left.replace({4: "000000000100", 35: "1234567890=3012", 55: chip, 52: None})
    found = {one.path: one for one in diff(left, right, EDC)}
    assert list(found) == ["4", "35", "52", "55.9F36"]
    assert (found["55.9F36"].left, found["55.9F36"].right) == ("0025", "0026")
    assert found["52"].right == "-"
    assert "track" in found["35"].left
    assert diff(left, left, EDC) == []


@given(st.binary(max_size=200))
def test_inspect_and_describe_never_raise(raw: bytes) -> None:
    for spec in (EDC, BANK):
        found = inspect_message(spec, raw)
        assert found.is_valid == (found.error is None)
        assert describe(raw, spec)


@pytest.mark.parametrize(("mti", "year"), [("0", "iso87"), ("1", "iso93"), ("2", "iso03")])
def test_specs_that_fit_prefers_the_year_of_the_message_type(mti: str, year: str) -> None:
    specs = [load_spec(name) for name in ("iso03", "iso87", "iso93")]
    for order in (specs, specs[::-1]):
        raw = Codec(specs[0]).encode(Message(f"{mti}200", {3: "009800", 7: "0105011407"}))
        assert [one.is_valid for one in specs_that_fit(raw, order)] == [True] * 3
        assert specs_that_fit(raw, order)[0].spec.name == year


def test_specs_that_fit_names_the_right_dialect_first() -> None:
    specs = [load_spec("iso87"), BANK, EDC]
    for spec, name in ((EDC, "purchase"), (BANK, "purchase")):
        raw = Codec(spec).encode(example(name, spec))
        best = specs_that_fit(raw, specs)[0]
        assert best.spec is spec
        assert best.is_valid
