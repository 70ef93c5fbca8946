"""The administration interface: who may do what over HTTP cell by cell, and everything refused."""

# ruff: noqa: F811 - fixtures come from a module of their own
import json

import pytest

from programme.actors import AGENCY_WORDS, Agency, actor_of
from programme.limits import API_BODY_BYTES_MAX
from programme.registry.proposals import ProposalKind
from programme.registry_port import CardStatus
from programme.reports import REPORT_NAMES
from programme.roles import actions, agencies_for
from programme.rows import CardRow
from protocols.values import mask_free_text
from tests.test_programme.api_desk import bank, field, in_parts  # noqa: F401

SHOP = {"name": "Toko", "kind": "mikro", "district": "Palaran", "village": "Bantuas",
        "category": "5499"}  # fmt: skip
DAY = "2026-01-05"

#: Every route that changes or shows something: action of roles.toml -> method, path, body.
CELLS = {
    "person.mark": ("POST", "/recipients/mark",
                    {"recipients": [999], "mark": "mustahik", "until": "2026-12-31"}),
    "decree.integrasi": ("POST", "/decrees", "csv"),
    "decree.verifikasi": ("POST", "/decrees/99/stage", {"stage": "verifikasi"}),
    "decree.validasi": ("POST", "/decrees/99/stage", {"stage": "validasi"}),
    "decree.penetapan": ("POST", "/decrees/99/stage", {"stage": "penetapan"}),
    "decree.pelaksanaan": ("POST", "/decrees/99/stage", {"stage": "pelaksanaan"}),
    "decree.read": ("GET", "/decrees", None),
    "card.at bank": ("POST", "/cards/move", {"cards": [999], "to": "at bank"}),
    "card.collected": ("POST", "/cards/move", {"cards": [999], "to": "collected"}),
    "card.active": ("POST", "/cards/move", {"cards": [999], "to": "active"}),
    "card.printed": ("POST", "/decrees/99/cards", None),
    "card.replaced": ("POST", "/cards/999/replace", None),
    "card.closed": ("POST", "/cards/move", {"cards": [999], "to": "closed"}),
    "card.blocked": ("POST", "/cards/block", {"cards": [999], "reason": "B01"}),
    "card.unblocked": ("POST", "/cards/unblock", {"cards": [999]}),
    "card.read": ("GET", "/cards", None),
    "merchant.register": ("POST", "/merchants", {"merchant": "EWX1", **SHOP}),
    "merchant.designate": ("POST", "/merchants/EWX0/designate", None),
    "merchant.suspend": ("POST", "/merchants/EWX0/suspend", {"reason": "audit"}),
    "merchant.resume": ("POST", "/merchants/EWX0/resume", None),
    "merchant.read": ("GET", "/merchants", None),
    "terminal.switch": ("POST", "/terminals/12409999/off", None),
    "terminal.log_on": ("POST", "/terminals/12409999/log-off", None),
    "terminal.read": ("GET", "/terminals", None),
    "proxy.register": ("POST", "/cards/999/proxies",
                       {"nik": "9972010101900009", "name": "Wakil Rekaan", "reason": "sakit",
                        "days": 9}),
    "proxy.end": ("POST", "/proxies/99/end", None),
    "proposal.read": ("GET", "/proposals", None),
    "proposal.run": ("POST", "/proposals/999/run", None),
    "disbursement.propose": ("POST", "/proposals/disbursement", {"decree": 1, "period": "2026-01"}),
    "sweep.propose": ("POST", "/proposals/sweep", {"day": DAY}),
    "release.propose": ("POST", "/proposals/release", {"decree": 1, "year": 2025}),
    "refund.propose": ("POST", "/proposals/refund",
                       {"sale": "sale", "amount_sen": 100, "reason": "rusak"}),
    "key.propose": ("POST", "/proposals/key",
                    {"terminal": "12409999", "merchant": "EWSMDPLR0000001"}),
    "report.read": ("GET", "/reports/uncollected", None),
    "audit.read": ("GET", "/audit", None),
    "token.issue": ("GET", "/tokens", None),
    "token.revoke": ("POST", "/tokens/9999/revoke", None),
}  # fmt: skip
#: No route: no answer shows a person, tokens are made on the machine, the switch is none of ours,
#: accounts are opened with a shop's designation. Approving is walked below.
WITHOUT_ROUTE = {
    "person.attest_distinct", "person.open", "card.pin", "terminal.register", "account.open",
    *(f"{kind}.approve" for kind in ("disbursement", "sweep", "release", "refund", "key")),
}  # fmt: skip


