"""Image files and profiles: private, atomic, versioned; every damage is one clear error."""

import datetime
import json
import random
from hashlib import sha256
from pathlib import Path

import pytest

from cardsim import (
    CardImage,
    CardImageError,
    FaultPlanError,
    ProfileError,
    limits,
    load_profile,
    parse_profile,
)
from cardsim.fault_plan import parse_faults
from cardsim.personalisation import card_name
from protocols.emv import tlv
from terminal.kernel import start_transaction
from tests.card_kit import (
    PAN,
    TERMINAL,
    drive,
    make_card,
    make_image,
    purchase,
    send,
    with_application,
)
from tests.tables import every_row

SSN_PATH = Path(__file__).parents[2] / "cardsim" / "profiles" / "ssn.toml"
SSN = SSN_PATH.read_text("utf-8")


def test_image_saved_and_loaded_is_the_same_card_with_its_state(tmp_path: Path) -> None:
    image = make_image()
    card = make_card(image)
    drive(start_transaction(TERMINAL, purchase()), card)
    path = tmp_path / "card.json"
    image.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    again = CardImage.load(path)
    assert again.to_json() == image.to_json()
    assert again.applications[0].state.atc == 1
    assert again.applications[0].state.online_pending
    assert list(tmp_path.iterdir()) == [path]


def test_image_replaced_keeps_its_mode_and_leaves_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_text("old")
    path.chmod(0o644)
    make_image().save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: "", "no JSON"),
        (lambda text: text[:-10], "no JSON"),
        (lambda text: "[1]", "no lumbung-card file"),
        (lambda text: text.replace('"lumbung-card"', '"other"'), "no lumbung-card file"),
        (lambda text: text.replace('"version":2', '"version":3'), "version 3"),
        (lambda text: text.replace('"version":2', '"version":"x"'), "version unknown"),
        (lambda text: text.replace('"atc":0', '"atc":7'), "checksum"),
        (lambda text: text.replace('"card":{', '"card":[{', 1).replace("}}", "}}]"), "no JSON"),
    ],
)
def test_image_damaged_or_foreign_is_one_clear_error_without_content(
    tmp_path: Path, change: object, words: str
) -> None:
    path = tmp_path / "card.json"
    path.write_text(change(make_image().to_json()))  # type: ignore[operator]
    with pytest.raises(CardImageError, match=words) as caught:
        CardImage.load(path)
    assert str(path) in str(caught.value)
    assert PAN.reveal() not in str(caught.value)


@every_row(
    ("field", "value"),
    [
        ("protocol", 2),
        ("protocol", True),
        ("atr", "zz"),
        ("blocked", 0),
        ("applications", []),
        ("applications", [{}]),
        ("serial", None),
    ],
)
def test_image_with_a_right_checksum_and_wrong_fields_is_refused(field: str, value: object) -> None:
    document = json.loads(make_image().to_json())
    document["card"][field] = value
    text = json.dumps(document["card"], separators=(",", ":"), sort_keys=True)
    document["checksum"] = sha256(text.encode()).hexdigest()
    with pytest.raises(CardImageError, match="field"):
        CardImage.from_json(json.dumps(document))


def test_image_of_every_flipped_byte_is_refused_or_equal() -> None:
    text = make_image().to_json()
    generator = random.Random(5)
    for _ in range(60):
        at = generator.randrange(len(text))
        flipped = text[:at] + chr(generator.randrange(32, 127)) + text[at + 1 :]
        try:
            assert CardImage.from_json(flipped).to_json() == text
        except CardImageError:
            continue


def test_image_that_is_missing_too_large_or_binary_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CardImageError, match="cannot be read"):
        CardImage.load(tmp_path / "none.json")
    (tmp_path / "large").write_bytes(b" " * 1_000_001)
    with pytest.raises(CardImageError, match="larger"):
        CardImage.load(tmp_path / "large")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(CardImageError, match="ASCII"):
        CardImage.load(tmp_path / "binary")
    with pytest.raises(CardImageError, match="cannot be written"):
        make_image().save(tmp_path / "no" / "card.json")


def test_files_nested_too_deep_are_one_clear_error() -> None:
    with pytest.raises(CardImageError, match="no JSON"):
        CardImage.from_json("[" * 200_000)
    with pytest.raises(ProfileError, match=r"^mine.toml:1: .*nested too deep"):
        parse_profile("a = " + "[" * 20_000, "mine.toml")
    with pytest.raises(FaultPlanError, match=r"^plan.toml:1: .*nested too deep"):
        parse_faults("a = " + "[" * 20_000, "plan.toml")


def test_image_and_card_show_no_content_in_their_repr() -> None:
    image = make_image()
    shown = repr(image) + repr(image.applications[0]) + repr(make_card(image))
    assert PAN.reveal() not in shown
    assert "0123456789" not in shown


