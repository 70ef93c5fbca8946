//! The stages of a purchase in the order of the law, all pure: the twin of
//! `switch.pipeline.PURCHASE`, for what passes. None means that the stage in Python must look.

use crate::agreement;
use crate::decide::{Case, Found, PlainSales, Usage};
use crate::memory::{Mark, Stack};
use crate::numbers::{bits_of, card_block, pan_of, pan_part};
use crate::request;
use crate::terms::Terms;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

const SEN_PER_RUPIAH: u64 = 100;
/// Eight bits of the card's number tell a replacement from its predecessor.
const CARD_TAG_MASK: u64 = 0xFF;
/// The engine's verdict on a PIN that is right: `protocols.crypto.online_pin`.
const RIGHT: u8 = 1;
/// Tags that a purchase must have (`switch.pipeline.shape`) and that are not compared below.
const COVERED: [&str; 6] = ["9F1A", "95", "9A", "9F37", "82", "9F10"];
/// Shapes of messages that are remembered; a spec has a handful.
const SHAPES_MAX: usize = 64;

impl PlainSales {
    /// Run the stages in the order of the law; None as soon as one must look closer.
    pub fn passes<'py>(&self, terms: &Terms, case: &Case<'_, 'py>) -> Option<Found<'py>> {
        let py = case.keys.py();
        let usage = self.shape(terms, case)?;
        self.is_no_duplicate(case)?;
        self.lies_near_now(terms, case)?;
        let merchant = self.shop(case)?;
        let card = self.card(case)?;
        let (purse, payable) = food(terms, case, &card, &merchant)?;
        basket(terms, case, &merchant)?;
        let account = card.getattr(intern!(py, "account_id")).ok()?;
        self.amount(terms, case, &account, &payable)?;
        let card_number = card.getattr(intern!(py, "card_number")).ok()?;
        let card_tag = card_number.extract::<u64>().ok()? & CARD_TAG_MASK;
        let (session_key, mark) = self.chip(terms, case, &card, &account, card_tag)?;
        self.pin(terms, case, &card, &card_number)?;
        let batch = case.request.number(request::BATCH)?;
        self.memory
            .has_batch(&case.terminal_number, batch)?
            .then_some(())?;
        Some(Found {
            usage,
            merchant,
            payable,
            card,
            card_number,
            account,
            purse,
            session_key,
            mark,
            card_tag,
        })
    }