def test_every_action_of_the_role_table_has_its_cell_or_a_reason():
    assert set(CELLS) | WITHOUT_ROUTE == set(actions())
    assert not set(CELLS) & WITHOUT_ROUTE


@pytest.mark.parametrize("action", CELLS)
def test_each_agency_gets_403_where_the_table_has_no_mark_and_nowhere_else(bank, field, action):
    method, path, body = CELLS[action]
    if isinstance(body, dict) and "sale" in body:
        body = {**body, "sale": field.sale}
    for agency in Agency:
        who = f"{next(w for w, a in AGENCY_WORDS.items() if a is agency)}:staf {agency.name}"
        bank.token(who)
        before = bank.registry.version
        if body == "csv":
            headers = {"Authorization": f"Bearer {bank.token(who)}", "Content-Type": "text/csv"}
            answer = bank.client.request(method, path, content=b"x", headers=headers)
        else:
            answer = bank.ask(who, method, path, body)
        may = agency in agencies_for(action)
        assert (answer.status_code != 403) == may, (agency, answer.text)
        assert answer.status_code < 500, answer.text
        if not may:
            error = answer.json()["error"]
            assert error["code"] == "E-PG-0013"
            assert f"`{action}`" in error["en"]
            assert "tidak berwenang" in error["id"]
            assert bank.registry.version == before, "a refused call changes nothing"


@pytest.mark.parametrize("report", REPORT_NAMES)
def test_each_report_is_for_the_agencies_of_the_table_alone(bank, field, report):
    for word, agency in AGENCY_WORDS.items():
        answer = bank.ask(f"{word}:reader", "GET", f"/reports/{report}")
        may = agency in agencies_for("report.read")
        assert answer.status_code == (200 if may else 403), (word, answer.text)
        if may:
            assert answer.json()["report"] == report


MAKERS = {"disbursement": "dinsos:maker", "sweep": "dinsos:maker", "release": "dinsos:maker",
          "refund": "bank:maker", "key": "bank:maker"}  # fmt: skip


@pytest.mark.parametrize("kind", MAKERS)
def test_second_person_of_the_table_alone_approves_and_never_the_maker(bank, field, kind, actors):
    for agency in Agency:
        terms = {"for": agency.value}
        made = bank.registry.proposals.propose(
            ProposalKind(kind), terms, actor_of(MAKERS[kind])
        ).number
        word = next(w for w, a in AGENCY_WORDS.items() if a is agency)
        same = bank.ask(f"{word}: MAKER", "POST", f"/proposals/{made}/approve")
        other = bank.ask(f"{word}:second", "POST", f"/proposals/{made}/approve")
        if agency in agencies_for(f"{kind}.approve"):
            assert (same.status_code, same.json()["error"]["code"]) == (409, "E-PG-0014")
            assert "orang yang sama" in same.json()["error"]["id"]
            assert (other.status_code, other.json()["state"]) == (200, "approved")
        else:
            assert (same.status_code, other.status_code) == (403, 403)


def test_month_is_proposed_approved_and_paid_by_three_calls_once(bank, field):
    asked = {"decree": field.decree, "period": "2026-02", "amount_sen": 30_000_000}
    made = bank.ok("dinsos:d-01", "POST", "/proposals/disbursement", asked)
    number = made["proposal"]
    early = bank.ask("dinsos:d-02", "POST", f"/proposals/{number}/run")
    assert (early.status_code, early.json()["error"]["code"]) == (409, "E-PG-0014")
    bank.ok("dinsos:d-02", "POST", f"/proposals/{number}/approve")
    job = bank.ended("dinsos:d-02", bank.ok("dinsos:d-02", "POST", f"/proposals/{number}/run"))
    assert (job["state"], job["done"], job["of"]) == ("done", 3, 3)
    assert job["result"]["outcome"] == {"credited_sen": 90_000_000, "held_sen": 0}
    assert bank.ask("dinsos:d-02", "POST", f"/proposals/{number}/run").status_code == 409
    card = bank.ok("auditor:a", "GET", f"/cards/{field.cards[1].card_number}")
    assert card["balance_sen"] == 60_000_000
    assert [month["period"] for month in card["months"]] == ["2026-01", "2026-02"]


