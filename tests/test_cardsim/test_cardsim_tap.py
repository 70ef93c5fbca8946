"""The contactless form and record scripts: one cryptogram per tap, records under MAC."""

from importlib.resources import files

import pytest

from cardsim import Card, CardImage, CardState, PowerLost, ProfileError, parse_profile
from protocols.emv import commands, tlv
from protocols.emv.apdu import CommandApdu, ResponseApdu
from protocols.emv.commands import ScriptCommand
from terminal.kernel import (
    OutcomeKind,
    complete_online,
    read_balance_mirror,
    start_tap,
    start_transaction,
)
from tests.card_kit import (
    TERMINAL,
    Scripter,
    answer_over,
    application,
    drive,
    expected_arqc,
    issuer_answer,
    make_card,
    make_image,
    purchase,
    send,
)
from tests.tables import every_row

SSN = files("cardsim").joinpath("profiles", "ssn.toml").read_text("utf-8")
PPSE = "00A404000E325041592E5359532E444446303100"
SELECT = "00A4040005F053534E0100"


def test_contactless_directory_names_the_application_in_its_control_information() -> None:
    card = make_card()
    answer = bytes.fromhex(send(card, PPSE))
    fci = tlv.parse_flat(tlv.parse_flat(answer[:-2])["6F"])
    assert fci["84"] == commands.PPSE_NAME
    entry = tlv.parse_flat(tlv.parse_flat(tlv.parse_flat(fci["A5"])["BF0C"])["61"])
    assert (entry["4F"].hex(), entry["50"], entry["87"]) == ("f053534e01", b"SSN PANGAN", b"\x01")
    assert send(card, "00B2010C00") == "6A82"  # no records behind it
    assert "9F6604" in send(card, SELECT)


def test_card_without_contactless_form_has_no_contactless_directory() -> None:
    assert send(make_card(make_image("emv-generic")), PPSE) == "6A82"


def test_contact_directory_or_reset_ends_the_contactless_form() -> None:
    card = make_card()
    send(card, PPSE)
    send(card, "00A404000E315041592E5359532E444446303100")
    assert "9F6604" not in send(card, SELECT)
    send(card, PPSE)
    card.power()
    assert "9F6604" not in send(card, SELECT)


def tap(card: Card, amount_sen: int = 14_150_000) -> dict[str, bytes]:
    outcome = drive(start_tap(TERMINAL, purchase(amount_sen)), card)
    assert outcome.kind is OutcomeKind.ONLINE
    de55: dict[str, bytes] = outcome.de55
    return de55


def test_tap_is_one_transaction_whose_cryptogram_the_issuer_can_recompute() -> None:
    card = make_card()
    first = tap(card)
    assert first["9F26"] == expected_arqc(first)
    assert card.state is CardState.TAPPED
    state = application(card).state
    assert (state.atc, len(state.log), state.online_pending) == (1, 1, False)
    second = tap(card)
    assert (second["9F36"], second["9F26"] == expected_arqc(second)) == (b"\x00\x02", True)
    assert not second["9F10"][3] & 0x01  # a tap leaves no unfinished transaction
    send(card, PPSE)
    send(card, SELECT)
    assert send(card, "00B2015C00")[-4:] == "9000"  # the newest log entry is the tap's


def test_terminal_qualifiers_ask_verification_for_an_amount_only() -> None:
    for amount_sen, qualifiers in ((14_150_000, "24c00000"), (0, "24800000")):
        sent: list[str] = []

        def watch(
            command: CommandApdu, answer: ResponseApdu, sent: list[str] = sent
        ) -> ResponseApdu:
            if command.ins == 0xA8:
                sent.append(command.data[2:6].hex())
            return answer

        drive(start_tap(TERMINAL, purchase(amount_sen)), make_card(), watch)
        assert sent == [qualifiers]


def test_tap_after_an_unfinished_contact_purchase_tells_the_issuer() -> None:
    card = make_card()
    drive(start_transaction(TERMINAL, purchase()), card)
    card.power()
    assert tap(card)["9F10"][3] & 0x01


def test_tap_answer_carries_no_name_and_no_second_cryptogram() -> None:
    card = make_card()
    tap(card)
    length = card.applications[0].lengths[0]
    assert send(card, f"80AE4000{length:02X}{'00' * length}00") == "6985"
    send(card, PPSE)
    send(card, SELECT)
    qualifiers = "24C00000000014150000" + "00" * 6 + "036000000000000360260105006901A5CB"
    answer = send(card, f"80A80000238321{qualifiers}00")
    assert answer[-4:] == "9000"
    assert b"SITI".hex().upper() not in answer


def test_tap_with_misshapen_data_starts_nothing() -> None:
    card = make_card()
    send(card, PPSE)
    send(card, SELECT)
    for command, answer in (
        ("80A8000002830000", "6700"),
        (f"80A80000238421{'00' * 33}00", "6A80"),
        (f"80A80100238321{'00' * 33}00", "6A86"),
    ):
        assert send(card, command) == answer
    assert application(card).state.atc == 0


