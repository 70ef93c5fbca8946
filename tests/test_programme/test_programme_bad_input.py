"""What an office does wrong: one clear error each, in both languages, and nothing half applied."""

from datetime import date

import pytest

from programme.actors import Actor, Agency
from programme.decree import DecreeFileError, import_decree, read_decree
from programme.errors import DuplicateError, ProgrammeError
from programme.offices import Office
from programme.registry.proposals import ProposalKind
from programme.registry_port import BlockReason, CardStatus
from programme.two_people import TwoPeople
from protocols.values import Pan, SecretBytes

#: What is done to the text of a sound file of two people; the place that is named; both languages.
FILES = [
    ("encoding", lambda t: t.encode("utf-16"), (1, "file"), "bukan UTF-8", "not UTF-8"),
    ("workbook", lambda t: b"PK\x03\x04" + bytes(90), (1, "file"), "Excel", "Excel"),
    ("nothing", lambda t: "", (1, "file"), "kosong", "empty"),
    ("no declarations", lambda t: "\n".join(t.splitlines()[9:]), (1, "file"),
     "tidak ada satu pernyataan pun", "no declaration"),
    ("old line ends", lambda t: t.replace("\n", "\r"), (1, "file"), "hanya CR", "CR alone"),
    ("latin-1", lambda t: t.replace("Sari", "S\xe4ri").encode("latin-1"), (11, "file"),
     "bukan UTF-8", "not UTF-8"),
    ("delimiter", lambda t: t.replace(";", ",").replace("pemisah: ,", "pemisah: ;"),
     (10, "file"), "pemisah", "delimiter"),
    ("header", lambda t: t.replace("nik;nama", "nama;nik"), (10, "file"), "kepala kolom", "header"),
    ("no number", lambda t: t.replace("#nomor_sk: 460/0001/HK/2025\n", ""), (1, "nomor_sk"),
     "nomor_sk", "nomor_sk"),
    ("empty number", lambda t: t.replace("#nomor_sk: 460/0001/HK/2025", "#nomor_sk:"),
     (1, "nomor_sk"), "460", "460"),
    ("date", lambda t: t.replace(";1990-01-01;", ";01/01/1990;", 1), (11, "tanggal_lahir"),
     "bukan tanggal", "not a date"),
    ("no such day", lambda t: t.replace(";1990-01-01;", ";31/02/2025;", 1), (11, "tanggal_lahir"),
     "bukan tanggal", "not a date"),
    ("short date", lambda t: t.replace(";1990-01-01;", ";2025-2-3;", 1), (11, "tanggal_lahir"),
     "bukan tanggal", "not a date"),
    ("months", lambda t: t.replace("akhir: 2026-12", "akhir: 2025-09"), (8, "periode_akhir"),
     "lebih awal", "before the first"),
    ("amount with points", lambda t: t.replace(";300000;", ";900.000;", 1), (11, "nominal"),
     "bukan rupiah bulat", "not whole rupiah"),
    ("amount of a workbook", lambda t: t.replace(";300000;", ';"900,000.00";', 1),
     (11, "nominal"), "bukan rupiah bulat", "not whole rupiah"),
    ("negative", lambda t: t.replace(";300000;", ";-300000;", 1), (11, "nominal"),
     "bukan rupiah bulat", "not whole rupiah"),
    ("NIK of 17", lambda t: t.replace("9972010100000001", "99720101000000011"), (11, "nik"),
     "17 angka, bukan 16", "17 digits, not 16"),
    ("amount", lambda t: t.replace(";300000;", ";Rp 300.000;", 1), (11, "nominal"),
     "bukan rupiah bulat", "not whole rupiah"),
    ("NIK of 15", lambda t: t.replace("9972010100000001", "997201010000001"), (11, "nik"),
     "15 angka, bukan 16", "15 digits, not 16"),
    ("same NIK", lambda t: t.replace("9972010100000002", "9972010100000001"), (12, "nik"),
     "NIK", "NIK"),
    ("two spellings", lambda t: t.replace("Sari Melati2", "SARI MELATTI1"), (12, "nama"),
     "dalam ejaan apa pun", "in whatever spelling"),
    ("same family", lambda t: t.replace("9972020200000002", "9972020200000001"),
     (12, "nomor_kk"), "kartu keluarga", "family card"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "place", "bahasa", "english"), [c[1:] for c in FILES], ids=[c[0] for c in FILES]
)
def test_wrong_file_is_named_by_line_and_column_in_both_languages_and_nothing_is_applied(
    registry, tmp_path, decree_text, change, place, bahasa, english
):
    path = tmp_path / "wrong.csv"
    changed = change(decree_text(2))
    path.write_bytes(changed if isinstance(changed, bytes) else changed.encode("utf-8"))
    with pytest.raises(DecreeFileError) as wrong:
        read_decree(path)
    fault = wrong.value.faults[0]
    assert (fault.line, fault.column) == place
    assert bahasa in fault.complaint.said("id")
    assert english in fault.complaint.said("en")
    assert len(wrong.value.faults) == 1
    assert registry.version == 0


