"""The raw journal: what is kept comes back, sealed; torn ends are left out, damage is told."""

import json
import os
import random
import struct

import pytest
from structlog.testing import capture_logs

from lumbung.journal_export import as_capture, as_json_lines, blanked, codecs_for
from protocols.iso8583 import MessageError
from protocols.values import SecretBytes
from switch.config import SwitchConfig
from switch.framings import FRAMINGS
from switch.journal import Entry, EntryKind, JournalError, JournalWriter, read_journal, segments_of
from switch.journal import writer as journal_writer
from switch.journal.records import pack_record, read_records
from switch.journal.store import cipher_for
from switch.session import Arrival, Departure
from tests.test_switch.switch_edc import CODEC
from tests.test_switch.switch_world import TPDU

KEY = SecretBytes(bytes(range(32)))
LINKS = ["edc", "bank"]


def entries_of(noise: random.Random, count: int) -> list[Entry]:
    found = []
    for number in range(count):
        kind = noise.choice(list(EntryKind))
        payload = noise.randbytes(noise.randrange(1, 600))
        if kind is EntryKind.EVENT:
            payload = json.dumps({"event": "declined", "n": number}).encode()
        elif kind is EntryKind.CUT:
            payload = b""
        tpdu = b"" if kind is EntryKind.EVENT else TPDU
        found.append(
            Entry(1_767_575_647_000_000_000 + number, kind, noise.choice(LINKS),
                  noise.randrange(1, 1 << 32), tpdu, payload)
        )  # fmt: skip
    return found


def pages(noise: random.Random, count: int) -> tuple[list[Entry], list[bytes]]:
    everything, records = [], []
    for _ in range(count):
        entries = entries_of(noise, noise.randrange(1, 9))
        everything.append(entries)
        records.append(pack_record(entries, LINKS, cipher_for(KEY), noise.randbytes(12)))
    return everything, records


@pytest.mark.parametrize("seed", range(5))
def test_record_gives_back_what_was_packed_and_a_torn_end_is_left_out(seed):
    noise = random.Random(seed)
    everything, records = pages(noise, 4)
    raw = b"".join(records)
    ends = [sum(map(len, records[:n])) for n in range(5)]
    for cut in {*noise.sample(range(len(raw)), 40), *ends}:
        read = list(read_records(raw[:cut], 0, LINKS, cipher_for(KEY), "s"))
        whole = sum(1 for end in ends[1:] if end <= cut)
        assert [entries for _end, entries in read] == everything[:whole], f"seed {seed} cut {cut}"


@pytest.mark.parametrize("seed", range(5))
def test_damage_before_the_end_is_told_with_its_offset(seed):
    noise = random.Random(seed)
    _everything, records = pages(noise, 3)
    raw = bytearray(b"".join(records))
    place = noise.randrange(len(records[0]), len(records[0]) + len(records[1]))
    raw[place] ^= 1 << noise.randrange(8)
    with pytest.raises(JournalError, match=rf"s:{len(records[0])}: this record is damaged"):
        list(read_records(bytes(raw), 0, LINKS, cipher_for(KEY), "s"))


def test_another_key_opens_nothing_and_without_one_only_messages_are_missing():
    _all, records = pages(random.Random(1), 1)
    other = cipher_for(SecretBytes(bytes(32)))
    with pytest.raises(JournalError, match="does not open"):
        list(read_records(records[0], 0, LINKS, other, "s"))
    ((_end, entries),) = read_records(records[0], 0, LINKS, None, "s")
    assert all(not entry.payload for entry in entries if entry.kind is not EntryKind.EVENT)
    assert [e.kind for e in entries] == [e.kind for e in _all[0]]


def keep(world, directory, *, megabytes: int = 64, segments: int = 16) -> JournalWriter:
    config = SwitchConfig.model_validate(
        {"journal": {"segment_megabytes": megabytes, "segments": segments}}
    )
    return JournalWriter(directory, KEY, config, world.clock, world.noise)


