"""Decree files: every kind of bad input named by line and column, nothing half applied."""

from pathlib import Path

import pytest

from programme.decree import DecreeFileError, import_decree, read_decree, template
from programme.decree.columns import columns, declarations
from programme.errors import DuplicateError, RuleError
from programme.limits import DECREE_FAULTS_MAX
from programme.registry import DecreeState, LineOutcome


@pytest.fixture
def read(tmp_path):
    def reader(text):
        path = tmp_path / "given.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return read_decree(path)

    return reader


def _faults(read, text):
    with pytest.raises(DecreeFileError) as caught:
        read(text)
    error = caught.value
    assert str(error).splitlines()[0].startswith(f"{error.args[0].split(':')[0]}:")
    return [(fault.line, fault.column) for fault in error.faults], str(error)


@pytest.mark.parametrize("delimiter", [";", ","])
def test_template_is_accepted_as_it_is(read, delimiter):
    file = read(template(delimiter))
    assert [row.line for row in file.rows] == [11]
    assert file.name == "460/0941/HK-KS/2025"
    assert file.total_sen == 30_000_000


def test_sound_file_gives_people_amounts_and_outcomes(read, decree_text):
    file = read(decree_text(3, hasil_verifikasi="meninggal", nominal="250000"))
    assert len(file.rows) == 3
    assert file.rows[0].person.nik == "9972010100000001"
    assert (file.rows[2].amount_sen, file.rows[2].outcome) == (25_000_000, LineOutcome.DECEASED)
    assert file.total_sen == 60_000_000
    assert "Sari" not in repr(file)
    assert "9972" not in repr(file)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("Jalan Lumbung 1", '"Jalan Lumbung; 1"'),
    ],
    ids=["byte order mark", "CRLF", "no last line end", "quoted delimiter"],
)
def test_usual_spellings_of_csv_are_accepted(read, decree_text, change):
    assert len(read(change(decree_text(2))).rows) == 2


WRONG_CELLS = [
    ("nik", "997201010000001"),
    ("nik", "99720101000000012"),
    ("nik", "9972010100000O01"),
    ("nik", "9.97201E+15"),
    ("nik", "٩٩٧٢٠١٠١٠٠٠٠٠٠٠١"),
    ("nomor_kk", ""),
    ("nama", "   "),
    ("nama", "x" * 121),
    ("alamat", "a\x07b"),
    ("tanggal_lahir", "31/01/1990"),
    ("tanggal_lahir", "1990-02-30"),
    ("tanggal_lahir", "19900101"),
    ("tanggal_lahir", "1990-W01-1"),
    ("tanggal_lahir", "1899-12-31"),
    ("tanggal_lahir", "2099-01-01"),
    ("nominal", "300.000"),
    ("nominal", "Rp300000"),
    ("nominal", "-300000"),
    ("nominal", "0"),
    ("nominal", "20000001"),
    ("nominal", "٣٠٠"),
    ("kelurahan", "Bukuwan"),
    ("kelurahan", "Sengkotek"),
    ("kecamatan", "Samarinda"),
    ("hasil_verifikasi", "ok"),
]


def test_wrong_cell_is_named_by_line_and_column_without_its_content(read, decree_text):
    failed = []
    for column, cell in WRONG_CELLS:
        places, text = _faults(read, decree_text(3, **{column: cell}))
        secret = column in ("nik", "nomor_kk", "nama") and bool(cell.strip())
        told = f"given.csv:13: {column}: " in text and " - " in text
        if places != [(13, column)] or not told or (secret and cell in text):
            failed.append((column, cell, places, text))
    assert failed == []