def test_auditor_may_not_carry_out_what_two_people_approved(bank, field):
    made = bank.ok("dinsos:d-01", "POST", "/proposals/sweep", {"day": DAY})
    bank.ok("dinsos:d-02", "POST", f"/proposals/{made['proposal']}/approve")
    asked = bank.ask("auditor:a", "POST", f"/proposals/{made['proposal']}/run")
    assert (asked.status_code, asked.json()["error"]["code"]) == (403, "E-PG-0013")
    assert bank.ok("auditor:a", "GET", "/jobs")["jobs"] == []
    assert bank.ok("auditor:a", "GET", f"/proposals/{made['proposal']}")["state"] == "approved"


def test_block_answers_when_it_is_in_force_and_names_no_one(bank, field):
    number = field.cards[0].card_number
    done = bank.ok("dinsos:d-01", "POST", "/cards/block", {"cards": [number], "reason": "B01"})
    assert bank.registry.card(number).status is CardStatus.BLOCKED
    assert done["cards"][0]["reason"] == "B01"
    assert set(done["cards"][0]) == set(CardRow.model_fields)


def test_no_answer_holds_a_person_or_a_card_number(bank, field):
    texts = [
        bank.ask("diskominfo:k-01", "GET", path).text
        for path in ("/cards", "/cards/1", "/decrees", "/decrees/1", "/merchants", "/proposals",
                     "/audit?count=500", "/audit/verify", "/tokens", "/reports/uncollected",
                     "/cards/1/proxies", "/terminals")
    ]  # fmt: skip
    for text in texts:
        assert "Rekaan" not in text.replace("E-Warong", "")
        assert "9972010" not in text
        assert mask_free_text(_without_ids(text)) == _without_ids(text)


def _without_ids(text):
    """Take hashes and ledger ids out: they are no personal numbers."""
    found = json.loads(text)

    def clean(value):
        if isinstance(value, dict):
            return {k: clean(v) for k, v in value.items() if k not in ("chain", "root_hash")}
        return [clean(v) for v in value] if isinstance(value, list) else value

    return json.dumps(clean(found))


@pytest.mark.parametrize(
    ("header", "status"),
    [(None, 401), ("Bearer", 401), ("Bearer zz", 401), ("Bearer " + "0" * 64, 401),
     ("Basic " + "0" * 64, 401), ("Bearer " + "0" * 63 + "ä", 401)],
)  # fmt: skip
def test_call_without_a_valid_token_gets_401_in_both_languages(bank, header, status):
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    answer = bank.client.get("/cards", headers=headers)
    assert answer.status_code == status
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "E-PG-0501"
    assert "token yang sah" in answer.json()["error"]["id"]


def test_expired_and_revoked_tokens_are_refused_from_that_moment(bank):
    assert bank.ask("dinsos:d-01", "GET", "/cards").status_code == 200
    number = bank.ok("operator:op-01", "GET", "/tokens")["tokens"][0]["token"]
    bank.ok("operator:op-02", "POST", f"/tokens/{number}/revoke")
    assert bank.ask("dinsos:d-01", "GET", "/cards").status_code == 401
    bank.clock.move(days=29)
    assert bank.ask("operator:op-02", "GET", "/tokens").status_code == 200
    bank.clock.move(days=1)
    assert bank.ask("operator:op-02", "GET", "/tokens").status_code == 401


