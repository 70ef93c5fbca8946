//! Native core of the protocols package: `protocols._core`.
//!
//! Each half registers itself; the pure-Python twins have the same functions and results.

mod codec;
#[cfg(feature = "coverage")]
mod coverage;
mod crypto;

use pyo3::prelude::*;

/// What Python imports as `protocols._core`.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    codec::register(module)?;
    #[cfg(feature = "coverage")]
    coverage::register(module)?;
    crypto::register(module)
}
