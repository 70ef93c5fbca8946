"""One purchase over everything real at once, and the picture of its two slips.

A card behind pcscd and its reader driver, the switch over TCP, the PIN typed on a pad on a serial
port, the slips on a printer on another. The picture goes to build/ (build/slips.png).
"""

import random
import secrets
import shutil
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cardsim.transport import CardOnWire
from lumbung.cli import root
from lumbung.pcsc import PrivatePcscd
from lumbung.pin_pad.device import VirtualPinPad
from lumbung.pin_pad.serving import PinPadServer, Typist
from lumbung.printer.device import VirtualPrinter
from lumbung.printer.drawing import png
from lumbung.printer.faults import Happening, PrinterFault
from lumbung.printer.paper import Paper, Picture
from lumbung.printer.server import PrinterServer
from lumbung.story.cast import insert
from lumbung.story.counter import Counter, typed
from lumbung.story.run import standing_slips
from lumbung.system import SystemClock
from lumbung.testing.channels import connected
from programme.equations import check_equations
from protocols.catalogue import text
from protocols.values import SecretBytes
from terminal.journal.records import SaleItem
from terminal.pin_pad.pad import SerialPinPad
from terminal.printing.desk import PrintDesk
from terminal.printing.page import qr_text
from terminal.printing.printer import Printer
from terminal.printing.queue import SlipQueue
from terminal.printing.status import Trouble
from terminal.serial_port import SerialPort
from tests.city_kit import City, open_city
from tests.slot_kit import PcscSlot

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
FOOD = "12400001"
BASKET = (
    SaleItem(code="BERAS5KG", name="BERAS MEDIUM 5KG", quantity=1, price_sen=7_450_000),
    SaleItem(code="MINYAK1L", name="MINYAK GORENG 1L", quantity=2, price_sen=3_600_000),
    SaleItem(code="TELUR1KG", name="TELUR 1KG", quantity=1, price_sen=3_100_000),
)
AMOUNT_SEN = 14_150_000
TRANSPORT = SecretBytes(bytes.fromhex("1D22BF32387C600AD97F9B97A51311AC"))


class Devices:
    """A PIN pad and a printer on serial ports of their own."""

    def __init__(self, folder: Path, *entries: str, faults: tuple[PrinterFault, ...] = ()) -> None:
        clock = SystemClock()
        self.folder = folder
        self.pieces: list[Paper] = []
        self.printer = PrinterServer(VirtualPrinter(384, faults), self.pieces.append)
        self.printer_path = self.printer.open_pty(folder / "ttyPRN")
        self.pad_server = PinPadServer(VirtualPinPad(TRANSPORT), clock, folder / "ttyPAD")
        path = self.pad_server.plug_in()
        Typist(self.pad_server, deque(entries), random.Random(7))
        self.pad = SerialPinPad(SerialPort(path), TRANSPORT, clock, secrets.token_bytes)

    def desk(self, counter: Counter) -> PrintDesk:
        queue = SlipQueue.open(counter.terminal.config.data_directory / "slips")
        printer = Printer(SerialPort(self.printer_path))
        return PrintDesk(queue, printer, terminal_id=counter.terminal_id)

    async def close(self) -> None:
        self.pad_server.unplug()
        await self.printer.close()


def books_agree(city: City, counter: Counter) -> bool:
    checks = check_equations(city.parts.ledger, city.parts.registry, standing_slips(counter))
    return not counter.terminal.journal.owed() and all(check.holds for check in checks)


@pytest.mark.service
async def test_purchase_over_pcscd_serial_pin_pad_and_serial_printer_prints_its_two_slips(
    need: Callable[[str], None], pcsc_folder: Path, tmp_path: Path
) -> None:
    need("pcsc")
    async with open_city(tmp_path) as city, PrivatePcscd(1, pcsc_folder) as daemon:
        who = city.holders[0]
        devices = Devices(tmp_path, who.pin)
        counter = Counter(city.parts, FOOD, "127.0.0.1", city.port, pin_pad=devices.pad)
        slot = PcscSlot(daemon, 0, CardOnWire(insert(city.parts, who)))
        await slot.insert()
        await connected(slot)
        assert await counter.terminal.log_on() == "00"
        result = await counter.terminal.buy(AMOUNT_SEN, slot.channel, typed("000000"), BASKET)
        assert (result.outcome, result.approved) == ("00", True)
        desk = devices.desk(counter)
        report = await desk.take(result)
        assert (report.printed, report.waiting, report.trouble) == (2, 0, None)
        assert books_agree(city, counter)
        await slot.card.close()
        await slot.channel.close()
        await desk.close()
        await counter.terminal.close()
        await devices.close()
    shutil.rmtree(pcsc_folder)
    shop, customer = (piece.as_text() for piece in devices.pieces)
    assert shop.startswith(result.receipt_toko)
    assert customer.startswith(result.receipt_pembeli)
    assert result.last_four in customer
    assert all(any(isinstance(mark, Picture) for mark in p.marks) for p in devices.pieces)
    out = ROOT / "build" / "slips.png"
    out.parent.mkdir(exist_ok=True)
    out.write_bytes(png(devices.pieces))
    assert out.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


