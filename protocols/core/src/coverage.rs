//! What a build for fuzzing tells about itself: which places of this core have run.
//!
//! Only with the feature `coverage`, and then built with `-C instrument-coverage`, which keeps a
//! counter for every branch. `scripts/fuzz.py --native` builds it so and lets it guide the fuzzer.

use pyo3::prelude::*;

unsafe extern "C" {
    fn __llvm_profile_begin_counters() -> *mut u64;
    fn __llvm_profile_end_counters() -> *mut u64;
}

/// Give the numbers of the counters that are not zero, and set them to zero.
#[pyfunction]
fn reached() -> Vec<usize> {
    // SAFETY: the profiler's runtime gives the bounds of its counters, an array of u64 that lives as
    // long as this library. The interpreter is attached, and the fuzzer runs no other thread.
    let counters = unsafe {
        let begin = __llvm_profile_begin_counters();
        let size = __llvm_profile_end_counters().offset_from(begin);
        std::slice::from_raw_parts_mut(begin, usize::try_from(size).unwrap_or(0))
    };
    let mut found = Vec::new();
    for (number, counter) in counters.iter_mut().enumerate() {
        if *counter != 0 {
            found.push(number);
            *counter = 0;
        }
    }
    found
}

/// Add the function `reached`.
pub fn register(parent: &Bound<'_, PyModule>) -> PyResult<()> {
    parent.add_function(wrap_pyfunction!(reached, parent)?)
}
