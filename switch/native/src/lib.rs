//! Native core of the switch package: `switch._core`, the plain sale.
//!
//! It decides the purchase that every stage lets pass, and answers it when the ledger has posted
//! it. Whatever is out of the ordinary it leaves alone, before it has changed anything: the stages
//! in Python decide that, and word every refusal. Both give the same answers and records
//! (`tests/test_switch/test_switch_twins.py`).

mod agreement;
mod decide;
mod finish;
mod memory;
mod numbers;
mod request;
mod sale;
mod stages;
mod terms;
mod texts;
mod turn;

use pyo3::prelude::*;

/// What Python imports as `switch._core`.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<decide::PlainSales>()?;
    module.add_class::<sale::PlainSale>()
}