def test_file_twice_changes_nothing_and_its_number_with_other_people_is_refused(
    registry, actors, decree_file
):
    first = import_decree(registry, decree_file(2), actors.diskominfo)
    version = registry.version
    assert import_decree(registry, decree_file(2), actors.diskominfo).changed is False
    with pytest.raises(DuplicateError) as wrong:
        import_decree(registry, decree_file(3), actors.diskominfo)
    assert "sudah diimpor dengan isi lain" in wrong.value.said("id")
    assert "was imported with another content" in wrong.value.said("en")
    assert (registry.version, first.changed) == (version, True)


CALLS = [
    ("card replaced twice", lambda r, o, a, replace: replace(1, "9360099999999981"),
     "tidak dapat diganti lagi", "cannot be replaced again"),
    ("replaced card blocked", lambda r, o, a, _: o.block([1], BlockReason.LOST, a.bank),
     "tidak ada yang diblokir", "nothing to block"),
    ("one of many is wrong", lambda r, o, a, _: o.block([2, 77], BlockReason.LOST, a.bank),
     "kartu 77 tidak terdaftar", "card 77 is not registered"),
    ("step left out", lambda r, o, a, _: o.move([3], CardStatus.ACTIVE, a.bank),
     "tidak dapat langsung menjadi", "in one step"),
    ("role that may not", lambda r, o, a, _: o.block([2], BlockReason.LOST, a.shop),
     "tidak berwenang", "may not do"),
    ("auditor who changes", lambda r, o, a, _: r.suspend("X", Actor(Agency.AUDITOR, "a")),
     "tidak berwenang", "may not do"),
    ("card number taken", lambda r, o, a, _: r.issue_card(
        1, Pan("9360099900000002"), "01", date(2030, 1, 1), "123456",
        a.diskominfo), "sudah punya kartu", "has a live card"),
    ("checker is the maker", lambda r, o, a, _: TwoPeople(r, None).approve(1, a.dinsos),
     "orang yang sama", "same person"),
    ("unknown shop", lambda r, o, a, _: o.designate("NONE", a.dinsos),
     "toko NONE tidak terdaftar", "shop NONE is not registered"),
    ("expired token", lambda r, o, a, _: r.tokens.bearer(SecretBytes(b"old")),
     "kedaluwarsa", "expired"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "bahasa", "english"), [c[1:] for c in CALLS], ids=[c[0] for c in CALLS]
)
def test_wrong_call_is_one_clear_error_in_both_languages_and_changes_nothing(
    registry, ledger, actors, active_cards, replace_card, call, bahasa, english
):
    active_cards(2)
    replace_card(1, "9360099999999990")
    registry.proposals.propose(ProposalKind.SWEEP, {"date": "2027-01-01"}, actors.dinsos)
    before = registry.trail.head(), registry.all_cards(), ledger.last_sequence
    with pytest.raises(ProgrammeError) as wrong:
        call(registry, Office(registry, ledger), actors, replace_card)
    assert bahasa in wrong.value.said("id")
    assert english in wrong.value.said("en")
    assert str(wrong.value) == f"{wrong.value.said('id')} / {wrong.value.said('en')}"
    assert (registry.trail.head(), registry.all_cards(), ledger.last_sequence) == before
