"""switch.toml and the rule file: every fault with file, line, what is allowed, how to mend."""

from datetime import date, time
from importlib.resources import files
from pathlib import Path

import pytest

from protocols.errors import ConfigurationError
from switch.assembly import cut_over_shift_ns
from switch.config import HostConfig, SwitchConfig, load
from switch.outcomes import OutcomeKind, ledger_outcomes
from switch.rules import Food, load_categories, load_rules, parse_categories


def write(directory, text, name="switch.toml"):
    path = directory / name
    path.write_text(text, "utf-8")
    return path


def test_defaults_listen_on_loopback_only():
    assert SwitchConfig().listen.host == "127.0.0.1"


def test_good_file_is_read_and_a_relative_rule_file_stands_beside_it(tmp_path):
    path = write(
        tmp_path,
        'node = "samarinda-1"\nrules = "city.toml"\n[listen]\nport = 8583\n'
        "[business_day]\ncut_over = 23:00:00\n",
    )
    config = load(path)
    assert (config.node, config.listen.port) == ("samarinda-1", 8583)
    assert config.rules == tmp_path / "city.toml"
    assert config.business_day.cut_over == time(23)


@pytest.mark.parametrize(
    ("text", "line", "key", "hint"),
    [
        ("prot = 1\n", 1, "prot", "node"),
        ("[listen]\n# why\nprot = 8583\n", 3, "listen.prot", "port"),
        ("[listen]\nport = 70000\n", 2, "listen.port", "0 to 65535"),
        ('[listen]\nport = "many"\n', 2, "listen.port", "0 to 65535"),
        ('[listen]\nhost = "0.0.0.0"\n', 1, "listen", "remote"),
        ('[listen]\nhost = "localhost"\n', 1, "listen", "IP address"),
        ('[listen]\nspec = "visa"\n', 2, "listen.spec", "there are bank, edc"),
        ("[connections]\nmaximum = 0\n", 2, "connections.maximum", "1 to 32768"),
        ('[listen]\nhost = "0.0.0.0"\nremote = true\n', 1, "listen", "TLS"),
        ('[listen]\nframing = "odd"\n', 2, "listen.framing", "bcd-2-tpdu"),
        ('[[links]]\nport = "x"\n', 2, "links.0.port", "0 to 65535"),
        ("[business_day]\ncut_over = 25\n", 2, "business_day.cut_over", "time of day"),
        ("node = \n", 1, "file", "TOML"),
        ('node = "n"\n\nx = [', 3, "file", "TOML"),
    ],
)
def test_fault_is_told_with_file_line_key_and_what_is_allowed(tmp_path, text, line, key, hint):
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: {key}: ")
    assert " - allowed: " in message
    assert hint in message


def test_every_fault_is_told_at_once(tmp_path):
    path = write(tmp_path, "[listen]\nport = -1\nprot = 2\n[keys]\nissuer_cryptogram = ''\n")
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in lines] == ["2", "3", "5"]


def test_missing_file_and_wrong_encoding_are_told(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        load(tmp_path / "none.toml")
    path = tmp_path / "latin.toml"
    path.write_bytes(b'node = "a"\n# caf\xe9\n')
    with pytest.raises(ConfigurationError, match=":2: file: not UTF-8"):
        load(path)


def test_remote_address_is_accepted_when_asked_for_by_name_with_tls(tmp_path):
    path = write(
        tmp_path,
        '[listen]\nhost = "0.0.0.0"\nremote = true\n'
        '[listen.tls]\ncertificate = "switch.pem"\nkey = "/etc/switch.key"\n',
    )
    listen = load(path).listen
    assert listen.host == "0.0.0.0"
    assert listen.tls is not None
    assert str(listen.tls.certificate) == str(tmp_path / "switch.pem")
    assert str(listen.tls.key) == "/etc/switch.key"


def test_examples_of_the_page_are_valid(tmp_path):
    page = (Path(__file__).parents[2] / "docs/reference/switch-operation.md").read_text("utf-8")
    examples = [part.partition("```")[0] for part in page.split("```toml\n")[1:]]
    links, hosts = (load(write(tmp_path, example)) for example in examples)
    assert [link.link for link in links.all_links] == ["edc", "edc-tls", "concentrator"]
    assert hosts.hosts[0].keys_by_mti == {"08": (7, 11)}


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ({"host": "10.0.0.1"}, "remote = true"),
        ({"framing": "edc"}, "with a TPDU"),
        ({"keys": []}, "keys"),
        ({"back_off_ms": 5_000, "back_off_longest_ms": 10}, "back_off_ms"),
        ({"spec": "visa"}, "no such spec"),
    ],
)
def test_host_that_is_wrong_is_told(host, why):
    good = {"name": "bank", "host": "127.0.0.1", "port": 9_000}
    assert HostConfig.model_validate(good).tls_name == "127.0.0.1"
    with pytest.raises(ValueError, match=why):
        HostConfig.model_validate({**good, **host})