WRONG_FILES = [
    (lambda t: t.encode("utf-16"), 1, "file"),
    (lambda t: t.replace("Melati1", "Melátî").encode("latin-1"), 11, "file"),
    (lambda t: t.replace("Melati1", "Mel\0ati"), 11, "file"),
    (lambda t: t.replace("nik;nama", "NIK;nama"), 10, "file"),
    (lambda t: t.replace("nik;nama", "nama;nik"), 10, "file"),
    (lambda t: t.replace("pemisah: ;", "pemisah: ,"), 10, "file"),
    (lambda t: t.replace("pemisah: ;", "pemisah: |"), 3, "pemisah"),
    (lambda t: "\n".join(t.splitlines()[:9]), 10, "file"),
    (lambda t: "\n".join(t.splitlines()[:10]), 10, "file"),
    (lambda t: "", 1, "file"),
    (lambda t: "\ufeff", 1, "file"),
    (lambda t: "\n\n", 1, "file"),
    (lambda t: b"PK\x03\x04" + bytes(90), 1, "file"),
    (lambda t: t.replace("\n", "\r"), 1, "file"),
    (lambda t: "sep=;\n" + t, 1, "file"),
    (lambda t: "\n".join(t.splitlines()[9:]), 1, "file"),
    (lambda t: t.replace(";", "\t").replace("pemisah: \t", "pemisah: ;"), 10, "file"),
    (lambda t: t.encode("utf-16-le"), 1, "file"),
    (lambda t: t.replace("Melati1", "Mel\u20acti").encode("cp1252"), 11, "file"),
    (lambda t: t.replace("Jalan Lumbung 1", '"Jalan\nLumbung"'), 11, "file"),
    (lambda t: t.replace("#nomor_sk: 460/0001/HK/2025\n", ""), 1, "nomor_sk"),
    (lambda t: t.replace("460/0001/HK/2025", ""), 1, "nomor_sk"),
    (lambda t: t.replace("#tanggal_sk: 2025-10-01", "#tanggal_sk: 1/10/2025"), 2, "tanggal_sk"),
    (lambda t: t.replace("#dompet: pangan", "#dompet: rokok"), 4, "dompet"),
    (lambda t: t.replace("sumber_dana: APBD", "sumber_dana: apbd"), 5, "sumber_dana"),
    (lambda t: t.replace("tahun_anggaran: 2026", "tahun_anggaran: 26"), 6, "tahun_anggaran"),
    (lambda t: t.replace("akhir: 2026-12", "akhir: 2025-09"), 8, "periode_akhir"),
    (lambda t: t.replace("periode_awal: 2025-10", "periode_awal: 2025-13"), 7, "periode_awal"),
    (lambda t: "#warna: hijau\n" + t, 1, "file"),
    (lambda t: "#dompet: pangan\n" + t, 5, "dompet"),
    (lambda t: t + "\n", 13, "file"),
    (lambda t: t + "a;b\n", 13, "file"),
    (lambda t: t + '"a;b;c\n', 13, "file"),
    (lambda t: t + "x" * 5000 + "\n", 13, "file"),
]  # fmt: skip


def test_wrong_file_is_named_by_line(read, decree_text):
    failed = []
    for number, (change, line, column) in enumerate(WRONG_FILES):
        places, text = _faults(read, change(decree_text(2)))
        if (line, column) not in places:
            failed.append((number, line, column, text))
    assert failed == []


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"nik": "9972010100000001"}, "nik"),
        ({"nomor_kk": "9972020200000001"}, "nomor_kk"),
        ({"nama": "SARI  melati1-rekaan"}, "nama"),
        (
            {
                "nik": "9972010100000001",
                "nomor_kk": "9972020200000001",
                "nama": "Sari Melati1 Rekaan",
            },
            "nik",
        ),
    ],
    ids=["same NIK", "same family", "same person under another spelling", "same line"],
)
def test_person_twice_in_a_file_is_stopped_and_named_with_the_first_line(
    read, decree_text, changes, column
):
    places, text = _faults(read, decree_text(3, **changes))
    assert places == [(13, column)]
    assert "as in line 11" in text


def test_faults_are_listed_up_to_the_bound(read, decree_text):
    text = decree_text(DECREE_FAULTS_MAX + 20).replace(";300000;", ";300.000;")
    places, told = _faults(read, text)
    assert [line for line, _column in places] == list(range(11, 11 + DECREE_FAULTS_MAX))
    assert told.endswith(f"more faults than the {DECREE_FAULTS_MAX} listed.")


def test_file_that_is_not_there_is_a_clear_error(tmp_path):
    with pytest.raises(DecreeFileError, match="cannot be read: No such file"):
        read_decree(tmp_path / "none.csv")


def _state(registry):
    return registry.version, registry.people.count(), registry.decrees.all()


def test_import_gives_recipients_and_the_stage_integrasi(registry, actors, decree_file):
    result = import_decree(registry, decree_file(4), actors.diskominfo)
    assert (result.lines, result.new_people, result.changed) == (4, 4, True)
    assert result.decree.state is DecreeState.INTEGRATION
    lines = registry.decrees.lines(result.decree.decree_number)
    assert [line.amount_sen for line in lines] == [30_000_000] * 4


def test_file_applied_twice_changes_nothing(registry, actors, decree_file):
    first = import_decree(registry, decree_file(4), actors.diskominfo)
    before = _state(registry)
    again = import_decree(registry, decree_file(4), actors.diskominfo)
    assert (again.decree, again.changed) == (first.decree, False)
    assert _state(registry) == before