def test_sale_is_kept_sealed_and_read_back(counter):
    directory = counter.world.directory / "journal"
    journal = keep(counter.world, directory)
    request = counter.edc.encode(counter.edc.purchase(counter.chip, 100_000))
    (answer,) = counter.world.exchange(request)
    journal.request(Arrival(1, TPDU, request))
    journal.answer(Departure(1, TPDU, answer), "edc")
    journal.answer(Departure(2, TPDU, None), "edc")
    journal.event("declined", {"code": "51", "card": "4821"})
    journal.close()
    found = list(read_journal(directory, KEY))
    assert [e.kind for e in found] == [1, 2, 3, 4]
    assert (found[0].payload, found[1].payload) == (request, answer)
    assert found[3].event() == {"event": "declined", "code": "51", "card": "4821"}
    (segment,) = segments_of(directory)
    raw = segment.read_bytes()
    assert segment.stat().st_mode & 0o777 == 0o600
    for secret in (request, answer, counter.chip.pan.reveal().encode(),
                   bytes.fromhex(counter.chip.pan.reveal())):  # fmt: skip
        assert secret not in raw


def test_next_start_writes_a_new_segment_and_the_oldest_goes(counter):
    directory = counter.world.directory / "journal"
    for number in range(5):
        journal = keep(counter.world, directory, segments=3)
        journal.event("start", {"n": number})
        journal.close()
    assert [path.name for path in segments_of(directory)] == [
        f"segment-0000000{n}.lmj" for n in (3, 4, 5)
    ]
    assert [entry.event()["n"] for entry in read_journal(directory, KEY)] == [2, 3, 4]
    assert [e.event()["n"] for e in read_journal(directory, KEY, first_segment=5)] == [4]


def test_journal_that_reaches_back_too_little_says_so_loudly(counter):
    directory = counter.world.directory / "journal"
    with capture_logs() as told:
        for day in range(4):
            journal = keep(counter.world, directory, segments=3)
            assert not journal.short_hours
            journal.close()
            os.utime(segments_of(directory)[-1], (day * 90_000,) * 2)
        flooded = keep(counter.world, directory, segments=3)
        os.utime(segments_of(directory)[0])
        flooded._begin_segment()
    removed = [line for line in told if line["event"] == "journal segment removed"]
    assert [line["segment"] for line in removed] == [1, 2, 3]
    assert [line["log_level"] for line in removed] == ["info", "info", "error"]
    assert removed[-1]["hours"] < 1 < 24 < removed[0]["hours"]
    assert 0 < flooded.short_hours < 1
    flooded.close()


def test_segment_that_is_full_is_followed_by_another(counter):
    directory = counter.world.directory / "journal"
    journal = keep(counter.world, directory, megabytes=1)
    payload = bytes(4_000)
    for number in range(700):
        journal.request(Arrival(number + 1, TPDU, payload))
    journal.close()
    assert len(segments_of(directory)) >= 3
    assert [e.connection for e in read_journal(directory, KEY)] == list(range(1, 701))


def test_full_queue_drops_and_counts_and_never_waits(counter, monkeypatch):
    monkeypatch.setattr(journal_writer, "JOURNAL_QUEUE_BYTES_MAX", 10_000)
    directory = counter.world.directory / "journal"
    journal = keep(counter.world, directory)
    monkeypatch.setattr(journal, "_take", list)
    for _ in range(20):
        journal.request(Arrival(1, TPDU, bytes(1_000)))
    assert journal.dropped == 20 - journal.queued
    assert journal.queued == 8
    journal.close()


