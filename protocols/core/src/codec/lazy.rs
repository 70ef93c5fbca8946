//! Messages whose elements are only found at first, and read when somebody asks for one.

use super::read::{bitmap, content, mti, span, Bits, Value};
use super::table::Table;
use super::CodecCore;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

/// Where one element stands; a message is at most 16,384 bytes.
struct Place {
    number: u16,
    start: u16,
    begin: u16,
    end: u16,
    /// 0 where the element always has as many.
    units: u16,
}

/// A message over its own bytes.
#[pyclass(module = "protocols._core.codec", frozen)]
pub struct LazyMessage {
    core: Py<CodecCore>,
    /// The bytes of the message.
    #[pyo3(get)]
    raw: Py<PyBytes>,
    /// The message type, four digits.
    #[pyo3(get)]
    mti: Py<PyAny>,
    words: [u64; 3],
    places: Vec<Place>,
}

/// Find every element; None when the message is not plainly right.
pub fn found<'py>(core: &Bound<'py, CodecCore>, raw: &Bound<'py, PyBytes>) -> Option<LazyMessage> {
    let table = &core.get().table;
    let bytes = raw.as_bytes();
    if bytes.len() > table.bytes_max {
        return None;
    }
    let mut at = 0;
    let mti: Value<'_> = mti(raw.py(), table, bytes, &mut at)?;
    let bits = bitmap(table, bytes, &mut at)?;
    let size: u32 = bits.words.iter().map(|word| word.count_ones()).sum();
    let mut places = Vec::with_capacity(size as usize);
    let mut start = u16::try_from(at).ok()?;
    for number in bits.numbers(table) {
        let fixed = *table.sizes.get(number)?;
        let (begin, end, units) = if fixed > 0 {
            (start, start.checked_add(fixed)?, 0)
        } else {
            let element = table.elements[number].as_ref()?;
            let mut at = usize::from(start);
            let (begin, units) = span(element, bytes, &mut at, bytes.len())?;
            (
                begin.try_into().ok()?,
                at.try_into().ok()?,
                units.try_into().ok()?,
            )
        };
        places.push(Place {
            number: number.try_into().ok()?,
            start,
            begin,
            end,
            units,
        });
        start = end;
    }
    (usize::from(start) == bytes.len()).then(|| LazyMessage {
        core: core.clone().unbind(),
        raw: raw.clone().unbind(),
        mti: mti.unbind(),
        words: announced(table, &bits),
        places,
    })
}

/// The bitmaps without the bits that announce bitmaps.
fn announced(table: &Table, bits: &Bits) -> [u64; 3] {
    let mut words = bits.words;
    words[0] &= !(1 << 63);
    if table.tertiary {
        words[1] &= !(1 << 63);
    }
    words
}

impl LazyMessage {
    /// The place of an element: as many stand before it as bits before its own.
    fn place(&self, number: &Bound<'_, PyAny>) -> Option<&Place> {
        let bit = self.core.get().numbers.number(number)? - 1;
        let word = *self.words.get(bit / 64)?;
        let before = bit % 64;
        if word >> (63 - before) & 1 == 0 {
            return None;
        }
        let mut index = (word & !(u64::MAX >> before)).count_ones();
        for full in &self.words[..bit / 64] {
            index += full.count_ones();
        }
        self.places.get(index as usize)
    }

    fn read<'py>(&self, py: Python<'py>, place: &Place) -> PyResult<Value<'py>> {
        let core = self.core.get();
        let raw = self.raw.bind(py);
        let number = usize::from(place.number);
        let field = raw
            .as_bytes()
            .get(usize::from(place.begin)..usize::from(place.end));
        if let (Some(element), Some(field)) = (&core.table.elements[number], field) {
            let units = element
                .fixed
                .map_or(usize::from(place.units), |_| element.max);
            if let Some(value) = content(py, &core.table, element, field, units) {
                return Ok(value);
            }
        }
        // The walk words what is wrong with it.
        let parts = (raw, number, place.start);
        core.slow.element.bind(py).call1(parts)
    }
}

#[pymethods]
impl LazyMessage {
    /// The spec that it is read by.
    #[getter]
    fn spec<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.core.get().spec.bind(py).clone()
    }

    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        number: &Bound<'py, PyAny>,
    ) -> PyResult<Value<'py>> {
        if let Some(place) = self.place(number) {
            return self.read(py, place);
        }
        let parts = (self.raw.bind(py), number, py.None());
        self.core.get().slow.element.bind(py).call1(parts)
    }

    #[pyo3(signature = (number, default=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        number: &Bound<'py, PyAny>,
        default: Option<Value<'py>>,
    ) -> PyResult<Option<Value<'py>>> {
        match self.place(number) {
            Some(place) => self.read(py, place).map(Some),
            None => Ok(default),
        }
    }

    fn __contains__(&self, number: &Bound<'_, PyAny>) -> bool {
        let known = self.place(number);
        known.is_some()
    }

    fn __len__(&self) -> usize {
        self.places.len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let numbers = self.places.iter().map(|place| place.number);
        Ok(PyTuple::new(py, numbers.collect::<Vec<_>>())?
            .try_iter()?
            .into_any())
    }

    fn wire<'py>(&self, py: Python<'py>, number: &Bound<'py, PyAny>) -> PyResult<Value<'py>> {
        let raw = self.raw.bind(py);
        if let Some(place) = self.place(number) {
            let bytes = raw.as_bytes();
            if let Some(field) = bytes.get(usize::from(place.start)..usize::from(place.end)) {
                return Ok(PyBytes::new(py, field).into_any());
            }
        }
        let parts = (raw, number, py.None());
        self.core.get().slow.element.bind(py).call1(parts)
    }

    /// Read it whole.
    fn message<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.core.get().decode(self.raw.bind(py))
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let numbers = self.places.iter().map(|place| format!(" {}", place.number));
        format!(
            "<LazyMessage {}{}>",
            self.mti.bind(py),
            numbers.collect::<String>()
        )
    }
}