def test_same_number_with_other_content_is_refused(registry, actors, decree_file):
    import_decree(registry, decree_file(4), actors.diskominfo)
    before = _state(registry)
    with pytest.raises(DuplicateError, match="another content"):
        import_decree(registry, decree_file(5), actors.diskominfo)
    assert _state(registry) == before


def test_later_decree_keeps_the_number_of_a_known_person(registry, actors, decree_file):
    import_decree(registry, decree_file(2), actors.diskominfo)
    result = import_decree(registry, decree_file(3, name="460/0002/HK"), actors.diskominfo)
    assert result.new_people == 1
    lines = registry.decrees.lines(result.decree.decree_number)
    assert [line.recipient_number for line in lines] == [1, 2, 3]


@pytest.mark.parametrize(
    ("changes", "column"),
    [({"nama": "sari melati1 rekaan"}, "nama"), ({"nomor_kk": "9972020200000001"}, "nomor_kk")],
    ids=["same person under another NIK", "same family"],
)
def test_person_known_under_another_nik_stops_the_whole_file(
    registry, actors, decree_file, changes, column
):
    import_decree(registry, decree_file(2), actors.diskominfo)
    before = _state(registry)
    later = decree_file(3, first=10, name="460/0002/HK", **changes)
    with pytest.raises(DecreeFileError, match="recipient 1") as caught:
        import_decree(registry, later, actors.diskominfo)
    assert [(fault.line, fault.column) for fault in caught.value.faults] == [(13, column)]
    assert _state(registry) == before


WALK = [
    (DecreeState.VERIFICATION, "dinsos"),
    (DecreeState.VALIDATION, "dinsos"),
    (DecreeState.DETERMINATION, "mayor"),
    (DecreeState.EXECUTION, "dinsos"),
]


def test_decree_moves_only_one_stage_and_only_by_its_agency(registry, actors, decree_file):
    number = import_decree(registry, decree_file(1), actors.diskominfo).decree.decree_number
    for done in range(len(WALK) + 1):
        before = registry.decrees.get(number)
        assert before.state.creditable is (done >= 3)
        for who in ("diskominfo", "dinsos", "mayor", "bank"):
            for step in {state: (state, who) for state, _agency in WALK}.values():
                if WALK[done : done + 1] != [step]:
                    with pytest.raises(RuleError):
                        registry.decrees.move(number, step[0], getattr(actors, who))
        assert registry.decrees.get(number) == before
        for state, agency in WALK[done : done + 1]:
            registry.decrees.move(number, state, getattr(actors, agency))


def test_import_by_another_agency_is_refused(registry, actors, decree_file):
    with pytest.raises(RuleError, match=r"art\. 7a, 8"):
        import_decree(registry, decree_file(1), actors.dinsos)


def test_stages_are_dated_with_agency_and_person(registry, actors, determined):
    number, _cards = determined(1)
    steps = registry.decrees.steps(number)
    assert [(step[0].value, step[2]) for step in steps] == [
        ("integrasi", "Diskominfo"),
        ("verifikasi", "Dinsos PM"),
        ("validasi", "Dinsos PM"),
        ("penetapan", "Wali Kota"),
    ]


def test_people_not_yet_verified_stop_validation_until_noted(registry, actors, decree_file):
    file = decree_file(2, hasil_verifikasi="belum")
    number = import_decree(registry, file, actors.diskominfo).decree.decree_number
    registry.decrees.move(number, DecreeState.VERIFICATION, actors.dinsos)
    with pytest.raises(RuleError, match="not verified yet, the first is recipient 2"):
        registry.decrees.move(number, DecreeState.VALIDATION, actors.dinsos)
    registry.decrees.set_outcome(number, 2, LineOutcome.MOVED, actors.dinsos)
    registry.decrees.move(number, DecreeState.VALIDATION, actors.dinsos)
    with pytest.raises(RuleError, match="already"):
        registry.decrees.set_outcome(number, 2, LineOutcome.ELIGIBLE, actors.dinsos)


def test_guide_names_every_column_and_declaration():
    from pathlib import Path

    guide = Path(__file__).resolve().parents[2] / "docs" / "guides" / "decree-file.md"
    text = guide.read_text("utf-8")
    missing = [
        field.name
        for field in (*columns(), *declarations())
        if f"| `{field.name}` | {field.text} | `{field.example}` |" not in text
    ]
    assert missing == []


def test_file_without_an_end_is_stopped_at_the_bound(monkeypatch):
    monkeypatch.setattr("programme.decree.reader.DECREE_BYTES_MAX", 1_000)
    with pytest.raises(DecreeFileError, match="1000"):
        read_decree(Path("/dev/zero"))
