"""The refusal table: every code of domain.md 7.2, complete, short enough, blaming nobody."""

import re
from dataclasses import fields

import pytest

from protocols.catalogue import (
    DISPLAY_COLUMNS,
    outcome_line_2,
    placeholders,
    reason_sentence,
)
from protocols.refusals import OutcomeText, outcome_texts, reason_texts
from tests.blame import BLAME

#: The table of domain.md 7.2 with the display lines as it words them.
DOMAIN_TABLE = """
00 BERHASIL / Ambil struk
10 SEBAGIAN DISETUJUI / Lihat nominal
03 TOKO TIDAK TERDAFTAR / Hubungi bank
05 DITOLAK / Hubungi 0541-xxx
12 TRANSAKSI SALAH / Ulangi menu
13 NOMINAL SALAH / Ketik ulang
14 KARTU TIDAK DIKENAL / Bukan kartu SSN
17 DIBATALKAN / Saldo tetap
19 ULANGI TRANSAKSI / Saldo tetap
25 DATA TIDAK ADA / Cek nomor trace
30 SALAH FORMAT / Hubungi bank
38 PIN TERBLOKIR / Ke Dinsos/Bank
41 KARTU HILANG / Jangan dipakai
43 KARTU DICURI / Hubungi petugas
51 SALDO TIDAK CUKUP / Sisa Rp 58.500
54 KARTU KEDALUWARSA / Ganti di Diskominfo
55 PIN SALAH / Sisa 2 kali
57 HANYA BAHAN PANGAN / Tidak bisa tunai
58 DI LUAR KETENTUAN / Bukan toko pangan
61 MELEBIHI BATAS / Maks Rp 900.000
62 KARTU DIBLOKIR / Lihat alasan
63 KUNCI EDC SALAH / Hubungi bank
65 TERLALU SERING / Coba besok
68 TERLAMBAT / Jangan gesek ulang
75 PIN TERBLOKIR / Ke Dinsos/Bank
76 SUDAH DIBATALKAN / Lihat struk
77 DATA BEDA / Cek struk asli
78 KARTU BELUM AKTIF / Aktivasi dahulu
88 CHIP TIDAK SAH / Hubungi petugas
90 TUTUP HARIAN / Tunggu 1 menit
91 BANK GANGGUAN / Tunggu, saldo tetap
92 TIDAK ADA JALUR / Hubungi bank
94 SUDAH DIPROSES / Lihat hasil awal
95 TOTAL TIDAK SAMA / Unggah batch
96 SISTEM GANGGUAN / Saldo tetap
98 BATAS OFFLINE HABIS / Tunggu jaringan
"""
DOMAIN_LINES = {
    line[:2]: tuple(line[3:].split(" / ")) for line in DOMAIN_TABLE.strip().splitlines()
}
DOMAIN_VALUES = {"help_line": "0541-xxx", "balance": "58.500", "tries": "2", "limit": "900.000"}
WIDEST_VALUES = {
    "help_line": "0541-7777777",
    "balance": "20.000.000",
    "tries": "2",
    "limit": "20.000.000",
}
DOMAIN_REASONS = {
    *("P01", "P02", "P03", "P04"),
    *("B01", "B02", "B03", "B04", "B05", "B06"),
    *("Z01", "Z02", "Z03", "N"),
}
ACTORS = {"operator", "cardholder", "help desk", "bank", "none"}
SOUNDS = {"success", "notice", "ask", "refused", "alarm"}


def test_table_codes_equal_the_domain_list() -> None:
    assert outcome_texts().keys() == DOMAIN_LINES.keys()
    assert len(DOMAIN_LINES) == 36


def test_reasons_cover_the_domain_list_and_the_stolen_card() -> None:
    assert reason_texts().keys() >= DOMAIN_REASONS
    assert reason_texts().keys() - DOMAIN_REASONS == {"B07", "H01", "L", "T01", "W01"}


@pytest.mark.parametrize("code", sorted(DOMAIN_LINES))
def test_display_lines_equal_the_domain_wording(code: str) -> None:
    outcome = outcome_texts()[code]
    lines = (outcome.line_1, outcome_line_2(outcome, **DOMAIN_VALUES))
    assert lines == DOMAIN_LINES[code]


@pytest.mark.parametrize("outcome", outcome_texts().values(), ids=lambda outcome: outcome.code)
def test_every_code_is_complete_and_fits(outcome: OutcomeText) -> None:
    for field in fields(outcome):
        value = getattr(outcome, field.name)
        assert value == value.strip() != "", f"{outcome.code}.{field.name} is empty or padded"
    assert len(outcome.line_1) <= DISPLAY_COLUMNS
    assert len(outcome_line_2(outcome, **WIDEST_VALUES)) <= DISPLAY_COLUMNS
    assert len(outcome_line_2(outcome)) <= DISPLAY_COLUMNS
    assert len(placeholders(outcome.line_2)) <= 1
    assert placeholders(outcome.line_2) <= WIDEST_VALUES.keys()
    assert outcome.actor in ACTORS
    assert outcome.sound in SOUNDS
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", outcome.icon)


@pytest.mark.parametrize("outcome", outcome_texts().values(), ids=lambda outcome: outcome.code)
def test_sentences_are_plain_differ_by_language_and_blame_nobody(outcome: OutcomeText) -> None:
    sentences = (
        outcome.sentence_id,
        outcome.sentence_en,
        outcome.next_step_id,
        outcome.next_step_en,
    )
    for sentence in sentences:
        assert sentence.endswith(".")
        assert sentence[0].isupper()
        assert not placeholders(sentence)
        assert not BLAME.search(sentence), sentence
    assert outcome.sentence_id != outcome.sentence_en
    assert outcome.next_step_id != outcome.next_step_en


@pytest.mark.parametrize("code", sorted(reason_texts()))
def test_reasons_speak_both_languages_and_blame_nobody(code: str) -> None:
    reason = f"{code}=2" if code in ("N", "L") else code
    assert len(reason) <= 25
    indonesian, english = reason_sentence(reason), reason_sentence(reason, "en")
    assert indonesian != english
    for sentence in (indonesian, english):
        assert sentence.endswith(".")
        assert not BLAME.search(sentence), sentence


def test_blame_words_are_recognised() -> None:
    assert BLAME.search("PIN Anda salah.")
    assert BLAME.search("You forgot the PIN.")
    assert not BLAME.search("PIN belum cocok.")


def test_unknown_reason_gives_no_sentence() -> None:
    assert reason_sentence("Q42") == ""
    assert reason_sentence("N") == ""
