//! Dicts made ready for the bitmaps that come again and again.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Mutex;

/// Bitmaps whose dicts are remembered; a peer may send any bitmap, so the number is bounded.
const TEMPLATES_MAX: usize = 512;

/// For each bitmap a dict with its keys: a copy of it never grows while values are put in.
#[derive(Default)]
pub struct Templates {
    known: Mutex<Known>,
}

type Known = HashMap<(u64, u64, u64), Py<PyDict>, BuildHasherDefault<Mix>>;

/// A hash of three numbers, cheap beside what it saves. Whoever makes bitmaps collide gains a few
/// comparisons among `TEMPLATES_MAX` at most.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(29);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Templates {
    /// Give a dict to fill, and whether its bitmap is new.
    pub fn dict<'py>(
        &self,
        py: Python<'py>,
        words: [u64; 3],
    ) -> Option<(Bound<'py, PyDict>, bool)> {
        let known = self.known.lock().ok()?;
        match known.get(&words.into()) {
            Some(template) => Some((template.bind(py).copy().ok()?, false)),
            None => Some((PyDict::new(py), true)),
        }
    }

    pub fn learn(&self, py: Python<'_>, words: [u64; 3], elements: &Bound<'_, PyDict>) {
        let Ok(mut known) = self.known.lock() else {
            return;
        };
        if known.len() >= TEMPLATES_MAX {
            return;
        }
        let template = PyDict::new(py);
        for key in elements.keys() {
            if template.set_item(key, py.None()).is_err() {
                return;
            }
        }
        known.insert(words.into(), template.unbind());
    }
}