def test_checker_whose_token_ends_in_between_approves_nothing_and_another_one_does(bank, field):
    bank.token("dinsos:d-01"), bank.token("dinsos:d-03")
    asked = {"decree": field.decree, "period": "2026-02"}
    number = bank.ok("dinsos:d-01", "POST", "/proposals/disbursement", asked)["proposal"]
    short = {"Authorization": f"Bearer {bank.token('dinsos:d-02', days=1)}"}
    bank.clock.move(days=1)
    for path in ("approve", "run"):
        answer = bank.client.post(f"/proposals/{number}/{path}", headers=short)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "E-PG-0501")
    assert bank.ok("dinsos:d-01", "GET", f"/proposals/{number}")["state"] == "proposed"
    bank.ok("dinsos:d-03", "POST", f"/proposals/{number}/approve")
    job = bank.ok("dinsos:d-03", "POST", f"/proposals/{number}/run")
    assert bank.ended("dinsos:d-03", job)["state"] == "done"


def test_job_goes_on_although_its_askers_token_is_revoked(bank, field):
    asked = {"decree": field.decree, "period": "2026-02"}
    number = bank.ok("dinsos:d-01", "POST", "/proposals/disbursement", asked)["proposal"]
    bank.ok("dinsos:d-02", "POST", f"/proposals/{number}/approve")
    job = bank.ok("dinsos:d-02", "POST", f"/proposals/{number}/run")
    for token in bank.ok("operator:op-09", "GET", "/tokens")["tokens"]:
        if token["bearer"].endswith("d-02"):
            bank.ok("operator:op-09", "POST", f"/tokens/{token['token']}/revoke")
    assert bank.ask("dinsos:d-02", "GET", f"/jobs/{job['job']}").status_code == 401
    assert bank.ended("dinsos:d-01", job)["state"] == "done"


@pytest.mark.parametrize("host", ["evil.test", "kartu.test.evil.test", "", "kartu.test@evil.test"])
def test_other_host_name_is_refused_before_the_token_is_looked_at(bank, host):
    answer = bank.ask("dinsos:d-01", "GET", "/cards", headers={"Host": host})
    assert (answer.status_code, answer.json()["error"]["code"]) == (421, "E-PG-0502")
    assert bank.rates.names == []


def test_allowed_host_name_may_carry_a_port_and_capitals(bank):
    answer = bank.ask("dinsos:d-01", "GET", "/cards", headers={"Host": "Kartu.Test:8480"})
    assert answer.status_code == 200


@pytest.mark.parametrize("is_told", [True, False])
def test_oversized_body_is_refused_whether_its_length_is_told_or_not(bank, is_told):
    size = API_BODY_BYTES_MAX + 1
    content = b"x" * size if is_told else in_parts(b"x" * 60_000, b"x" * 60_000)
    headers = {"Authorization": f"Bearer {bank.token('dinsos:d-01')}"}
    answer = bank.client.post("/cards/block", content=content, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "E-PG-0503")
    assert bank.services.asked == []


def test_too_many_calls_of_a_bearer_or_of_strangers_get_429(bank):
    bank.token("dinsos:d-01")
    bank.rates.left = 1
    codes = [bank.ask("dinsos:d-01", "GET", "/cards").status_code for _ in range(2)]
    assert codes == [200, 429]
    assert set(bank.rates.names) == {"dinsos:d-01"}
    bank.unknown.left = 1
    codes = [bank.client.get("/cards").status_code for _ in range(2)]
    assert codes == [401, 429]


WRONG = [
    ("POST", "/cards/block", {"cards": [1]}, "reason"),
    ("POST", "/cards/block", {"cards": ["1"], "reason": "B01"}, "cards.0"),
    ("POST", "/cards/block", {"cards": [True], "reason": "B01"}, "cards.0"),
    ("POST", "/cards/block", {"cards": [], "reason": "B01"}, "cards"),
    ("POST", "/cards/block", {"cards": [1], "reason": "B99"}, "reason"),
    ("POST", "/cards/block", {"cards": [1], "reason": "B01", "actor": "dinsos:x"}, "actor"),
    ("POST", "/cards/block", {"cards": [2**31], "reason": "B01"}, "cards.0"),
    ("POST", "/proposals/sweep", {"day": 20260105}, "day"),
    ("POST", "/proposals/sweep", {"day": "2026-1-5"}, "day"),
    ("POST", "/proposals/sweep", {"day": "2026-02-30"}, "day"),
    ("POST", "/proposals/disbursement", {"decree": 1, "period": "2026-13"}, "period"),
    ("POST", "/merchants", {"merchant": "E W", **SHOP}, "merchant"),
    ("GET", "/cards/0", None, "card"),
    ("GET", "/cards?limit=100000", None, "limit"),
    ("GET", "/cards?status=lost", None, "status"),
]