def test_ssn_card_carries_what_the_regulation_names() -> None:
    card = make_card()
    send(card, "00A4040005F053534E0100")
    assert send(card, "80CADF7100") == "DF710C0000300000002601050914079000"
    send(card, "80A80000078305036003600000")
    first = tlv.parse_flat(tlv.parse_flat(bytes.fromhex(send(card, "00B2010C00"))[:-2])["70"])
    second = tlv.parse_flat(tlv.parse_flat(bytes.fromhex(send(card, "00B2011400"))[:-2])["70"])
    assert first["5F20"] == b"SITI CONTOH"
    assert second["5A"].hex() == PAN.reveal()
    assert card.image.applications[0].aid[0] >> 4 == 0xF


def test_personalisation_is_stable_under_a_seed_and_differs_between_seeds() -> None:
    assert make_image(seed=4).to_json() == make_image(seed=4).to_json()
    assert make_image(seed=4).serial != make_image(seed=5).serial


@every_row(
    ("name", "expected"),
    [
        ("Nur", b"NUR"),
        ("", b"  "),
        ("Ñandú Ibu", b"AND  IBU"),
        ("A" * 40, b"A" * 26),
        ("tab\tname", b"TAB NAME"),
    ],
)
def test_card_name_holds_printable_ascii_of_2_to_26_bytes(name: str, expected: bytes) -> None:
    assert card_name(name) == expected


@every_row(
    "changes",
    [
        {"psn": "1"},
        {"psn": "x1"},
        {"pin": "123"},
        {"pin": "1234567890123"},
        {"balance_sen": -1},
        {"balance_sen": 10**12},
        {"udk_ac": make_image().applications[0].udk_ac.__class__(bytes(8))},
    ],
)
def test_personalisation_with_values_no_card_holds_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ProfileError):
        make_image(**changes)


@every_row(
    ("old", "new", "line", "words"),
    [
        ('name = "ssn"', 'name = "ssn', 7, "no TOML"),
        ("protocol = 1", "protocol = 7", 13, "protocol is 0 or 1"),
        ("protocol = 1", "protocol = 1\ncolour = 2", 14, "unknown key 'colour'"),
        ('aid = "F053534E01"', 'aid = "F0"', 17, "aid is 5 to 16 bytes"),
        ('aid = "F053534E01"', 'aid = "xx"', 17, "aid is no hex text"),
        ("priority = 1", "priority = 16", 21, "priority is 1 to 15"),
        ("priority = 1", 'priority = "1"', 21, "priority must be of type int"),
        ('service_code = "625"', 'service_code = "62"', None, "service_code is three digits"),
        ('pdol = ["9F1A 2"', 'pdol = ["9F1A"', None, "not 'TAG LENGTH'"),
        ('pdol = ["9F1A 2"', 'pdol = ["9F1A 999"', None, "no valid data object list"),
        ('pdol = ["9F1A 2"', 'pdol = ["9F1A \u00b2"', 32, "not 'TAG LENGTH'"),
        ('pdol = ["9F1A 2"', f'pdol = ["9F1A {"9" * 5_000}"', 32, "not 'TAG LENGTH'"),
        ("priority = 1", f"priority = {'9' * 5_000}", 1, "a number too long"),
        ('["9F08", "0001"],', '["5a", "0001"],', 69, "'5a' is no tag in capital hex digits"),
        ('["9F08", "0001"],', '["FF00", "0102"],', 69, "FF00 holds objects, and its value is none"),
        ("number = 2", "number = 1", 86, "record 1 of file 2 stands there twice"),
        ('"9F37 4", "8A 2"]', '"8A 2"]', None, "cdol2 does not ask for 9F37"),
        ('["5A", "{pan}"],', "", None, "no record holds 5A"),
        ('["5F34", "{psn}"],', '["5A", "{psn}"],', None, "a tag stands in two places"),
        ('["9F08", "0001"],', '["9F08", "{what}"],', None, "objects is no hex text"),
        ('["9F08", "0001"],', '["9F08"],', None, r"an object is \[tag, value\]"),
        ("sfi = 1\n", "sfi = 11\n", None, "sfi is 1 to 10"),
        ("[card]", "[cart]", None, "unknown key 'cart'"),
        ('atr = "3BE000008131FE45EB"\n', "", None, "key 'atr' is missing"),
    ],
)
def test_profile_that_is_wrong_is_an_error_with_file_and_line(
    old: str, new: str, line: int | None, words: str
) -> None:
    assert old in SSN
    place = "mine.toml:" if line is None else f"mine.toml:{line}:"
    with pytest.raises(ProfileError, match=words) as caught:
        parse_profile(SSN.replace(old, new, 1), "mine.toml")
    assert caught.value.external.startswith(place)


