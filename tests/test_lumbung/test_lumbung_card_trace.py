"""`lumbung card new --profile FILE` and `lumbung card trace`."""

import json
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cardsim import CardImage, ProfileError
from cardsim.errors import CardImageError
from lumbung.cards import held_image
from lumbung.cli import root

pytestmark = pytest.mark.slow

PLAN = '[[fault]]\naction = "slow"\ncommand = "GENERATE_AC"\ndelay_ms = 1\n'


def run(*arguments: str) -> Result:
    return CliRunner().invoke(root, ["card", *arguments], catch_exceptions=False)


@pytest.fixture
def card(tmp_path: Path) -> Path:
    file = tmp_path / "card.json"
    assert run("new", str(file), "--seed", "7", "--name", "SITI CONTOH").exit_code == 0
    return file


def test_trace_shows_every_exchange_and_the_outcome_and_keeps_the_counter(card: Path) -> None:
    done = run("trace", str(card), "--amount", "5000")
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert lines[0].endswith("> power")
    assert lines[-1] == "approved (approved), cryptogram genuine"
    image = CardImage.load(card)
    assert image.applications[0].state.atc == 1
    pan = image.applications[0].records[2, 1].hex()[8:24]
    assert pan.startswith("9360")
    assert pan not in done.output
    assert "SITI" not in done.output


def test_trace_as_json_names_the_fault_beside_its_exchange(card: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    report = json.loads(run("trace", str(card), "--faults", str(plan), "--json").output)
    struck = [item for item in report["exchanges"] if item["fault"]]
    assert [(item["fault"], item["command"][:4]) for item in struck] == [("slow", "80AE")]
    assert struck[0]["meaning"]
    assert (report["outcome"], report["reason"]) == ("approved", "approved")
    assert (report["approved"], report["cryptogram_genuine"]) == (True, True)


@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        (("--host", "decline"), "declined (host-declined), cryptogram genuine"),
        (("--host", "silent"), "declined (unable-to-go-online)"),
        (("--tap",), "approved (approved-tap), cryptogram genuine"),
    ],
)
def test_trace_ends_as_the_host_says(card: Path, arguments: tuple[str, ...], last: str) -> None:
    assert run("trace", str(card), *arguments).output.splitlines()[-1] == last


def test_trace_dry_run_leaves_the_card_as_it_is(card: Path) -> None:
    before = card.read_bytes()
    assert run("trace", str(card), "--dry-run").exit_code == 0
    assert card.read_bytes() == before


def test_trace_dry_run_writes_nothing_beside_the_card_either(card: Path) -> None:
    beside = sorted(card.parent.iterdir())
    with held_image(card):
        assert run("trace", str(card), "--dry-run").exit_code == 0
    assert [path for path in sorted(card.parent.iterdir()) if path.suffix != ".lock"] == beside
    for path in card.parent.glob(".*.lock"):
        path.unlink()
    assert run("trace", str(card), "--dry-run").exit_code == 0
    assert sorted(card.parent.iterdir()) == beside


def test_list_names_what_is_damaged_by_its_code_and_an_empty_folder(
    card: Path, tmp_path: Path
) -> None:
    (card.parent / "other.json").write_text("{}")
    listed = run("list", str(card.parent))
    assert listed.exit_code == 1
    assert "E-CS-0001" in listed.output
    assert "SSN PANGAN" in listed.output
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no card images" in run("list", str(empty)).output


def test_trace_of_a_card_in_another_reader_or_a_damaged_file_is_refused(card: Path) -> None:
    with held_image(card), pytest.raises(CardImageError, match="another reader"):
        run("trace", str(card))
    card.write_text("{}")
    with pytest.raises(CardImageError, match="not a readable card image"):
        run("trace", str(card))


def test_apdu_refuses_a_card_in_another_reader(card: Path) -> None:
    with held_image(card), pytest.raises(CardImageError, match="another reader"):
        run("apdu", str(card), "0084000000")


def test_new_from_an_own_profile_makes_that_card(tmp_path: Path) -> None:
    text = files("cardsim").joinpath("profiles", "ssn.toml").read_text("utf-8")
    profile, file = tmp_path / "mine.toml", tmp_path / "mine.json"
    profile.write_text(text.replace("SSN PANGAN", "UJI KAMI"))
    assert run("new", str(file), "--profile", str(profile)).exit_code == 0
    assert CardImage.load(file).applications[0].label == "UJI KAMI"
    assert run("trace", str(file)).output.endswith("cryptogram genuine\n")