    /// Stage: a purchase by chip with everything that it needs.
    fn shape<'py>(&self, terms: &Terms, case: &Case<'_, 'py>) -> Option<(Bound<'py, PyAny>, u128)> {
        let py = case.keys.py();
        let request = &case.request;
        let is_whole = !request.at(request::PAN)?.is_none()
            && !request.at(request::PIN_BLOCK)?.is_none()
            && request.has_no_additional_amount()?
            && !case.keys.is_none();
        let code = request.text(request::PROCESSING_CODE)?;
        let mode = request.text(request::ENTRY_MODE)?;
        let (code, mode) = (code.to_str().ok()?, mode.to_str().ok()?);
        let is_chip = terms.entry_modes.iter().any(|known| known == mode)
            && COVERED
                .iter()
                .all(|tag| case.chip.tag(&PyString::intern(py, tag)).is_some());
        if !(is_whole && is_chip && code.get(..2) == Some("00")) {
            return None;
        }
        let message = request.at(request::MESSAGE)?;
        let elements = message.getattr(intern!(py, "elements")).ok()?;
        let shape = (
            bits_of(elements.cast_exact::<PyDict>().ok()?)?,
            code.to_owned(),
        );
        let mut shapes = self.shapes.lock().expect("nobody panics with it");
        if let Some((_, known)) = shapes.iter().find(|(one, _)| *one == shape) {
            return Some((known.usage.bind(py).clone(), known.echoed));
        }
        let spec = message.getattr(intern!(py, "spec")).ok()?;
        let usage = self
            .parts
            .check_shape
            .bind(py)
            .call1((spec, message))
            .ok()?;
        let copied = usage.getattr(intern!(py, "echoed")).ok()?;
        let mut echoed = 0;
        for number in copied.try_iter().ok()? {
            echoed |= 1_u128.checked_shl(number.ok()?.extract().ok()?)?;
        }
        if shapes.len() < SHAPES_MAX {
            let usage = usage.clone().unbind();
            shapes.push((shape, Usage { usage, echoed }));
        }
        Some((usage, echoed))
    }

    /// Stage: nothing is known of this key, in flight, in the ledger or in memory.
    fn is_no_duplicate(&self, case: &Case<'_, '_>) -> Option<()> {
        let id = case.request.at(request::TRANSFER_ID)?;
        let batch = case.request.at(request::BATCH)?;
        if !self.memory.is_new(&id, &case.terminal_number, &batch)? {
            return None;
        }
        let entry = match case.entries.get_item(&id).ok()? {
            Some(found) => found,
            None => self.parts.entry.bind(id.py()).call1((id,)).ok()?,
        };
        entry.is_none().then_some(())
    }

    /// Stage: DE7 lies near now.
    fn lies_near_now(&self, terms: &Terms, case: &Case<'_, '_>) -> Option<()> {
        let sent = case.request.at(request::TRANSMISSION_TIME)?;
        let sent = self
            .parts
            .sent_at_ns
            .bind(sent.py())
            .call1((sent, case.now_ns))
            .ok()?;
        let sent_ns: i128 = sent.extract().ok()?;
        ((case.now_ns - sent_ns).abs() <= terms.window_ns).then_some(())
    }

    /// Stage: a terminal in service, and the shop that it is logged on to.
    fn shop<'py>(&self, case: &Case<'_, 'py>) -> Option<Bound<'py, PyAny>> {
        let py = case.keys.py();
        let name = case.request.text(request::MERCHANT_ID)?;
        let terminal_id = case.request.text(request::TERMINAL_ID)?;
        let is_served = is_true(&case.terminal, intern!(py, "active"))?
            && self.memory.serves(&terminal_id, &name)?;
        let merchant = self.parts.merchant.bind(py).call1((name,)).ok()?;
        let may_sell = is_served && !is_true(&merchant, intern!(py, "suspended"))?;
        may_sell.then_some(merchant)
    }

    /// Stage: a card in service that has not expired.
    fn card<'py>(&self, case: &Case<'_, 'py>) -> Option<Bound<'py, PyAny>> {
        let py = case.keys.py();
        let pan = case.request.at(request::PAN)?;
        let card = self.parts.card_by_pan.bind(py).call1((pan,)).ok()?;
        let is_active = card
            .getattr(intern!(py, "status"))
            .ok()?
            .is(&self.parts.active);
        let expires = card.getattr(intern!(py, "expires_on")).ok()?;
        (is_active && case.today.le(expires).ok()?).then_some(card)
    }

    /// Stage: a believable amount within the limits of a sale and of the day.
    fn amount(
        &self,
        terms: &Terms,
        case: &Case<'_, '_>,
        account: &Bound<'_, PyAny>,
        payable: &Bound<'_, PyAny>,
    ) -> Option<()> {
        let amount = case.request.number(request::AMOUNT)?;
        let is_sound = case.request.text(request::CURRENCY)?.to_str().ok()? == terms.currency
            && (1..=terms.sale_max_sen).contains(&amount)
            && amount.is_multiple_of(SEN_PER_RUPIAH);
        let (spent, bought) = self.memory.spent(account)?;
        let (taken, sold) = self.memory.spent(payable)?;
        let is_within = is_sound
            && spent.checked_add(amount)? <= terms.card_day_limit_sen
            && bought < terms.card_day_sales_limit
            && taken.checked_add(amount)? <= terms.shop_day_limit_sen
            && sold < terms.shop_day_sales_limit;
        is_within.then_some(())
    }

    /// Stage: no stack of cards is completed by this one.
    pub fn stack(&self, terms: &Terms, case: &Case<'_, '_>) -> Option<Stack> {
        match terms.stack {
            None => Some(Stack::Quiet),
            Some(rule) => self
                .memory
                .keeps_quiet(&case.terminal_number, case.now_ns, rule),
        }
    }

    /// Stages: DE55 agrees with the message, the counter is new, the cryptogram is the chip's.
    fn chip<'py>(
        &self,
        terms: &Terms,
        case: &Case<'_, 'py>,
        card: &Bound<'py, PyAny>,
        account: &Bound<'py, PyAny>,
        card_tag: u64,
    ) -> Option<(Bound<'py, PyBytes>, Mark<'py>)> {
        let py = card.py();
        let pan = pan_of(&case.request)?;
        let sequence = card.getattr(intern!(py, "pan_sequence")).ok()?;
        let sequence = sequence.cast::<PyString>().ok()?.to_str().ok()?;
        let digits = pan.to_str().ok()?;
        if !agreement::agrees(
            py,
            &case.request,
            &case.chip,
            &terms.currency,
            sequence,
            digits.as_bytes(),
        )? {
            return None;
        }
        let atc = case.request.wide(request::ATC)?;
        let mark = self.memory.mark(account, card_tag, atc)?;
        let block = PyBytes::new(py, &card_block(digits, sequence)?);
        let found = self
            .parts
            .check_tags
            .bind(py)
            .call1((block, &case.chip.tags))
            .ok()?;
        let (holds, _atc, key): (bool, u16, Bound<'py, PyBytes>) = found.extract().ok()?;
        holds.then_some((key, mark))
    }

    /// Stage: the PIN is right, and no try is used that it would give back.
    fn pin(
        &self,
        terms: &Terms,
        case: &Case<'_, '_>,
        card: &Bound<'_, PyAny>,
        card_number: &Bound<'_, PyAny>,
    ) -> Option<()> {
        let py = card.py();
        let offset = self.memory.pin_offset(card, card_number)?;
        let is_sound = offset.len().ok()? == terms.pin_digits
            && offset
                .to_str()
                .ok()?
                .bytes()
                .all(|byte| byte.is_ascii_digit());
        if !is_sound || !self.memory.has_all_tries(card_number)? {
            return None;
        }
        let cipher = case.keys.getattr(intern!(py, "pin_cipher")).ok()?;
        let cipher = cipher.getattr(intern!(py, "context")).ok()?;
        let block = case.request.at(request::PIN_BLOCK)?;
        let block = block.call_method0(intern!(py, "reveal")).ok()?;
        let pan = pan_of(&case.request)?;
        let part = pan_part(pan.to_str().ok()?)?;
        let given = (
            cipher,
            block,
            part,
            &self.parts.pin_verification,
            offset,
            &self.parts.decimalisation,
        );
        let verdict: u8 = self
            .parts
            .check_pin
            .bind(py)
            .call1(given)
            .ok()?
            .extract()
            .ok()?;
        (verdict == RIGHT).then_some(())
    }
}

