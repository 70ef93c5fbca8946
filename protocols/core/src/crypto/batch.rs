//! Many at once, while other Python threads run on.

use super::same::same;
use super::{unchecked, RetailMacContext};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

/// One MAC to check: context, padding, covered bytes, given MAC.
type Claim = (Py<RetailMacContext>, u8, PyBackedBytes, PyBackedBytes);

/// Shortest given MAC; `protocols.crypto.mac` says why.
const SHORTEST_MAC_BYTES: usize = 4;

/// Tell of each claim whether the given bytes are its MAC, or the first four to seven of it.
#[pyfunction]
#[allow(clippy::needless_pass_by_value)] // PyO3 hands it over so.
pub fn verify_macs(py: Python<'_>, claims: Vec<Claim>) -> PyResult<Vec<bool>> {
    py.detach(|| {
        claims
            .iter()
            .map(|(context, padding, data, given)| holds(context.get(), *padding, data, given))
            .collect::<Option<Vec<bool>>>()
    })
    .ok_or_else(unchecked)
}

/// Whether the given bytes are the MAC, or its leading part; None for a padding that is none.
pub fn holds(context: &RetailMacContext, padding: u8, data: &[u8], given: &[u8]) -> Option<bool> {
    let made = context.over(data, padding)?;
    let fits = (SHORTEST_MAC_BYTES..=made.len()).contains(&given.len());
    Some(fits && same(&made[..given.len()], given))
}

/// Give the longitudinal redundancy check: all bytes added without carry.
#[pyfunction]
pub fn lrc(data: &[u8]) -> u8 {
    data.iter().fold(0, |sum, byte| sum ^ byte)
}
