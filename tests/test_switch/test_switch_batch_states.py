"""Every cell of the table of batch states, played against the switch."""

import tomllib
from importlib.resources import files

import pytest

TABLE = tomllib.loads(files("switch").joinpath("data/batch_states.toml").read_text("utf-8"))
NUMBER = 1


def send(counter, message) -> str:
    return counter.edc.send(message)[0].text(39)


def sale(counter, number: int = NUMBER):
    numbers = {"batch": f"{number:06d}", "invoice": "000001"}
    return counter.edc.purchase(counter.chip, 100_000, de60=numbers)


def totals(counter) -> tuple[int, ...]:
    """Give the totals that the switch would agree to."""
    batches = counter.world.node.core._desk.memory.batches
    batch = batches.find(17, NUMBER)
    if batch is not None:
        return tuple(batch.totals)
    closed = batches.closed.get(17)
    return tuple(closed.totals) if closed is not None else (0,) * 6


def reach(counter, state: str) -> None:
    """Bring the batch into a state; `counter.sold` is a sale in it."""
    counter.sold = sale(counter)
    if state == "none":
        return
    assert send(counter, counter.sold) == "00"
    if state == "disputed":
        assert send(counter, counter.edc.settlement((9,) * 6)) == "95"
    elif state == "closed":
        assert send(counter, counter.edc.settlement(totals(counter))) == "00"
    elif state == "set aside":
        assert send(counter, sale(counter, NUMBER + 16)) == "00"


def state_of(counter) -> str:
    world = counter.world
    world.restart()
    rows, _uploads = world.node.state.batches()
    mine = [row.state for row in rows if row.number == NUMBER]
    return mine[-1] if mine else "none"


def play(counter, event: str) -> str:
    edc, equal = counter.edc, totals(counter)
    other = (equal[0] + 1, *equal[1:])
    if event == "sale":
        return send(counter, sale(counter))
    if event == "void":
        return send(counter, edc.void(counter.sold))
    if event == "upload":
        return send(counter, edc.upload(counter.sold, 1))
    code = "960000" if event.startswith("after-upload") else "920000"
    return send(counter, edc.settlement(other if event.endswith("mismatch") else equal, code))


@pytest.mark.parametrize("event", TABLE["event"])
@pytest.mark.parametrize("state", TABLE["state"])
def test_cell_is_what_the_switch_does(counter, state, event):
    reach(counter, state)
    assert state_of(counter) == state
    wanted = TABLE["state"][state][event]
    assert play(counter, event) == wanted["code"]
    assert state_of(counter) == wanted["next"]


def test_table_decides_every_pair():
    for state, cells in TABLE["state"].items():
        assert cells.keys() == TABLE["event"].keys(), state
        assert {cell["next"] for cell in cells.values()} <= TABLE["state"].keys()