def test_further_links_have_their_own_dialect_and_a_name_each(tmp_path):
    config = load(write(tmp_path, '[[links]]\nspec = "bank"\n'))
    assert [link.link for link in config.all_links] == ["edc", "bank"]
    assert config.links[0].frames.length_encoding == "ascii"
    with pytest.raises(ConfigurationError, match="two links have one name"):
        load(write(tmp_path, '[[links]]\nspec = "edc"\n'))


@pytest.mark.parametrize(
    ("cut_over", "hours"), [(time(0), 0), (time(23), 1), (time(22, 30), 1.5), (time(1), 23)]
)
def test_cut_over_shifts_the_business_date(cut_over, hours):
    config = SwitchConfig.model_validate({"business_day": {"cut_over": cut_over}})
    assert cut_over_shift_ns(config) == hours * 3600 * 10**9


def test_built_in_rules_name_their_law_and_are_in_force_from_their_day():
    rules = load_rules()
    assert rules.missing_on(date(2025, 9, 23)) is None
    assert rules.missing_on(date(2025, 9, 22)) == "message-window"
    for reference in rules.references.values():
        assert reference.version >= 1
        assert reference.legal_basis


def test_rule_file_with_a_fault_names_its_line(tmp_path):
    text = files("switch").joinpath("data/rules.toml").read_text("utf-8")
    path = write(tmp_path, text.replace("tries = 3", "tries = 0\nretries = 1"), "rules.toml")
    number = text.splitlines().index("tries = 3") + 1
    with pytest.raises(ConfigurationError) as caught:
        load_rules(path)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"{path}:{number}: rule.pin.tries: ")
    assert lines[1].startswith(f"{path}:{number + 1}: rule.pin.retries: ")


def test_fault_in_a_rule_with_a_dash_tells_what_is_allowed(tmp_path):
    text = files("switch").joinpath("data/rules.toml").read_text("utf-8")
    path = write(tmp_path, text.replace("cards = 12\n", "") + "[rule.card-stak]\n", "rules.toml")
    with pytest.raises(ConfigurationError) as caught:
        load_rules(path)
    missing, unknown = str(caught.value).splitlines()
    assert "rule.card-stack.cards: Field required - allowed: 2 to 100 cards" in missing
    assert "rule.card-stak: " in unknown
    assert "card-stack, card-state" in unknown


def test_rule_file_that_ends_refuses_every_sale(counter):
    desk = counter.world.node.core._desk
    from dataclasses import replace

    food = desk.rules.rules.food_only.model_copy(update={"ends_on": date(2026, 1, 4)})
    desk.rules = replace(desk.rules, rules=desk.rules.rules.model_copy(update={"food_only": food}))
    assert counter.buy(100_000).text(39) == "05"


def test_categories_are_all_there_once_with_a_judgement():
    categories = load_categories()
    assert len(categories) == 86
    assert categories["5411"].food is Food.YES
    assert categories["5331"].food is Food.CONDITIONAL
    assert categories["5812"].food is Food.NO


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("541,x,yes,r,s", "code"),
        ("5411,x,maybe,r,s", "food"),
        ("5411,x,yes,r,s\n5411,x,yes,r,s", "code"),
    ],
)
def test_category_row_that_is_wrong_is_named_by_line(row, why):
    with pytest.raises(ConfigurationError, match=rf"c\.csv:[23]: {why}"):
        parse_categories(f"code,name,food,reason,source\n{row}\n", "c.csv")


def test_category_header_that_is_wrong_is_told():
    with pytest.raises(ConfigurationError, match=r"c\.csv:1: header"):
        parse_categories("code,food\n", "c.csv")


def test_every_status_of_the_ledger_has_an_answer():
    kinds = {status.name: outcome.kind for status, outcome in ledger_outcomes().items()}
    assert kinds["CREATED"] is OutcomeKind.ANSWER
    assert kinds["ID_ALREADY_FAILED"] is OutcomeKind.LOOK
    assert kinds["DEBIT_ACCOUNT_NOT_FOUND"] is OutcomeKind.FAULT
    assert {o.code for o in ledger_outcomes().values()} == {"00", "51", "62", "03", "94", "96"}


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("tries = 3", 'tries = "3"', "rule.pin.tries"),
        ("minutes = 15", "minutes = 15.0", "rule.message-window.minutes"),
        ("terminal_may_move = true", 'terminal_may_move = "yes"', "terminal_may_move"),
        ('"98" = 1', '"98" = "1"', "purse_by_account_type"),
    ],
)
def test_rule_of_another_type_is_refused_and_not_converted(tmp_path, old, new, key):
    built_in = files("switch").joinpath("data/rules.toml").read_text("utf-8")
    assert old in built_in
    with pytest.raises(ConfigurationError, match=key):
        load_rules(write(tmp_path, built_in.replace(old, new), "rules.toml"))
