"""The frozen id constructions against vectors that other tools computed, and their laws."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ids import (
    MessageKey,
    compensation_id,
    disbursement_id,
    fingerprint,
    sweep_id,
    transfer_id,
)

VECTORS: dict[str, list[dict[str, Any]]] = tomllib.loads(
    (Path(__file__).parents[2] / "fixtures" / "vectors-ids.toml").read_text("utf-8")
)


@pytest.mark.parametrize("row", VECTORS["transfer"], ids=lambda row: row["name"])
def test_transfer_id_of_vector(row: dict[str, Any]) -> None:
    assert f"{transfer_id(MessageKey(*row['key'])):032x}" == row["id"]


def test_derived_ids_of_vectors() -> None:
    for row in VECTORS["compensation"]:
        assert f"{compensation_id(int(row['original'], 16), row['ordinal']):032x}" == row["id"]
    for row in VECTORS["disbursement"]:
        got = disbursement_id(row["decree"], int(row["card_account"], 16), row["period"])
        assert f"{got:032x}" == row["id"]
    for row in VECTORS["sweep"]:
        assert f"{sweep_id(int(row['tranche'], 16), row['business_date']):032x}" == row["id"]
    for row in VECTORS["fingerprint"]:
        assert f"{fingerprint(*row['parts']):032x}" == row["id"]


element = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)
keys = st.builds(MessageKey, *(element for _ in MessageKey._fields))


@given(keys, keys)
def test_transfer_id_differs_when_any_element_differs(
    first: MessageKey, second: MessageKey
) -> None:
    def normal(key: MessageKey) -> MessageKey:
        return key._replace(acquirer=key.acquirer.lstrip("0"))

    assert (transfer_id(first) == transfer_id(second)) == (normal(first) == normal(second))


@given(keys, st.sampled_from(MessageKey._fields), st.sampled_from(["\x1f", "\n", "é"]))
def test_transfer_id_of_an_element_with_a_control_or_foreign_byte_is_refused(
    key: MessageKey, field: str, bad: str
) -> None:
    with pytest.raises(ValueError, match="no element may hold"):
        transfer_id(key._replace(**{field: bad + "x"}))