async def test_printer_lost_in_the_middle_of_a_slip_leaves_money_alone_and_prints_a_copy_later(
    tmp_path: Path,
) -> None:
    async with open_city(tmp_path) as city:
        who = city.holders[0]
        devices = Devices(tmp_path, who.pin, faults=(PrinterFault(Happening.UNPLUG, 14),))
        counter = Counter(city.parts, FOOD, "127.0.0.1", city.port, pin_pad=devices.pad)
        assert await counter.terminal.log_on() == "00"
        result = await counter.sell(who, AMOUNT_SEN, basket=BASKET)
        assert result.approved
        desk = devices.desk(counter)
        report = await desk.take(result)
        assert (report.printed, report.waiting, report.trouble) == (0, 2, Trouble.LOST)
        assert report.sentence() == text("printer.lost")
        assert books_agree(city, counter)
        await desk.close()
        # The terminal is switched off and on; the printer comes back; nobody sells meanwhile.
        await devices.printer.plug_in()
        devices.printer.printer.tear_off()
        desk = devices.desk(counter)
        assert (await desk.work()).printed == 2
        first, second = (piece.as_text() for piece in devices.pieces)
        assert first.split("\n", 1)[0].strip() == text("receipt.reprint")
        assert result.receipt_toko in first
        assert second.startswith(result.receipt_pembeli)
        assert books_agree(city, counter)
        await desk.close()
        await counter.terminal.close()
        await devices.close()


async def test_qr_of_a_slip_is_found_in_the_ledger_and_a_changed_one_is_not(tmp_path: Path) -> None:
    async with open_city(tmp_path) as city:
        counter = Counter(city.parts, FOOD, "127.0.0.1", city.port)
        assert await counter.terminal.log_on() == "00"
        result = await counter.sell(city.holders[0], AMOUNT_SEN)
        id_hex = f"{counter.posted_as(result):032x}"
        await counter.terminal.close()
    code = result.slip_code
    qr = qr_text(slip_code=code, rrn=result.rrn, terminal_id=FOOD, amount_sen=AMOUNT_SEN)
    assert result.receipt_pembeli.rstrip().endswith(code)

    def check(typed: str) -> Result:
        arguments = ["ledger", "check-slip", str(tmp_path / "city"), typed]
        return CliRunner().invoke(root, arguments)

    for genuine in (qr, code, code.replace("-", "").lower()):
        said = check(genuine)
        assert (said.exit_code, id_hex in said.output) == (0, True), said.output
    other = ("1" if code[0] != "1" else "2") + code[1:]
    assert check(other).exit_code == 1
    more = check(qr.replace(str(AMOUNT_SEN), str(AMOUNT_SEN + 100)))
    assert (more.exit_code, "another amount" in more.output) == (1, True)
    assert check("0E82-2A36").exit_code == 2


async def test_pad_unplugged_in_the_middle_of_a_pin_costs_nothing_and_the_sale_works_again(
    tmp_path: Path,
) -> None:
    async with open_city(tmp_path) as city:
        who = city.holders[0]
        devices = Devices(tmp_path)
        counter = Counter(city.parts, FOOD, "127.0.0.1", city.port, pin_pad=devices.pad)
        assert await counter.terminal.log_on() == "00"
        devices.pad_server.pad.on_asked = devices.pad_server.unplug
        lost = await counter.sell(who, AMOUNT_SEN, basket=BASKET)
        assert (lost.approved, lost.stan, lost.reversed) == (False, 0, False)
        assert lost.detail == text("pin_pad.lost")
        devices.pad_server.plug_in()
        wrong = "123456" if who.pin != "123456" else "654321"
        for keys in ("123\r" * 3, wrong):
            Typist(devices.pad_server, deque([keys]), random.Random(7))
            refused = await counter.sell(who, AMOUNT_SEN, basket=BASKET)
            assert refused.outcome == ("55" if keys == wrong else "17")
        Typist(devices.pad_server, deque([who.pin]), random.Random(7))
        sold = await counter.sell(who, AMOUNT_SEN, basket=BASKET)
        assert (sold.outcome, sold.approved) == ("00", True)
        assert books_agree(city, counter)
        await counter.terminal.close()
        await devices.close()


async def test_pin_changed_on_the_pad_is_the_pin_from_then_on(tmp_path: Path) -> None:
    async with open_city(tmp_path) as city:
        who = city.holders[1]
        new = "135790" if who.pin != "135790" else "246802"
        devices = Devices(tmp_path, who.pin, new, "111111", new, new, new)
        counter = Counter(city.parts, FOOD, "127.0.0.1", city.port, pin_pad=devices.pad)
        terminal = counter.terminal
        assert await terminal.log_on() == "00"
        # The new PIN and its repetition differ once: the pad is asked for both again.
        changed = await terminal.change_pin(counter.slot(who), typed("000000"))
        assert changed.approved, changed.detail
        assert (await counter.sell(who, AMOUNT_SEN)).approved
        await terminal.close()
        await devices.close()
