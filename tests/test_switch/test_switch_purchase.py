"""Purchases over the pipeline: each DE39 of domain.md 3.4 with its reason and its postings."""



def test_purchase_within_balance_is_approved_with_balance_months_and_arpc(counter):
    request = counter.edc.purchase(counter.chip, 14_150_000)
    (answer,) = counter.edc.send(request)
    assert answer.mti == "0210"
    assert answer.text(39) == "00"
    assert len(answer.text(38)) == 6
    assert answer.groups(54)[0]["amount"] == f"{15_850_000:012d}"
    assert answer.groups(63, "months") == [{"period": "202601", "amount": f"{15_850_000:012d}"}]
    assert counter.chip.issuer_is_genuine(request, answer)
    assert counter.world.card_balance(counter.chip) == 15_850_000
    assert counter.world.balance(5_017) == 14_150_000
