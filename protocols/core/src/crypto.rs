//! The crypto half of `protocols._core`: the native twin of `protocols.crypto.pure`.
//!
//! Python has checked every length and code before it calls; what slips through all the same is a
//! `ValueError` that says so and holds no content.

mod batch;
mod card;
mod des;
mod issuer;
mod pin;
mod power;
mod retail;
mod same;
mod tlv;

pub use batch::holds;
use des::{Tdes, BLOCK};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

const UNCHECKED: &str = "the caller has not checked its input";

fn unchecked() -> PyErr {
    PyValueError::new_err(UNCHECKED)
}

fn tdes(key: &[u8]) -> PyResult<Tdes> {
    Tdes::new(key).ok_or_else(unchecked)
}

fn one_block(bytes: &[u8]) -> PyResult<[u8; BLOCK]> {
    bytes.try_into().map_err(|_| unchecked())
}

fn whole(data: &[u8]) -> PyResult<&[u8]> {
    if data.len().is_multiple_of(BLOCK) {
        Ok(data)
    } else {
        Err(unchecked())
    }
}

/// TDES under one key of 8, 16 or 24 bytes.
#[pyclass(name = "Tdes", module = "protocols._core.crypto", frozen)]
pub struct TdesContext {
    pub key: Tdes,
}

#[pymethods]
impl TdesContext {
    #[new]
    fn new(key: &[u8]) -> PyResult<Self> {
        Ok(Self { key: tdes(key)? })
    }

    fn encipher_ecb<'py>(&self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(
            py,
            &card::encipher_ecb(&self.key, whole(data)?),
        ))
    }

    fn decipher_ecb<'py>(&self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(
            py,
            &card::decipher_ecb(&self.key, whole(data)?),
        ))
    }

    fn encipher_cbc<'py>(
        &self,
        py: Python<'py>,
        data: &[u8],
        iv: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let out = card::encipher_cbc(&self.key, whole(data)?, one_block(iv)?);
        Ok(PyBytes::new(py, &out))
    }

    fn decipher_cbc<'py>(
        &self,
        py: Python<'py>,
        data: &[u8],
        iv: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let out = card::decipher_cbc(&self.key, whole(data)?, one_block(iv)?);
        Ok(PyBytes::new(py, &out))
    }

    fn encipher_pin_block_0<'py>(
        &self,
        py: Python<'py>,
        pin: &str,
        pan_part: &str,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let clear = card::pin_block_0(pin.as_bytes(), pan_part.as_bytes()).ok_or_else(unchecked)?;
        Ok(PyBytes::new(py, &self.key.encipher_block(clear)))
    }

    fn translate_pin_block_0<'py>(
        &self,
        py: Python<'py>,
        target: &Self,
        input: &[u8],
        pan_part: &str,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let clear = self.key.decipher_block(one_block(input)?);
        let holds = card::holds_pin_0(clear, pan_part.as_bytes()).ok_or_else(unchecked)?;
        Ok(holds.then(|| PyBytes::new(py, &target.key.encipher_block(clear))))
    }
}

/// The retail MAC under one 16-byte key.
#[pyclass(name = "RetailMac", module = "protocols._core.crypto", frozen)]
pub struct RetailMacContext {
    key: Tdes,
}

impl RetailMacContext {
    /// Give the MAC over these bytes; None for another padding than 1, 2 or 3.
    pub fn over(&self, data: &[u8], padding: u8) -> Option<[u8; BLOCK]> {
        retail::mac(&self.key, data, padding)
    }
}

#[pymethods]
impl RetailMacContext {
    #[new]
    fn new(key: &[u8]) -> PyResult<Self> {
        Ok(Self { key: double(key)? })
    }

    fn mac<'py>(&self, py: Python<'py>, data: &[u8], padding: u8) -> PyResult<Bound<'py, PyBytes>> {
        let out = retail::mac(&self.key, data, padding).ok_or_else(unchecked)?;
        Ok(PyBytes::new(py, &out))
    }
}

/// One modulus and exponent of an RSA private key.
#[pyclass(name = "ModPower", module = "protocols._core.crypto", frozen)]
struct ModPower {
    power: power::Power,
}

#[pymethods]
impl ModPower {
    #[new]
    fn new(modulus: &[u8], exponent: &[u8]) -> PyResult<Self> {
        let power = power::Power::new(modulus, exponent).ok_or_else(unchecked)?;
        Ok(Self { power })
    }

    /// Other threads run on: this takes as long as a hundred MACs.
    fn power<'py>(&self, py: Python<'py>, base: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let out = py.detach(|| self.power.raise(base)).ok_or_else(unchecked)?;
        Ok(PyBytes::new(py, &out))
    }
}

fn double(key: &[u8]) -> PyResult<Tdes> {
    if key.len() == 2 * BLOCK {
        tdes(key)
    } else {
        Err(unchecked())
    }
}

