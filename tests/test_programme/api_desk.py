"""The administration interface in this process: its services, a client with tokens, a city."""

import asyncio
from contextlib import contextmanager
from datetime import date
from types import SimpleNamespace

import httpx
import pytest

from ledger.structures import Transfer
from programme.accounts import open_purse
from programme.actors import Actor, Agency, actor_of
from programme.acts import ACTS
from programme.api.app import make_app, served
from programme.chart import SaleData, TransferCode
from programme.offices import Office


class Plenty:
    """A rate that never ends, until it is told to."""

    def __init__(self) -> None:
        self.left = 1 << 30
        self.names = []

    def take(self, name, _now_ns):
        self.names.append(name)
        self.left -= 1
        return self.left >= 0


class Services:
    """The real service layer in this process, as `Carrier` does it without a switch."""

    def __init__(self, registry, ledger, clock) -> None:
        self.clock = clock
        self.office = Office(registry, ledger)
        self.asked = []

    def bearer(self, token):
        return self.office.registry.tokens.bearer(token)

    @contextmanager
    def look(self):
        yield self.office

    def registry(self):
        return self.office

    def do(self, name, arguments, actor, tell):
        self.asked.append(name)
        act = ACTS[name]
        return act.run(self.office, act.asked(**act.packed(act.arguments(**arguments), actor)), tell
                       ).model_dump(mode="json")  # fmt: skip

    def changed(self):
        pass


class Client:
    """Asks the application as a server does: each call on a loop of its own."""

    def __init__(self, app) -> None:
        self.transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    def request(self, method, path, **more):
        async def ask():
            url = "http://kartu.test"
            async with httpx.AsyncClient(transport=self.transport, base_url=url) as client:
                return await client.request(method, path, **more)

        return asyncio.run(ask())

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, **more):
        return self.request("POST", path, **more)


async def in_parts(*parts):
    """Give a body whose length is not told before."""
    for part in parts:
        yield part


class Bank:
    """A client of the interface, with tokens for every agency."""

    def __init__(self, registry, ledger, clock) -> None:
        self.rates, self.unknown = Plenty(), Plenty()
        self.services = Services(registry, ledger, clock)
        self.app = make_app(self.services, self.rates, self.unknown)
        self.client = Client(served(self.app, ["kartu.test"]))
        self.clock, self.registry = clock, registry
        self._tokens = {}

    def token(self, who, days=30):
        if (who, days) not in self._tokens:
            issuer = Actor(Agency.OPERATOR, "op-01")
            _record, secret = self.registry.tokens.issue(actor_of(who), days, issuer)
            self._tokens[who, days] = secret.reveal().hex()
        return self._tokens[who, days]

    def ask(self, who, method, path, body=None, **more):
        headers = {"Authorization": f"Bearer {self.token(who)}", **more.pop("headers", {})}
        return self.client.request(method, path, json=body, headers=headers, **more)

    def ok(self, who, method, path, body=None):
        answer = self.ask(who, method, path, body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def ended(self, who, job):
        self.app.state.reception.jobs._executor.submit(int).result(10)
        return self.ok(who, "GET", f"/jobs/{job['job']}")


@pytest.fixture
def bank(registry, ledger, clock):
    made = Bank(registry, ledger, clock)
    yield made
    made.app.state.reception.jobs.close()


@pytest.fixture
def field(determined, add_shop, ledger, registry, actors):
    """Give a determined decree, its cards, a shop with its accounts, and a purchase."""

    decree, cards = determined(3)
    add_shop(designated=True)
    open_purse(ledger, registry, 1, actors.dinsos)
    office = Office(registry, ledger)
    office.two_people.disburse_at_once(decree, "2026-01", actors.dinsos, actors.checker)
    shop = registry.all_merchants()[0]
    sale = Transfer(
        id=71, debit_account_id=cards[0].account_id, credit_account_id=shop.payable_accounts[1],
        amount=10_000_000, ledger=1, code=TransferCode.PURCHASE, user_data_128=1,
        user_data_64=SaleData(atc=1, business_date=date(2026, 1, 5), stan=1).pack(),
    )  # fmt: skip
    assert ledger.create_transfers([sale])[0].status.name == "CREATED"
    return SimpleNamespace(decree=decree, cards=cards, shop=shop, sale=f"{sale.id:032x}")
