"""One person under two spellings: found, and let through once an office has seen two people."""

import pytest

from programme.decree import DecreeFileError, import_decree, read_decree
from programme.errors import RoleError
from programme.registry.names import spelling_key

SAME = [
    ("Siti Aminah", "ST. AMINNAH"),
    ("Muhammad Yusuf", "Moch. Yusuf"),
    ("Achmad Dahlan", "AHMAD DAHLAN"),
    ("Soekarno", "Sukarno"),
    ("Djoko Tjandra", "Joko Candra"),
    ("Nur Aini", "Noer'aini"),
    ("Rachmat Hidayat", "RAHMAT HIDAYAT"),
    ("Fatimah", "Fatima"),
    ("Khadijah", "Hadijah"),
    ("Élise Ratu", "ELISE RATU"),
    ("Abdul Rahman", "Abd. Rahman"),
    ("Yanti Yusniar", "Ianti Iusniar"),
]
DIFFERENT = [
    ("Siti Aminah", "Siti Maimunah"),
    ("Sri Wahyuni", "Sri Wahyudi"),
    ("Budi Santoso", "Budi Susanto"),
    ("Muhammad", "Ahmad"),
    ("Ratna Sari", "Ratna Dewi"),
    ("Melati 1", "Melati 11"),
]


def test_spellings_of_one_name_have_one_key_and_other_names_another():
    assert [pair for pair in SAME if spelling_key(pair[0]) != spelling_key(pair[1])] == []
    assert [pair for pair in DIFFERENT if spelling_key(pair[0]) == spelling_key(pair[1])] == []


@pytest.fixture
def two_like_one(tmp_path, decree_text):
    """Give a file whose second person has the first one's name in another spelling, and day."""
    path = tmp_path / "like.csv"
    path.write_text(decree_text(2, nama="SARI MELATTI1 REKAAN"), "utf-8")
    return path


def test_same_person_under_two_spellings_stops_the_file_in_both_languages(registry, two_like_one):
    with pytest.raises(DecreeFileError) as stopped:
        read_decree(two_like_one)
    (fault,) = stopped.value.faults
    assert (fault.line, fault.column) == (12, "nama")
    said = str(stopped.value)
    assert "nama, dalam ejaan apa pun" in said
    assert "the same name, in whatever spelling" in said
    assert "melat" not in said.lower()
    assert registry.version == 0


def test_people_whom_verification_saw_to_be_two_are_taken_in_and_found_again(
    registry, actors, two_like_one, decree_text, tmp_path
):
    with pytest.raises(RoleError):
        registry.people.attest_distinct("9972010100000002", actors.diskominfo)
    registry.people.attest_distinct("9972010100000002", actors.dinsos)
    registry.people.attest_distinct("9972010100000002", actors.dinsos)
    file = read_decree(two_like_one, distinct=registry.people.is_distinct)
    assert import_decree(registry, file, actors.diskominfo).new_people == 2
    assert registry.people.number_of("9972010100000002") == 2
    again = tmp_path / "again.csv"
    again.write_text(decree_text(2, nama="Sari Melati1 Rekaan", name="460/2/HK"), "utf-8")
    file = read_decree(again, distinct=registry.people.is_distinct)
    done = import_decree(registry, file, actors.diskominfo)
    assert (done.new_people, done.changed_people) == (0, 1)
    third = tmp_path / "third.csv"
    third.write_text(decree_text(1, first=3, nama="Sari Melati1 Rekaan", name="460/3/HK"), "utf-8")
    with pytest.raises(DecreeFileError, match="recipient 1"):
        import_decree(registry, read_decree(third), actors.diskominfo)


def test_exact_name_of_another_is_taken_in_once_attested(registry, actors, tmp_path, decree_text):
    path = tmp_path / "exact.csv"
    path.write_text(decree_text(2, nama="Sari Melati1 Rekaan"), "utf-8")
    registry.people.attest_distinct("9972010100000001", actors.dinsos)
    file = read_decree(path, distinct=registry.people.is_distinct)
    with_first = import_decree(registry, file, actors.diskominfo)
    assert with_first.new_people == 2


def test_one_card_per_person_lets_a_family_have_two(
    registry, actors, tmp_path, decree_text, monkeypatch
):
    from dataclasses import replace

    from programme.policy import CardHolder, policy

    path = tmp_path / "family.csv"
    path.write_text(decree_text(2, nomor_kk="9972020200000001"), "utf-8")
    with pytest.raises(DecreeFileError, match="nomor_kk"):
        read_decree(path)
    per_person = replace(policy(), one_card_per=CardHolder.PERSON)
    for module in ("programme.decree.reader", "programme.registry.people"):
        monkeypatch.setattr(f"{module}.policy", lambda: per_person)
    assert import_decree(registry, read_decree(path), actors.diskominfo).new_people == 2