def test_disk_that_refuses_is_told_and_the_journal_goes_on(counter, monkeypatch):
    directory = counter.world.directory / "journal"
    journal = keep(counter.world, directory)
    write, refused = journal_writer.os.write, []

    def full(descriptor, data):
        if not refused and len(data) > 1_000:
            refused.append(write(descriptor, data[:500]))
            raise OSError(28, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(journal_writer.os, "write", full)
    journal._write([Entry(1, EntryKind.REQUEST, "edc", 1, TPDU, bytes(2_000))])
    journal._write([Entry(2, EntryKind.REQUEST, "edc", 2, TPDU, bytes(2_000))])
    assert (journal.dropped, refused) == (1, [500])
    journal.close()
    assert [entry.connection for entry in read_journal(directory, KEY)] == [2]


def test_disk_that_is_full_in_the_middle_of_a_record_leaves_none_torn(counter, monkeypatch):
    directory = counter.world.directory / "journal"
    real_write, room = journal_writer.os.write, [1 << 30]

    def write(descriptor, data):
        if not room[0]:
            raise OSError(28, "No space left on device")
        part = bytes(data)[: room[0]]
        room[0] -= len(part)
        return real_write(descriptor, part)

    monkeypatch.setattr(journal_writer.os, "write", write)
    journal = keep(counter.world, directory)
    entries = [Entry(n, EntryKind.REQUEST, "edc", n, TPDU, bytes(600)) for n in range(5)]
    assert journal._write(entries[:1])
    for number, left in ((1, 10), (2, 200), (3, 0)):
        room[0] = left
        assert not journal._write(entries[number : number + 1])
    room[0] = 1 << 30
    assert journal._write(entries[4:])
    journal.close()
    assert journal.dropped == 3
    assert list(read_journal(directory, KEY)) == [entries[0], entries[4]]


def test_segment_that_finds_no_room_leaves_no_file_and_its_number_is_tried_again(
    counter, monkeypatch
):
    directory = counter.world.directory / "journal"
    journal = keep(counter.world, directory)

    def refuse(*_arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal_writer.os, "write", refuse)
        with pytest.raises(OSError, match="No space left"):
            journal._begin_segment()
    assert len(segments_of(directory)) == 1
    journal._begin_segment()
    journal.close()
    assert len(segments_of(directory)) == 2


def test_directory_without_segments_and_a_foreign_file_are_told(tmp_path):
    with pytest.raises(JournalError, match="no journal segment"):
        list(read_journal(tmp_path, KEY))
    (tmp_path / "segment-00000001.lmj").write_bytes(b"something else")
    with pytest.raises(JournalError, match="not a journal segment"):
        list(read_journal(tmp_path, KEY))


def test_export_holds_no_card_number_track_pin_block_or_key(counter):
    sale = counter.edc.purchase(counter.chip, 100_000)
    request = counter.edc.encode(sale)
    (answer,) = counter.world.exchange(request)
    keys = counter.edc.encode(counter.edc.network("161"), mac=False)
    (key_answer,) = counter.world.exchange(keys)
    entries = [
        Entry(1, kind, "edc", 1, TPDU, payload)
        for kind, payload in (
            (EntryKind.REQUEST, request), (EntryKind.ANSWER, answer),
            (EntryKind.REQUEST, keys), (EntryKind.ANSWER, key_answer),
        )
    ]  # fmt: skip
    codecs = codecs_for({"edc": "edc"})
    pan = counter.chip.pan.reveal()
    secrets = [pan, sale.data(52).hex().upper(), CODEC.decode(key_answer).text(48, "mac")]
    text = "\n".join(as_json_lines(entries, codecs))
    capture = b"".join(as_capture(entries, codecs, FRAMINGS))
    for secret in secrets:
        assert secret not in text
        assert secret.encode() not in capture
        if len(secret) == 16:
            assert bytes.fromhex(secret) not in capture
    assert "35=<track" in text
    magic, *_rest, link_type = struct.unpack_from("<IHHiIII", capture)
    assert (magic, link_type) == (0xA1B23C4D, 101)
    packets, at = 0, 24
    while at < len(capture):
        _s, _ns, length, original = struct.unpack_from("<IIII", capture, at)
        assert length == original
        packet = capture[at + 16 : at + 16 + length]
        assert struct.unpack(">H", packet[2:4])[0] == length
        packets, at = packets + 1, at + 16 + length
    assert packets == 4


def test_blanked_message_is_still_a_message(counter):
    sale = counter.edc.purchase(counter.chip, 100_000)
    again = CODEC.decode(blanked(CODEC, counter.edc.encode(sale)))
    assert again.text(4) == sale.text(4)
    assert again.text(35).endswith("0" * 6)
    with pytest.raises(MessageError):
        blanked(CODEC, b"nonsense")