#: What is wrong with an own profile: text, what stands in its place, what the refusal says.
WRONG = [
    ("sfi = 2\nnumber = 1", "sfi = 2\nnumber = 1\ncolour = 1", "unknown key 'colour'"),
    ('aip = "1C00"', 'aip = "1C"', "aip is 2 to 2 bytes"),
    ('  ["5A", "{pan}"],\n', "", "no record holds 5A"),
    ('  ["5A", "{pan}"],\n', '  ["5A", "{number}"],\n', "objects is no hex text"),
    ('["5F20", "{name}"]', '["5F20name", "{name}"]', "'5F20name' is no tag"),
    ('["5F20", "{name}"]', '["5F", "{name}"]', "'5F' is no tag"),
    ('"9F37 4", "9F35 1"', '"9F35 1"', "cdol1 does not ask for 9F37"),
    ('label = "SSN PANGAN"\n', "", "key 'label' is missing"),
    ("priority = 1", 'priority = "1"', "priority must be of type int"),
    ('service_code = "625"', "service_code = 625", "service_code must be of type str"),
    ('atr = "3BE000008131FE45EB"', 'atr = "3B"', "atr is 2 to 33 bytes"),
]


@pytest.mark.parametrize(("old", "new", "says"), WRONG, ids=[row[2] for row in WRONG])
def test_new_from_a_wrong_profile_is_refused_with_file_and_line(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    text = files("cardsim").joinpath("profiles", "ssn.toml").read_text("utf-8")
    assert old in text
    profile, file = tmp_path / "mine.toml", tmp_path / "mine.json"
    profile.write_text(text.replace(old, new, 1))
    with pytest.raises(ProfileError) as caught:
        run("new", str(file), "--profile", str(profile))
    where, line, what = caught.value.external.split(":", 2)
    assert (where, line.isdigit()) == (str(profile), True)
    assert says in what
    assert not file.exists()


def test_new_with_two_profiles_makes_one_card_of_both(tmp_path: Path) -> None:
    file = tmp_path / "both.json"
    done = run("new", str(file), "--profile", "ssn", "--profile", "nsiccs-debit")
    assert done.exit_code == 0
    assert "SSN PANGAN" in done.output
    assert "GPN DEBIT" in done.output
    assert run("trace", str(file)).output.endswith("cryptogram genuine\n")


def test_show_tells_counters_balance_mirror_and_log(card: Path) -> None:
    run("trace", str(card), "--amount", "5000")
    run("trace", str(card), "--amount", "7000", "--host", "decline")
    [application] = json.loads(run("show", str(card), "--json").output)["applications"]
    assert (application["atc"], application["last_online_atc"]) == (2, 2)
    assert (application["unfinished"], application["pin_tries"]) == (False, None)
    assert application["balance_sen"] == 0
    assert application["balance_at"].endswith("+08:00")
    logged = [(e["atc"], e["cryptogram"], e["amount_sen"]) for e in application["log"]]
    assert logged == [(2, "AAC", 700_000), (1, "TC", 500_000)]
    shown = run("show", str(card)).output
    assert "last online ATC 2" in shown
    assert "log: ATC 1 TC 5,000.00" in shown


def test_show_of_a_log_with_an_amount_that_is_none_says_so(card: Path) -> None:
    image = CardImage.load(card)
    image.applications[0].state.log = (b"\x33" + b"\xff" * 6 + bytes(8),)
    image.save(card)
    assert "log: ATC 0 33 no number on 000000" in run("show", str(card)).output


def test_show_of_an_image_with_an_odd_log_or_mirror_is_one_clear_error(card: Path) -> None:
    image = CardImage.load(card)
    state = image.applications[0].state
    for field, value in (("log", (b"\x40",)), ("balance_mirror", bytes(3))):
        kept = getattr(state, field)
        setattr(state, field, value)
        image.save(card)
        with pytest.raises(CardImageError, match="a field is missing or has another form"):
            run("show", str(card))
        setattr(state, field, kept)