/// Stage: food only. Gives the purse and the shop's account in it.
fn food<'py>(
    terms: &Terms,
    case: &Case<'_, 'py>,
    card: &Bound<'py, PyAny>,
    merchant: &Bound<'py, PyAny>,
) -> Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let py = card.py();
    let code = case.request.text(request::PROCESSING_CODE)?;
    let account_type = PyString::intern(py, code.to_str().ok()?.get(2..4)?);
    let purse = terms.purses.bind(py).get_item(account_type).ok()??;
    if !purse.eq(card.getattr(intern!(py, "purse")).ok()?).ok()? {
        return None;
    }
    let category = merchant.getattr(intern!(py, "category")).ok()?;
    let sells_always: bool = terms
        .food
        .bind(py)
        .get_item(&category)
        .ok()??
        .extract()
        .ok()?;
    let is_food = sells_always
        || merchant
            .getattr(intern!(py, "conditional_categories"))
            .ok()?
            .contains(&category)
            .ok()?;
    if !(is_food && is_true(merchant, intern!(py, "designated"))?) {
        return None;
    }
    let accounts = merchant.getattr(intern!(py, "payable_accounts")).ok()?;
    let payable = accounts
        .cast_exact::<PyDict>()
        .ok()?
        .get_item(&purse)
        .ok()??;
    Some((purse, payable))
}

/// Stage: no basket, and none is needed. One that came is for the stages to read.
fn basket(terms: &Terms, case: &Case<'_, '_>, merchant: &Bound<'_, PyAny>) -> Option<()> {
    let py = merchant.py();
    let message = case.request.at(request::MESSAGE)?;
    let elements = message.getattr(intern!(py, "elements")).ok()?;
    let has_basket = elements.contains(62).ok()?;
    let category = merchant.getattr(intern!(py, "category")).ok()?;
    let is_needed = terms.needs_basket(category.extract().ok()?);
    (!has_basket && !is_needed).then_some(())
}

fn is_true(value: &Bound<'_, PyAny>, name: &Bound<'_, PyString>) -> Option<bool> {
    value.getattr(name).ok()?.extract().ok()
}
