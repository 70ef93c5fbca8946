"""Messages of one turn are looked up together, and each is judged as if it had come alone."""

from tests.test_switch.switch_world import Counter


def test_repeat_in_a_turn_of_many_hears_its_record_and_the_ledger_is_asked_once(
    counter: Counter, monkeypatch
) -> None:
    world, edc = counter.world, counter.edc
    others = [world.add_card(10 + number, 1_000_000) for number in range(3)]
    sold = edc.purchase(counter.chip, 100_000)
    (first,) = edc.send(sold)
    asked = []
    look_up = world.ledger.lookup_entries

    def counted(ids):
        asked.append(list(ids))
        return look_up(ids)

    monkeypatch.setattr(world.ledger, "lookup_entries", counted)
    fresh = [edc.purchase(chip, 100_000) for chip in others]
    changed = sold.replace(de4=f"{200_000:012d}")
    raw = [edc.encode(message) for message in (sold, *fresh, changed)]
    answers = [edc.decode(payload) for payload in world.exchange(*raw)]
    assert len(asked[0]) == 5
    told = sorted((answer.text(11), answer.text(39)) for answer in answers)
    expected = [(sold.text(11), "00"), (sold.text(11), "94")]
    assert told == expected + [(message.text(11), "00") for message in fresh]
    again = next(a for a in answers if (a.text(11), a.text(39)) == expected[0])
    assert again.text(38) == first.text(38)
    assert world.postings() == 4


def test_two_copies_of_a_new_message_in_one_turn_are_posted_once(counter: Counter) -> None:
    edc = counter.edc
    raw = edc.encode(edc.purchase(counter.chip, 100_000))
    answers = [edc.decode(payload) for payload in counter.world.exchange(raw, raw)]
    assert [answer.text(39) for answer in answers] == ["00", "00"]
    assert answers[0].text(38) == answers[1].text(38)
    assert counter.world.postings() == 1