NSICCS = SSN_PATH.with_name("nsiccs-debit.toml").read_text("utf-8")


@every_row(
    ("old", "new", "words"),
    [
        ("authenticated = true", 'authenticated = "yes"', "authenticated must be of type bool"),
        ('["9F42", "0360"],', '["93", "{signature}"],', "cannot stand in a record that it signs"),
        ('["9F4A", "82"],', '["8D", "{cdol2}"],', "a tag stands in two places"),
        ('["8D", "{cdol2}"],', '["9F1F", "00"],', "no record holds 8D"),
    ],
)
def test_profile_with_a_wrong_place_for_signed_data_is_refused(
    old: str, new: str, words: str
) -> None:
    assert old in NSICCS
    with pytest.raises(ProfileError, match=words):
        parse_profile(NSICCS.replace(old, new, 1), "mine.toml")


def test_profile_whose_mandatory_data_only_signed_cards_would_have_is_refused() -> None:
    moved = NSICCS.replace('["8D", "{cdol2}"],', '["9F1F", "00"],', 1)
    moved = moved.replace('["9F4A", "82"],', '["8D", "{cdol2}"],', 1)
    with pytest.raises(ProfileError, match="no record holds 8D"):
        parse_profile(moved, "mine.toml")


def test_profile_unknown_or_unreadable_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"emv-generic, emv-long, nsiccs-debit, ssn"):
        load_profile("visa")
    with pytest.raises(ProfileError, match="cannot be read"):
        load_profile(str(tmp_path / "none.toml"))
    path = tmp_path / "mine.toml"
    path.write_text(SSN)
    assert load_profile(str(path)).application["label"] == "SSN PANGAN"


@pytest.mark.parametrize("entry", ["1", '"x"', "[1]"])
def test_profile_whose_record_is_no_table_is_refused(entry: str) -> None:
    head = SSN[: SSN.index("[[record]]")]
    with pytest.raises(ProfileError, match=r"^mine.toml:1: a table must stand here"):
        parse_profile(f"record = [{entry}]\n{head}", "mine.toml")


def test_profile_file_is_read_anew_each_time_and_only_up_to_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SSN)
    assert load_profile(str(path)).application["label"] == "SSN PANGAN"
    path.write_text(SSN.replace("SSN PANGAN", "SSN LAGI"))
    assert load_profile(str(path)).application["label"] == "SSN LAGI"
    path.write_text(SSN + "#" * limits.TOML_BYTES)
    with pytest.raises(ProfileError, match="larger than"):
        load_profile(str(path))
    path.write_bytes(b"\xff")
    with pytest.raises(ProfileError, match="no UTF-8"):
        load_profile(str(path))


def test_profile_whose_record_is_too_long_is_refused_at_personalisation() -> None:
    long = SSN.replace('["9F08", "0001"]', f'["9F08", "{"00" * 240}"]')
    with pytest.raises(ProfileError, match="longer than"):
        make_image(profile=parse_profile(long, "mine.toml"))


def test_expiry_and_number_are_in_the_track_as_in_the_records() -> None:
    outcome = drive(
        start_transaction(TERMINAL, purchase()),
        make_card(make_image(expiry=datetime.date(2027, 2, 28))),
    )
    assert outcome.expiry_yymm == "2702"
    assert outcome.track2 is not None
    assert outcome.track2.service_code == "625"


def test_image_with_an_unknown_cryptogram_list_is_refused_when_the_card_is_made() -> None:
    with pytest.raises(CardImageError, match="does not ask"):
        make_card(with_application(make_image(), cdol1=b"\x95\x05"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("aid", "F0"),
        ("aid", "F0" * 17),
        ("aip", "1C"),
        ("afl", "0801"),
        ("label", "x" * 17),
        ("label", "\u00e9"),
        ("language", "id" * 5),
        ("priority", 16),
        ("cryptogram_version", 256),
        ("pin_try_limit", 16),
        ("gpo_format", 3),
        ("records", {"31/1": "7000"}),
        ("records", {"1/0": "7000"}),
        ("records", {"1/1": "70" * 255}),
        ("records", {f"1/{number}": "7000" for number in range(1, 66)}),
    ],
)
def test_image_with_a_value_that_no_card_can_hold_is_refused_when_read(
    name: str, value: object
) -> None:
    document = json.loads(make_image().to_json())
    document["card"]["applications"][0][name] = value
    text = json.dumps(document["card"], separators=(",", ":"), sort_keys=True)
    document["checksum"] = sha256(text.encode("ascii")).hexdigest()
    with pytest.raises(CardImageError, match="field"):
        CardImage.from_json(json.dumps(document))
