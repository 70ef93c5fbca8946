//! The issuer's side of a chip message: from raw DE55 bytes to the verdict, in one step.

use super::card;
use super::des::{Tdes, BLOCK};
use super::retail;
use super::same::same;
use super::tlv::{self, Bounds};
use super::{double, hex_text, one_block};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict, PyString};

/// Most tags that a cryptogram covers; the profiles have ten.
const COVERED_MAX: usize = 32;

/// A tag and the length that it must have, 0 for any.
type Part = (PyBackedBytes, usize);

/// What is asked about a chip: diversification block of the card, raw DE55 bytes.
type Claim = (PyBackedBytes, PyBackedBytes);

/// Verdict, transaction counter and session key; None when Python must look and word a fault.
type Check<'py> = Option<(bool, u16, Bound<'py, PyBytes>)>;

/// The issuer's master key of cryptograms, and what they cover.
#[pyclass(module = "protocols._core.crypto", frozen)]
pub struct IssuerKey {
    key: Tdes,
    order: Vec<Part>,
    bounds: (usize, usize, usize, usize),
    /// The covered tags in hex, in their order; the cryptogram's own and the counter's.
    names: Vec<Py<PyString>>,
    cryptogram: Py<PyString>,
    counter: Py<PyString>,
}

#[pymethods]
impl IssuerKey {
    #[new]
    fn new(
        py: Python<'_>,
        key: &[u8],
        order: Vec<Part>,
        bounds: (usize, usize, usize, usize),
    ) -> PyResult<Self> {
        let name = |tag: &[u8]| hex_text(py, tag).unbind();
        Ok(Self {
            key: double(key)?,
            names: order.iter().map(|(tag, _)| name(tag)).collect(),
            cryptogram: name(&[0x9F, 0x26]),
            counter: name(&[0x9F, 0x36]),
            order,
            bounds,
        })
    }

    /// Check one chip's cryptogram.
    fn check<'py>(&self, py: Python<'py>, card: &[u8], chip: &[u8]) -> PyResult<Check<'py>> {
        let card = one_block(card)?;
        Ok(shown(py, self.verdict(card, chip)))
    }

    /// Check one chip's cryptogram, its tags already taken apart: hex text of the tag to value.
    fn check_tags<'py>(&self, card: &[u8], tags: &Bound<'py, PyDict>) -> PyResult<Check<'py>> {
        let card = one_block(card)?;
        let py = tags.py();
        let value = |name: &Py<PyString>| -> Option<Bound<'py, PyBytes>> {
            let found = tags.get_item(name.bind(py)).ok()??;
            found.cast_into_exact().ok()
        };
        let Some((cryptogram, counter)) = value(&self.cryptogram).zip(value(&self.counter)) else {
            return Ok(None);
        };
        let mut data = Vec::with_capacity(128);
        for ((_, size), name) in self.order.iter().zip(&self.names) {
            match value(name) {
                Some(part) if *size == 0 || *size == part.as_bytes().len() => {
                    data.extend_from_slice(part.as_bytes());
                }
                _ => return Ok(None),
            }
        }
        Ok(shown(
            py,
            self.proved(card, counter.as_bytes(), &data, cryptogram.as_bytes()),
        ))
    }

    /// Check many, while other Python threads run on.
    #[allow(clippy::needless_pass_by_value)] // PyO3 hands it over so.
    fn check_batch<'py>(&self, py: Python<'py>, claims: Vec<Claim>) -> PyResult<Vec<Check<'py>>> {
        let cards = claims
            .iter()
            .map(|(card, _)| one_block(card))
            .collect::<PyResult<Vec<_>>>()?;
        let verdicts: Vec<_> = py.detach(|| {
            let pairs = cards.iter().zip(&claims);
            pairs
                .map(|(card, (_, chip))| self.verdict(*card, chip))
                .collect()
        });
        Ok(verdicts.into_iter().map(|one| shown(py, one)).collect())
    }
}

struct Verdict {
    holds: bool,
    atc: u16,
    session: [u8; 16],
}

fn shown(py: Python<'_>, verdict: Option<Verdict>) -> Check<'_> {
    verdict.map(|v| (v.holds, v.atc, PyBytes::new(py, &v.session)))
}

impl IssuerKey {
    fn verdict(&self, card: [u8; BLOCK], chip: &[u8]) -> Option<Verdict> {
        let (input, depth, tag, mut left) = self.bounds;
        let mut values: [Option<&[u8]>; COVERED_MAX] = [None; COVERED_MAX];
        let mut cryptogram: Option<&[u8]> = None;
        let mut counter: Option<&[u8]> = None;
        let mut seen = Vec::with_capacity(COVERED_MAX);
        let mut found = |tag: &'_ [u8], value| {
            // A tag that stands twice is for Python to refuse. Twenty tags are few enough to walk.
            let number = tag.iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
            if seen.contains(&number) {
                return None;
            }
            seen.push(number);
            let slot = self.order.iter().position(|part| part.0[..] == *tag);
            if let Some(at) = slot {
                *values.get_mut(at)? = Some(value);
            }
            match tag {
                [0x9F, 0x26] => cryptogram = Some(value),
                [0x9F, 0x36] => counter = Some(value),
                _ => {}
            }
            Some(())
        };
        let bounds = Bounds { input, depth, tag };
        tlv::walk(chip, bounds, false, 0, &mut left, &mut found)?;
        let counter = counter?;
        let mut data = Vec::with_capacity(chip.len());
        for ((_, size), value) in self.order.iter().zip(values) {
            let value = value?;
            if *size != 0 && *size != value.len() {
                return None;
            }
            data.extend_from_slice(value);
        }
        self.proved(card, counter, &data, cryptogram?)
    }

    /// Hold the cryptogram over these bytes against the given one; None for a counter that is none.
    fn proved(
        &self,
        card: [u8; BLOCK],
        counter: &[u8],
        data: &[u8],
        cryptogram: &[u8],
    ) -> Option<Verdict> {
        let counter: [u8; 2] = counter.try_into().ok()?;
        let mut diversifier = [0; BLOCK];
        diversifier[..2].copy_from_slice(&counter);
        let master = Tdes::new(&card::icc_master_key(&self.key, card))?;
        let session = card::common_session_key(&master, diversifier);
        let made = retail::mac(&Tdes::new(&session)?, data, 2)?;
        Some(Verdict {
            holds: same(&made, cryptogram),
            atc: u16::from_be_bytes(counter),
            session,
        })
    }
}
