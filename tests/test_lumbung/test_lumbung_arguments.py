"""What does not fit an act is said in both languages before anything is opened or asked."""

import pytest

from lumbung.carrier import _SAID_OF, ArgumentsError, Carrier
from programme.actors import Actor, Agency
from programme.acts import ACTS
from protocols.catalogue import LANGUAGES, keys, text

DINSOS = Actor(Agency.DINSOS_PM, "staf-02")
PROXY = {"card": 1, "nik": "9972010101900009", "name": "Wakil Rekaan", "reason": "sakit", "days": 9}

WRONG = [
    ("proxy-add", {**PROXY, "nik": "997201010190000"}, "nik", "16 angka", "16 digits"),
    ("proxy-add", {**PROXY, "nik": "99720101019000090"}, "nik", "16 angka", "16 digits"),
    # Digits of another script look alike and would be another person's.
    ("proxy-add", {**PROXY, "nik": "\uff19972010101900009"}, "nik", "16 angka", "16 digits"),
    ("proxy-add", {**PROXY, "days": 0}, "days", "jumlah hari", "number of days"),
    ("propose-disbursement", {"decree": 1, "period": "2026-13"}, "period", "bulan", "month"),
    ("propose-disbursement", {"decree": 0, "period": "2026-01"}, "decree", "nomor", "number"),
    ("propose-disbursement", {"decree": 1, "period": "2026-01", "amount_sen": -1}, "amount_sen",
     "nominal", "amount"),
    ("propose-sweep", {"day": "31/02/2026"}, "day", "tanggal", "date"),
    ("merchant-suspend", {"merchant": "A B", "reason": "audit"}, "merchant", "toko", "shop"),
    ("propose-sweep", {"day": "2026-01-05", "warna": "hijau"}, "warna", "--help", "--help"),
]  # fmt: skip


@pytest.mark.parametrize(("act", "asked", "field", "bahasa", "english"), WRONG)
def test_argument_that_does_not_fit_is_told_before_anything_is_opened(
    tmp_path, act, asked, field, bahasa, english
):
    with pytest.raises(ArgumentsError) as wrong:
        Carrier(tmp_path / "nothing").do(act, asked, DINSOS)
    assert wrong.value.said("id").startswith(f"{field}: ")
    assert bahasa in wrong.value.said("id")
    assert english in wrong.value.said("en")
    assert "9972" not in str(wrong.value)
    assert wrong.value.exit_code == 2


def test_every_argument_of_an_act_that_people_type_has_its_own_words():
    named = {field for act in ACTS.values() for field in act.asked.model_fields}
    chosen = {"to", "stage", "kind", "on", "purse", "year"}  # a choice of the command itself
    assert named - set(_SAID_OF) == chosen
    for kind in {"argument.other", *_SAID_OF.values()}:
        assert kind in keys("id")
        assert len({text(kind, lang, why="x") for lang in LANGUAGES}) == 2
