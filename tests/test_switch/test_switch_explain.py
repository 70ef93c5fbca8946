"""The explanation of rules: the pipeline's own functions, in the pipeline's order."""

import pytest

from switch.explain import explain
from switch.rules import load_rules

CASES = """
5411  -  009800        25000  00  -
5499  -  009800        25000  00  -
4814  -  009800        25000  58  food-only
9999  -  009800        25000  58  food-only
5331  -  009800        25000  58  food-only
5331  by-name  009800  25000  00  -
4814  by-name  009800  25000  58  food-only
5411  -  010000        25000  57  no-cash-out
4814  -  090000        25000  57  no-cash-out
5411  -  009800            0  13  amount
5411  -  009800     20000001  13  amount
4814  -  009800            0  58  food-only
"""


@pytest.mark.parametrize("row", [line.split() for line in CASES.strip().splitlines()], ids="/".join)
def test_explain_names_the_rule_that_decides_first(row: list[str]) -> None:
    category, by_name, processing_code, amount, code, rule = row
    told = explain(
        load_rules(), category=category, registered=by_name == "by-name",
        processing_code=processing_code, amount_sen=int(amount) * 100,
    )  # fmt: skip
    assert told.code == code
    assert (told.decisive.reference.rule_id if told.decisive else "-") == rule
    assert len(list(told.lines())) == 4
    assert told.as_json()["code"] == code
