"""Who may speak: MAC, key sets, unknown terminals, messages that cannot be read."""

from protocols.crypto.mac import retail_mac
from protocols.iso8583 import Message
from protocols.values import SecretBytes
from tests.test_switch.switch_edc import CODEC


def raw_answer(counter, payload: bytes) -> Message:
    (answer,) = counter.world.exchange(payload)
    return CODEC.decode(answer)


def test_bad_mac_is_63_without_mac_and_changes_nothing(counter):
    request = counter.edc.purchase(counter.chip, 100_000)
    payload = bytearray(counter.edc.encode(request))
    payload[-1] ^= 1
    answer = raw_answer(counter, bytes(payload))
    assert (answer.mti, answer.text(39)) == ("0210", "63")
    assert 64 not in answer
    assert counter.world.postings() == 0
    # The very same message with its right MAC is a new one: nothing was remembered of the other.
    assert counter.edc.send(request)[0].text(39) == "00"


def test_any_flipped_byte_is_never_approved(counter):
    for position in [2, 10, 20, 40, 60, 120, 200]:
        payload = bytearray(counter.edc.encode(counter.edc.purchase(counter.chip, 100_000)))
        payload[position] ^= 0x01
        (answer,) = counter.world.exchange(bytes(payload))
        assert not answer or CODEC.decode(answer).text(39) in {"63", "03"}
        assert counter.world.postings() == 0


def test_message_without_mac_is_63(counter):
    payload = CODEC.encode(counter.edc.purchase(counter.chip, 100_000))
    assert raw_answer(counter, payload).text(39) == "63"


def test_log_on_without_mac_is_63(counter):
    assert raw_answer(counter, CODEC.encode(counter.edc.network("001"))).text(39) == "63"


def test_unknown_terminal_is_03_without_mac(counter):
    request = counter.edc.purchase(counter.chip, 100_000, de41="99999999")
    answer = raw_answer(counter, counter.edc.encode(request))
    assert answer.text(39) == "03"
    assert 64 not in answer


def test_keys_of_another_terminal_are_63(counter):
    other = counter.world.add_edc(18, counter.shop).start()
    request = counter.edc.purchase(counter.chip, 100_000)
    assert raw_answer(counter, other.encode(request)).text(39) == "63"


def test_key_set_that_the_message_misnames_is_63(counter):
    request = counter.edc.purchase(counter.chip, 100_000)
    request.elements[61]["key_set"] = "0007"
    assert raw_answer(counter, counter.edc.encode(request)).text(39) == "63"


def test_new_key_set_takes_over_at_its_first_use_and_not_before(counter):
    edc = counter.edc
    old = (edc.mac_key, edc.pin_key, edc.key_set)
    (answer,) = edc.send(edc.network("161"), mac=False)
    # The answer got lost: the terminal goes on under the old set.
    assert counter.buy(100_000).text(39) == "00"
    # It asks again and is given the same set.
    (again,) = edc.send(edc.network("161"), mac=False)
    assert again.parts(48) == answer.parts(48)
    edc.take_keys(again)
    assert edc.key_set == 2
    assert counter.buy(100_000).text(39) == "00"
    edc.mac_key, edc.pin_key, edc.key_set = old
    request = edc.purchase(counter.chip, 100_000)
    assert raw_answer(counter, edc.encode(request)).text(39) == "63"


def test_key_sets_survive_a_restart(counter):
    edc = counter.edc
    (answer,) = edc.send(edc.network("161"), mac=False)
    counter.world.restart()
    assert counter.buy(100_000).text(39) == "00"
    edc.take_keys(answer)
    assert counter.buy(100_000).text(39) == "00"
    counter.world.restart()
    assert counter.buy(100_000).text(39) == "00"


def test_key_change_is_answered_only_after_the_set_is_durable(counter):
    payload = counter.edc.encode(counter.edc.network("161"), mac=False)
    assert counter.world.receive(payload) == []
    work = counter.world.node.core.next_work()
    assert [type(change).__name__ for change in work.changes] == ["KeySetIssued"]
    assert len(counter.world.finish(work)) == 1


def test_terminal_without_master_key_is_96_and_the_node_lives_on(counter):
    from programme.errors import KeyNotFoundError

    world = counter.world
    broken = world.add_edc(19, counter.shop)
    original = world.keys.get

    def get(label: str) -> SecretBytes:
        if label.endswith(broken.terminal_id):
            raise KeyNotFoundError("no such key")
        return original(label)

    world.keys.get = get
    (answer,) = broken.send(broken.network("161"), mac=False)
    assert answer.text(39) == "96"
    assert counter.buy(100_000).text(39) == "00"


def test_message_that_its_mac_proves_and_the_spec_refuses_is_30_with_mac(counter):
    request = counter.edc.purchase(counter.chip, 100_000)
    body = bytearray(CODEC.encode_with_mac(request, lambda data: bytes(8))[:-8])
    # DE49 stands right behind DE42 as packed 0360: make a half-byte no digit.
    place = bytes(body).index(counter.shop.encode()) + 15
    assert body[place : place + 2] == bytes.fromhex("0360")
    body[place + 1] = 0x6A
    payload = bytes(body) + retail_mac(counter.edc.mac_key, bytes(body), 1)
    (answer,) = counter.world.exchange(payload)
    assert counter.edc.decode(answer).text(39) == "30"


def test_garbage_is_cut_without_an_answer(counter):
    for payload in [
        b"\x00",
        b"\xff" * 40,
        b"GET / HTTP/1.1\r\n\r\n",
        bytes.fromhex("0210") + bytes(60),
        bytes.fromhex("02007238"),
        bytes(500),
    ]:
        assert counter.world.exchange(payload) == [b""]
        assert counter.world.node.core.under_way == 0


def test_every_truncation_of_a_purchase_is_cut_or_refused(counter):
    payload = counter.edc.encode(counter.edc.purchase(counter.chip, 100_000))
    for length in range(len(payload)):
        (answer,) = counter.world.exchange(payload[:length] or b"\x02")
        assert not answer or CODEC.decode(answer).text(39) in {"63", "03", "30"}
    assert counter.world.postings() == 0


def test_answer_is_not_taken_for_a_request(counter):
    request = counter.edc.purchase(counter.chip, 100_000)
    answer = request.response("00")
    assert counter.world.exchange(counter.edc.encode(answer)) == [b""]


def test_classes_that_the_link_does_not_offer_are_12(counter):
    base = counter.edc.purchase(counter.chip, 100_000)
    advice = Message("0220", {n: v for n, v in base.elements.items() if n != 52})
    assert counter.edc.send(advice)[0].text(39) == "12"


def test_nothing_secret_enters_the_events(counter):
    events = counter.world.node.core.events
    counter.buy(100_000, pin="000000")
    counter.edc.send(counter.edc.network("161"), mac=False)
    request = counter.edc.purchase(counter.chip, 100_000)
    request.elements[55]["9F26"] = bytes(8)
    counter.edc.send(request)
    text = repr(events)
    assert len(events) >= 3
    for secret in (counter.chip.pan.reveal(), "482159", counter.edc.mac_key.reveal().hex()):
        assert secret not in text
