"""A later file against the registry and the decree before it: looked at dry, applied as told."""

import pytest

from programme.decree import DecreeFileError, compare_decree, import_decree, read_decree
from programme.decree.faults import complaint
from programme.errors import DuplicateError, RuleError
from programme.offices import Office
from programme.registry import DecreeState, LineOutcome
from programme.registry_port import BlockReason, CardStatus
from protocols.catalogue import keys, template, text

LATER = "460/0002/HK/2026"


@pytest.fixture
def later(tmp_path, decree_text):
    """Give a later file made of the people named, each with the cells that differ."""

    def maker(people, name=LATER):
        lines = decree_text(1, name=name).splitlines()[:10]
        for index, changes in people.items():
            lines.append(decree_text(1, first=index, **changes).splitlines()[-1])
        path = tmp_path / "later.csv"
        path.write_text("\n".join(lines) + "\n", "utf-8")
        return read_decree(path)

    return maker


#: Person 1 unchanged, 2 moved house, 3 another amount, 4 died, 5 not named, 6 and 7 are new.
PEOPLE = {
    1: {},
    2: {"alamat": "Jalan Baru 9", "kelurahan": "Bantuas"},
    3: {"nominal": "350000"},
    4: {"hasil_verifikasi": "meninggal"},
    6: {},
    7: {},
}


def test_later_file_is_told_as_new_changed_and_ended_and_nothing_is_written(
    registry, determined, later
):
    determined(5)
    before = registry.version
    diff = compare_decree(registry, later(PEOPLE))
    assert (diff.imported, diff.previous.decree_number, diff.known) == (None, 1, 4)
    assert diff.new_lines == (15, 16)
    assert diff.joined == ()
    assert [(c.line, c.recipient_number, c.columns) for c in diff.changed_people] == [
        (12, 2, ("alamat", "kelurahan"))
    ]
    assert [
        (c.line, c.recipient_number, c.amount_now_sen, c.outcome_now) for c in diff.changed_terms
    ] == [(13, 3, 35_000_000, LineOutcome.ELIGIBLE), (14, 4, 30_000_000, LineOutcome.DECEASED)]
    assert [(e.recipient_number, e.outcome) for e in diff.ended] == [
        (4, LineOutcome.DECEASED), (5, None),
    ]  # fmt: skip
    assert (diff.total_before_sen, diff.total_now_sen) == (150_000_000, 155_000_000)
    assert (registry.version, registry.people.count()) == (before, 5)
    assert "Jalan" not in repr(diff)


def test_import_applies_what_the_diff_told(registry, actors, determined, later):
    determined(5)
    file = later(PEOPLE)
    result = import_decree(registry, file, actors.diskominfo)
    assert (result.new_people, result.changed_people) == (2, 1)
    moved = registry.people.open_identity(2)
    assert (moved.address, moved.village) == ("Jalan Baru 9", "Bantuas")
    changes = [row for row in registry.trail.records() if row.subject == "recipient"]
    assert [(c.number, c.action, c.detail) for c in changes] == [
        (2, "changed", "alamat, kelurahan")
    ]
    again = compare_decree(registry, file)
    assert again.imported == result.decree
    assert (again.new_lines, again.changed_people) == ((), ())
    assert import_decree(registry, file, actors.diskominfo).changed is False


def test_renamed_person_is_found_again_under_the_new_name(registry, actors, determined, later):
    determined(2)
    import_decree(registry, later({1: {"nama": "Sari Puspa Rekaan"}}), actors.diskominfo)
    clash = later({9: {"nama": "sari PUSPA rekaan"}}, name="460/0003/HK/2026")
    with pytest.raises(DecreeFileError, match="penerima 1"):
        compare_decree(registry, clash)


def test_known_person_who_takes_the_family_of_another_is_stopped_dry_and_wet(
    registry, actors, determined, later
):
    determined(3)
    file = later({1: {}, 2: {"nomor_kk": f"99720202{3:08d}"}})
    before = registry.version
    for act in (
        lambda: compare_decree(registry, file),
        lambda: import_decree(registry, file, actors.diskominfo),
    ):
        with pytest.raises(DecreeFileError, match="recipient 3") as caught:
            act()
        assert [(f.line, f.column) for f in caught.value.faults] == [(12, "nomor_kk")]
    assert registry.version == before


def test_same_number_with_other_content_is_refused_dry_too(registry, determined, decree_file):
    determined(2)
    with pytest.raises(DuplicateError, match="another content"):
        compare_decree(registry, decree_file(3))


def test_cards_of_ended_people_are_blocked_with_their_reason_once_it_is_determined(
    registry, ledger, actors, determined, later
):
    _number, cards = determined(5)
    office = Office(registry, ledger)
    decree = import_decree(registry, later(PEOPLE), actors.diskominfo).decree.decree_number
    with pytest.raises(RuleError, match="only a determined decree"):
        office.block_ended(decree, actors.diskominfo)
    for state, actor in [("verifikasi", "dinsos"), ("validasi", "dinsos"), ("penetapan", "mayor")]:
        registry.decrees.move(decree, DecreeState(state), getattr(actors, actor))
    registry.block_card(cards[4].card_number, BlockReason.LOST, actors.dinsos)
    registry.unblock_card(cards[4].card_number, actors.dinsos)
    assert office.block_ended(decree, actors.diskominfo) == {
        BlockReason.DECEASED: [4], BlockReason.DECREE_ENDED: [5],
    }  # fmt: skip
    assert [registry.card(n).status for n in (1, 2, 3)] == [CardStatus.ACTIVE] * 3
    version = registry.version
    assert office.block_ended(decree, actors.diskominfo) == {}
    assert registry.version == version


@pytest.mark.parametrize(("people", "last"), [(30, (40, 40)), (33, (43, 43))])
def test_progress_is_told_on_long_files_to_the_end(
    tmp_path, decree_text, monkeypatch, registry, actors, people, last
):
    monkeypatch.setattr("programme.decree.reader.PROGRESS_LINES", 10)
    monkeypatch.setattr("programme.registry.people.PROGRESS_LINES", 10)
    path = tmp_path / "long.csv"
    path.write_text(decree_text(people), "utf-8")
    told = []
    found = read_decree(path, on_lines=lambda done, of: told.append((done, of)))
    of = last[1]
    assert told == [(at, of) for at in (20, 30, 40) if at < of] + [last]
    told.clear()
    import_decree(registry, found, actors.diskominfo, on_people=lambda *at: told.append(at))
    ends = [(10, people), (20, people), (30, people), (people, people)]
    assert told == list(dict.fromkeys(ends))


def test_every_fault_has_what_and_how_to_mend_in_both_languages():
    short = [
        (key, lang)
        for key in keys("id")
        if key.startswith("decree.") and key != "decree.more_faults"
        for lang in ("id", "en")
        if " - " not in template(key, lang)
    ]
    assert short == []
    assert complaint("decree.digit_count", found=15).said() == text("decree.digit_count", found=15)