@pytest.mark.parametrize(("method", "path", "body", "where"), WRONG)
def test_request_that_does_not_fit_is_told_where_and_does_nothing(bank, method, path, body, where):
    answer = bank.ask("dinsos:d-01", method, path, body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "E-PG-0505")
    assert any(where in fault for fault in error["faults"]), error
    assert bank.services.asked == []


def test_unknown_path_and_method_have_the_one_shape(bank):
    nowhere = bank.ask("dinsos:d-01", "GET", "/nowhere")
    wrong = bank.ask("dinsos:d-01", "DELETE", "/cards")
    assert (nowhere.status_code, nowhere.json()["error"]["code"]) == (404, "E-PG-0506")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "E-PG-0507")


def test_fault_of_the_program_is_told_without_its_inside(bank, monkeypatch):
    def breaks(*_):
        raise ZeroDivisionError("9972010101900009")

    monkeypatch.setattr(bank.services, "do", breaks)
    answer = bank.ask("dinsos:d-01", "POST", "/merchants/resume-due")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "E-PG-0599")
    assert "9972" not in answer.text


def test_decree_file_is_taken_in_over_http_and_a_fault_names_its_line(bank, decree_text):
    headers = {"Authorization": f"Bearer {bank.token('diskominfo:k-01')}",
               "Content-Type": "text/csv"}  # fmt: skip
    good = decree_text(3).encode()
    taken = bank.client.post("/decrees", content=good, headers=headers)
    assert (taken.status_code, taken.json()["new_people"]) == (200, 3)
    again = bank.client.post("/decrees", content=good, headers=headers)
    assert again.json()["changed"] is False
    bad = decree_text(2, name="460/0002/HK/2026", nik="123").encode()
    refused = bank.client.post("/decrees", content=bad, headers=headers)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (422, "E-PG-0201")
    assert all(fault.startswith("decree.csv:") for fault in error["faults"])
    assert bank.registry.people.count() == 3


def test_bank_list_is_matched_over_http_and_a_fault_names_its_line(bank, field):
    head = "#nomor_sk: 460/0001/HK/2025\n#periode: 2026-01\n#pemisah: ;\nnik;nominal;tanggal\n"
    line = "99720101{:08d};300000;2026-01-06\n"

    def match(text, who="auditor:a-01"):
        kind = {"Content-Type": "text/csv"}
        return bank.ask(who, "POST", "/match", content=text.encode(), headers=kind)

    whole = match(head + "".join(map(line.format, (1, 2, 3)))).json()
    assert (whole["agrees"], whole["agreeing"], whole["bank_sen"]) == (True, 3, 90_000_000)
    part = match(head + "".join(map(line.format, (1, 2)))).json()
    assert (part["agrees"], part["count"]) == (False, 1)
    assert part["differences"][0]["recipient"] == "3"
    wrong = match(head + line.format(1).replace("2026-01-06", "6/1/2026"))
    assert wrong.status_code == 422
    assert wrong.json()["error"]["faults"][0].startswith("bank.csv:5: tanggal: ")
    assert match(head, "e-warong:w-01").status_code == 403


def test_every_route_of_the_description_names_its_errors_and_has_a_summary(bank):
    described = bank.ask("auditor:a", "GET", "/openapi.json").json()
    for path, methods in described["paths"].items():
        for method, route in methods.items():
            assert {"401", "403", "409", "422", "429", "503"} <= set(route["responses"]), path
            assert route["summary"], path
            assert len(route["description"]) > 10, path
            assert route["security"] == [{"HTTPBearer": []}], (path, method)
