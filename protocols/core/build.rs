//! Hands on what the interpreter offers, as `#[cfg]` flags.

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
}