/// Give TDES ECB of whole blocks under a key used once.
#[pyfunction]
fn tdes_encipher<'py>(py: Python<'py>, key: &[u8], data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(
        py,
        &card::encipher_ecb(&tdes(key)?, whole(data)?),
    ))
}

/// Give the algorithm 3 MAC under a key used once.
#[pyfunction]
fn retail_mac<'py>(
    py: Python<'py>,
    key: &[u8],
    data: &[u8],
    padding: u8,
) -> PyResult<Bound<'py, PyBytes>> {
    let out = retail::mac(&double(key)?, data, padding).ok_or_else(unchecked)?;
    Ok(PyBytes::new(py, &out))
}

/// Give a card's master key from its diversification block.
#[pyfunction]
fn icc_master_key<'py>(
    py: Python<'py>,
    imk: &[u8],
    diversifier: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let out = card::icc_master_key(&double(imk)?, one_block(diversifier)?);
    Ok(PyBytes::new(py, &out))
}

/// Give the EMV common session key.
#[pyfunction]
fn common_session_key<'py>(
    py: Python<'py>,
    master_key: &[u8],
    diversifier: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let out = card::common_session_key(&double(master_key)?, one_block(diversifier)?);
    Ok(PyBytes::new(py, &out))
}

/// Give a card's cryptogram from the issuer's key: master key, session key and MAC in one.
#[pyfunction]
fn issuer_cryptogram<'py>(
    py: Python<'py>,
    imk: &[u8],
    card_block: &[u8],
    diversifier: &[u8],
    data: &[u8],
    padding: u8,
) -> PyResult<Bound<'py, PyBytes>> {
    let master = card::icc_master_key(&double(imk)?, one_block(card_block)?);
    let session = card::common_session_key(&tdes(&master)?, one_block(diversifier)?);
    let out = retail::mac(&tdes(&session)?, data, padding).ok_or_else(unchecked)?;
    Ok(PyBytes::new(py, &out))
}

/// Give the ARPC of method 1.
#[pyfunction]
fn arpc_method1<'py>(
    py: Python<'py>,
    session_key: &[u8],
    arqc: &[u8],
    response_code: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let code = response_code.try_into().map_err(|_| unchecked())?;
    let out = card::arpc_method1(&double(session_key)?, one_block(arqc)?, code);
    Ok(PyBytes::new(py, &out))
}

/// Give tag and value of every object, or None at any fault or duplicate.
#[pyfunction]
fn tlv_flat<'py>(
    py: Python<'py>,
    data: &[u8],
    leaves: bool,
    bounds: (usize, usize, usize, usize),
) -> PyResult<Option<Bound<'py, PyDict>>> {
    let (input, depth, tag, mut left) = bounds;
    let out = PyDict::new(py);
    let mut failure = None;
    let mut found = |tag: &[u8], value: &[u8]| {
        let text = hex_text(py, tag);
        let known = out.contains(&text);
        let added = known.and_then(|known| {
            if !known {
                out.set_item(text, PyBytes::new(py, value))?;
            }
            Ok(known)
        });
        match added {
            Ok(false) => Some(()),
            Ok(true) => None,
            Err(error) => {
                failure = Some(error);
                None
            }
        }
    };
    let bounds = tlv::Bounds { input, depth, tag };
    let done = tlv::walk(data, bounds, leaves, 0, &mut left, &mut found);
    match failure {
        Some(error) => Err(error),
        None => Ok(done.map(|()| out)),
    }
}

fn hex_text<'py>(py: Python<'py>, tag: &[u8]) -> Bound<'py, PyString> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let text: String = tag
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0x0F])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect();
    PyString::new(py, &text)
}

/// Add the submodule `crypto`.
pub fn register(parent: &Bound<'_, PyModule>) -> PyResult<()> {
    let module = PyModule::new(parent.py(), "crypto")?;
    module.add("NAME", "native")?;
    module.add_class::<TdesContext>()?;
    module.add_class::<RetailMacContext>()?;
    module.add_class::<ModPower>()?;
    module.add_class::<issuer::IssuerKey>()?;
    module.add_function(wrap_pyfunction!(batch::verify_macs, &module)?)?;
    module.add_function(wrap_pyfunction!(batch::lrc, &module)?)?;
    module.add_function(wrap_pyfunction!(pin::check_pin_0, &module)?)?;
    module.add_function(wrap_pyfunction!(tdes_encipher, &module)?)?;
    module.add_function(wrap_pyfunction!(retail_mac, &module)?)?;
    module.add_function(wrap_pyfunction!(icc_master_key, &module)?)?;
    module.add_function(wrap_pyfunction!(common_session_key, &module)?)?;
    module.add_function(wrap_pyfunction!(issuer_cryptogram, &module)?)?;
    module.add_function(wrap_pyfunction!(arpc_method1, &module)?)?;
    module.add_function(wrap_pyfunction!(tlv_flat, &module)?)?;
    parent.add_submodule(&module)
}