@every_row("writes", [0, 1, 2])
def test_tap_torn_at_any_write_never_repeats_its_counter(writes: int) -> None:
    card = make_card()
    kept = [card.image.to_json()]
    card.writer.on_write = lambda _field: kept.append(card.image.to_json())
    card.writer.tear_after(writes)
    with pytest.raises(PowerLost):
        _ = [tap(card) for _ in range(2)]
    again = make_card(CardImage.from_json(kept[-1]))
    assert tap(again)["9F36"] == (min(writes, 1) + 1).to_bytes(2, "big")


def test_contactless_list_without_cryptogram_data_is_refused_with_its_line() -> None:
    for old, new, words in (
        ('pdol = ["9F66 4", "9F02 6",', 'pdol = ["9F66 4",', "pdol does not ask for 9F02"),
        ('pdol = ["9F66 4", ', "pdol = [", "pdol does not ask for 9F66"),
        ('aip = "0000"', 'aip = "00"', "aip is 2 to 2 bytes"),
        ('aip = "0000"', 'aip = "0000"\ncolour = 1', "unknown key 'colour'"),
    ):
        assert old in SSN
        with pytest.raises(ProfileError, match=words):
            parse_profile(SSN.replace(old, new, 1), "mine.toml")


# UPDATE RECORD


def online() -> tuple[Card, Scripter]:
    card = make_card()
    outcome = drive(start_transaction(TERMINAL, purchase()), card)
    assert outcome.kind is OutcomeKind.ONLINE
    return card, Scripter(outcome.de55["9F26"])


def test_record_updated_by_a_script_is_read_in_the_next_transaction_and_survives() -> None:
    card, issuer = online()
    record = application(card).records[2, 1]
    longer = tlv.parse_flat(tlv.parse_flat(record)["70"])
    longer["5F24"] = bytes.fromhex("321231")
    track = tlv.parse_flat(tlv.parse_flat(application(card).records[1, 1])["70"])
    track["57"] = bytes.fromhex(track["57"].hex().replace("d3012", "d3212"))
    for place, objects, mac_bytes in (((2, 1), longer, 8), ((1, 1), track, 4)):
        data = tlv.build([("70", tlv.build(objects))])
        script = issuer.command(
            ScriptCommand.UPDATE_RECORD, place[1], place[0] << 3 | 4, data, mac_bytes=mac_bytes
        )
        assert answer_over(card, script).ok
    assert application(card).state.script_count == 2
    again = make_card(CardImage.from_json(card.image.to_json()))
    outcome = drive(start_transaction(TERMINAL, purchase()), again)
    assert (outcome.kind, outcome.expiry_yymm) == (OutcomeKind.ONLINE, "3212")


def test_record_script_that_is_wrong_changes_no_record() -> None:
    for p1, p2, data, answer in (
        (9, 0x0C, "7000", 0x6A83),
        (1, 0x2C, "7000", 0x6A83),
        (0, 0x0C, "7000", 0x6A86),
        (1, 0x0D, "7000", 0x6A86),
        (1, 0x0C, "7700", 0x6A80),
        (1, 0x0C, "700157", 0x6A80),
    ):
        card, issuer = online()
        before = dict(application(card).records)
        script = issuer.command(ScriptCommand.UPDATE_RECORD, p1, p2, bytes.fromhex(data))
        assert answer_over(card, script).sw == answer, (p1, p2, data)
        assert application(card).records == before
    for command, status in (
        (f"84DC010C0A7000{'00' * 8}", "6988"),
        ("84DC010C027000", "6987"),
        (f"84DC010C0B7000{'00' * 9}", "6700"),
    ):
        assert send(online()[0], command) == status


def test_record_torn_before_its_write_is_the_old_one() -> None:
    card, issuer = online()
    before = dict(application(card).records)
    script = issuer.command(ScriptCommand.UPDATE_RECORD, 1, 0x0C, bytes.fromhex("7000"))
    card.writer.tear_after(0)
    with pytest.raises(PowerLost):
        answer_over(card, script)
    assert application(card).records == before


def test_balance_mirror_put_by_the_issuers_script_is_read_back_after_the_purchase() -> None:
    card = make_card()
    outcome = drive(start_transaction(TERMINAL, purchase()), card)
    assert outcome.context is not None
    mirror = bytes.fromhex("000015850000260105091500")
    command = Scripter(outcome.de55["9F26"]).command(ScriptCommand.PUT_DATA, 0xDF, 0x71, mirror)
    template = tlv.build([("9F18", b"\x00\x00\x00\x07"), ("86", command.encoded())])
    answer = issuer_answer(outcome.de55)
    steps = complete_online(outcome.context, "00", answer, (("72", template),))
    completion = drive(steps, card)
    assert [result.hex() for result in completion.script_results] == ["2000000007"]
    card.power()
    read = drive(read_balance_mirror(TERMINAL), card)
    assert (read.amount_sen, read.encoded()) == (15_850_000, mirror)
