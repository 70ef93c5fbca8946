//! The places where the codec speaks to Python below the binding's safe functions, which cost more.

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};
use pyo3::Borrowed;
use std::mem::MaybeUninit;

#[cfg(Py_LIMITED_API)]
compile_error!("this core is built by itself: cargo ... -p protocols-core (docs/adr/0010)");

/// A value of a dict that is not counted: good while nobody changes the dict.
pub type Lent<'a, 'py> = Borrowed<'a, 'py, PyAny>;

/// Most elements of a message: three bitmaps.
pub const ITEMS_MAX: usize = 192;

/// Values by element number, at most `ITEMS_MAX` of them.
pub struct Items<'a, 'py> {
    space: [MaybeUninit<(usize, Lent<'a, 'py>)>; ITEMS_MAX],
    size: usize,
    /// A bit for each number, as a bitmap has it.
    words: [u64; 3],
    last: usize,
    is_sorted: bool,
}

impl<'a, 'py> Items<'a, 'py> {
    pub fn none() -> Self {
        Self {
            space: [const { MaybeUninit::uninit() }; ITEMS_MAX],
            size: 0,
            words: [0; 3],
            last: 0,
            is_sorted: true,
        }
    }

    /// Give the items of a dict whose keys are whole numbers of 1 to `ITEMS_MAX`, in its order.
    ///
    /// None when a key is anything else. The caller must run no Python code while it holds the
    /// values: the dict could change under them.
    pub fn of(dict: &'a Bound<'py, PyDict>, numbers: &SmallNumbers) -> Option<Self> {
        let py = dict.py();
        let mut out = Self::none();
        let mut position: ffi::Py_ssize_t = 0;
        let mut key: *mut ffi::PyObject = std::ptr::null_mut();
        let mut value: *mut ffi::PyObject = std::ptr::null_mut();
        // SAFETY: `dict` is a dict and the interpreter is attached. PyDict_Next fills `key` and
        // `value` with pointers that the dict owns, before it gives 1. Nothing here runs Python
        // code, so the dict does not change in between; `'a` ties the values to the borrow of the
        // dict, and the caller promises the same for as long as it holds them.
        unsafe {
            while ffi::PyDict_Next(
                dict.as_ptr(),
                &raw mut position,
                &raw mut key,
                &raw mut value,
            ) != 0
            {
                out.push(numbers.of(key)?, Borrowed::from_ptr(py, value))?;
            }
        }
        Some(out)
    }

    /// Append an item; None for a number outside 1 to `ITEMS_MAX` or one item too many.
    #[inline]
    pub fn push(&mut self, number: usize, value: Lent<'a, 'py>) -> Option<()> {
        let bit = number.wrapping_sub(1);
        *self.words.get_mut(bit / 64)? |= 1 << (63 - bit % 64);
        self.space.get_mut(self.size)?.write((number, value));
        self.size += 1;
        self.is_sorted &= number > self.last;
        self.last = number;
        Some(())
    }

    /// Whether an item has this number, which is one of 1 to `ITEMS_MAX`.
    pub fn has(&self, number: usize) -> bool {
        let bit = number - 1;
        self.words[bit / 64] >> (63 - bit % 64) & 1 == 1
    }

    pub fn words(&self) -> [u64; 3] {
        self.words
    }

    pub fn as_slice(&self) -> &[(usize, Lent<'a, 'py>)] {
        // SAFETY: the first `size` slots were written by `push`, and MaybeUninit<T> is laid out as T.
        unsafe { std::slice::from_raw_parts(self.space.as_ptr().cast(), self.size) }
    }

    /// Put the items in the order of their numbers.
    pub fn sort(&mut self) {
        if self.is_sorted {
            return;
        }
        // SAFETY: as in `as_slice`.
        let items: &mut [(usize, Lent<'a, 'py>)] =
            unsafe { std::slice::from_raw_parts_mut(self.space.as_mut_ptr().cast(), self.size) };
        items.sort_unstable_by_key(|item| item.0);
        self.is_sorted = true;
    }
}

/// The interpreter's own objects of the element numbers, told by their addresses.
pub struct SmallNumbers {
    /// Kept, so that the addresses stay theirs.
    _held: Vec<Py<PyAny>>,
    first: usize,
    /// Each stands `1 << shift` bytes behind the one before; None where they stand otherwise.
    shift: Option<u32>,
}

impl SmallNumbers {
    /// Look where the interpreter keeps 0 to 192; it shares small whole numbers.
    pub fn new(py: Python<'_>) -> PyResult<Self> {
        let held = (0..=ITEMS_MAX)
            .map(|number| Ok(number.into_pyobject(py)?.into_any().unbind()))
            .collect::<PyResult<Vec<_>>>()?;
        let at = |index: usize| held[index].as_ptr() as usize;
        let first = at(0);
        let stride = at(1).wrapping_sub(first);
        let is_even = (0..=ITEMS_MAX).all(|n| at(n) == first.wrapping_add(n.wrapping_mul(stride)));
        Ok(Self {
            first,
            shift: (is_even && stride.is_power_of_two()).then(|| stride.trailing_zeros()),
            _held: held,
        })
    }

    /// Give the element number that an object is, from 1 to 192.
    #[inline]
    pub fn number(&self, key: &Bound<'_, PyAny>) -> Option<usize> {
        // SAFETY: a bound object is live and the interpreter is attached.
        unsafe { self.of(key.as_ptr()) }
    }

    /// Give the number that a key is, from 1 to 192.
    ///
    /// # Safety
    /// `key` is a live object and the interpreter is attached.
    unsafe fn of(&self, key: *mut ffi::PyObject) -> Option<usize> {
        if let Some(shift) = self.shift {
            let distance = (key as usize).wrapping_sub(self.first);
            let number = distance >> shift;
            if (1..=ITEMS_MAX).contains(&number) && number << shift == distance {
                return Some(number);
            }
        }
        // SAFETY: the caller's promise; the type is checked before the number is read.
        unsafe {
            if ffi::PyLong_CheckExact(key) == 0 {
                return None;
            }
            let mut overflow = 0;
            let number = ffi::PyLong_AsLongAndOverflow(key, &raw mut overflow);
            usize::try_from(number)
                .ok()
                .filter(|n| (1..=ITEMS_MAX).contains(n))
        }
    }
}

/// Give a str of `size` ASCII characters that `fill` writes, None when `fill` gives false.
///
/// `fill` must write every byte, each below 0x80, before it gives true.
#[inline]
pub fn ascii_filled(
    py: Python<'_>,
    size: usize,
    fill: impl FnOnce(&mut [MaybeUninit<u8>]) -> bool,
) -> Option<Bound<'_, PyAny>> {
    let wanted = ffi::Py_ssize_t::try_from(size).ok()?;
    // SAFETY: a new str of this size for characters up to 0x7F has `size` bytes of room behind its
    // header (for size 0 it is the shared empty one, and the slice is empty). Nobody else holds it
    // before it is returned; when `fill` refuses, it is dropped unseen.
    unsafe {
        let made = ffi::PyUnicode_New(wanted, 0x7F);
        let made = Bound::from_owned_ptr_or_err(py, made).ok()?;
        let room = ffi::PyUnicode_1BYTE_DATA(made.as_ptr()).cast::<MaybeUninit<u8>>();
        fill(std::slice::from_raw_parts_mut(room, size)).then_some(made)
    }
}

/// Give a str of ASCII bytes that the caller has checked.
#[inline]
pub fn ascii_string<'py>(py: Python<'py>, ascii: &[u8]) -> Option<Bound<'py, PyAny>> {
    ascii_filled(py, ascii.len(), |room| {
        for (slot, byte) in room.iter_mut().zip(ascii) {
            slot.write(*byte & 0x7F);
        }
        true
    })
}

/// Give the characters of a str when all are ASCII.
#[inline]
pub fn ascii_of<'a>(text: &'a Bound<'_, PyString>) -> Option<&'a [u8]> {
    #[cfg(not(Py_3_14))]
    // SAFETY: `text` is a str and stays alive as long as the slice; a compact ASCII str has its
    // length in bytes behind its header, and a str never changes.
    unsafe {
        let object = text.as_ptr();
        if ffi::PyUnicode_IS_COMPACT_ASCII(object) != 0 {
            let size = usize::try_from(ffi::PyUnicode_GET_LENGTH(object)).ok()?;
            let data = ffi::PyUnicode_1BYTE_DATA(object);
            return Some(std::slice::from_raw_parts(data, size));
        }
    }
    text.to_str()
        .ok()
        .filter(|t| t.is_ascii())
        .map(str::as_bytes)
}

/// Where instances of `Message` keep their three parts.
pub struct MessageSlots {
    class: Py<PyType>,
    mti: usize,
    elements: usize,
    spec: usize,
}

impl MessageSlots {
    /// Ask the class for its slots; raise `TypeError` when it is not one with these slots.
    pub fn new(class: &Bound<'_, PyType>) -> PyResult<Self> {
        Ok(Self {
            mti: offset(class, "mti")?,
            elements: offset(class, "elements")?,
            spec: offset(class, "spec")?,
            class: class.clone().unbind(),
        })
    }

    /// Give a new message of these parts: `object.__new__` and three slots filled, without a call.
    #[inline]
    pub fn message<'py>(
        &self,
        mti: Bound<'py, PyAny>,
        elements: Bound<'py, PyDict>,
        spec: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let class = self.class.bind(mti.py());
        // SAFETY: the class is a heap type over `object`, whose instances PyType_GenericAlloc makes
        // complete with empty slots; `offset` has proved each slot to be one of owned objects, so
        // the three references are handed over and freed with the instance.
        unsafe {
            let made = ffi::PyType_GenericAlloc(class.as_type_ptr(), 0);
            let made = Bound::from_owned_ptr_or_err(class.py(), made)?;
            put(&made, self.mti, mti);
            put(&made, self.elements, elements.into_any());
            put(&made, self.spec, spec);
            Ok(made)
        }
    }

    /// Give type and elements of exactly a `Message`, None for anything else or an empty slot.
    #[inline]
    pub fn parts<'a, 'py>(
        &self,
        message: &'a Bound<'py, PyAny>,
    ) -> Option<(Lent<'a, 'py>, Lent<'a, 'py>)> {
        if !message.get_type_ptr().eq(&self.class.as_ptr().cast()) {
            return None;
        }
        let py = message.py();
        // SAFETY: the object is an instance of the class whose offsets these are; a slot is null
        // or an object that the message owns, and `'a` ties it to the borrow of the message.
        unsafe {
            let mti = *slot_at(message.as_ptr(), self.mti);
            let elements = *slot_at(message.as_ptr(), self.elements);
            if mti.is_null() || elements.is_null() {
                return None;
            }
            Some((
                Borrowed::from_ptr(py, mti),
                Borrowed::from_ptr(py, elements),
            ))
        }
    }
}

/// A class whose instances are one slot: what masks its content by its type.
pub struct OneSlot {
    class: Py<PyType>,
    offset: usize,
}

impl OneSlot {
    /// Ask the class for its slot; raise `TypeError` when it has none of this name.
    pub fn new(class: &Bound<'_, PyType>, name: &str) -> PyResult<Self> {
        Ok(Self {
            offset: offset(class, name)?,
            class: class.clone().unbind(),
        })
    }

    /// Give a new instance of content that the caller has checked as the class would.
    #[inline]
    pub fn make<'py>(&self, content: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let class = self.class.bind(content.py());
        // SAFETY: as in `MessageSlots::message`.
        unsafe {
            let made = ffi::PyType_GenericAlloc(class.as_type_ptr(), 0);
            let made = Bound::from_owned_ptr_or_err(class.py(), made)?;
            put(&made, self.offset, content);
            Ok(made)
        }
    }
}

/// A class that is a tuple with names.
pub struct Tuples {
    class: Py<PyType>,
}

impl Tuples {
    /// Take the class; raise `TypeError` when it is no tuple or has anything beside its items.
    pub fn new(class: &Bound<'_, PyType>) -> PyResult<Self> {
        let tuple = class.py().get_type::<PyTuple>();
        let size = |of: &Bound<'_, PyType>| of.getattr("__basicsize__")?.extract::<usize>();
        if !class.is_subclass(&tuple)? || size(class)? != size(&tuple)? {
            return Err(PyTypeError::new_err("facts are a tuple without a dict"));
        }
        Ok(Self {
            class: class.clone().unbind(),
        })
    }

    /// Give a new instance of these items.
    #[inline]
    pub fn make<'py, const N: usize>(
        &self,
        py: Python<'py>,
        items: [Bound<'py, PyAny>; N],
    ) -> PyResult<Bound<'py, PyAny>> {
        let class = self.class.bind(py);
        // SAFETY: the class is a tuple of the plain size, so PyType_GenericAlloc makes room for N
        // items, all empty, exactly as tuple.__new__ of a subclass does; each is filled once, with a
        // reference handed over, before anybody sees the instance.
        unsafe {
            let made = ffi::PyType_GenericAlloc(class.as_type_ptr(), N.cast_signed());
            let made = Bound::from_owned_ptr_or_err(py, made)?;
            for (index, item) in items.into_iter().enumerate() {
                ffi::PyTuple_SET_ITEM(made.as_ptr(), index.cast_signed(), item.into_ptr());
            }
            Ok(made)
        }
    }
}

/// # Safety
/// `offset` is that of a slot of owned objects in `object`; slots are aligned like pointers.
unsafe fn slot_at(object: *mut ffi::PyObject, offset: usize) -> *mut *mut ffi::PyObject {
    // SAFETY: the caller's promise keeps the address inside the object.
    unsafe { object.byte_add(offset).cast() }
}

/// # Safety
/// `offset` is that of an empty slot of owned objects in `target`.
unsafe fn put(target: &Bound<'_, PyAny>, offset: usize, value: Bound<'_, PyAny>) {
    // SAFETY: the caller's promise.
    unsafe { slot_at(target.as_ptr(), offset).write(value.into_ptr()) }
}

/// Where instances of a class keep a slot.
fn offset(class: &Bound<'_, PyType>, name: &str) -> PyResult<usize> {
    let descriptor = class.getattr(name)?;
    let is_member = descriptor.get_type().name()? == "member_descriptor";
    if !is_member {
        return Err(PyTypeError::new_err("a message class has slots"));
    }
    // SAFETY: an object of type member_descriptor begins as PyMemberDescrObject and keeps its
    // definition alive.
    let (kind, offset) = unsafe {
        let member = (*descriptor.as_ptr().cast::<ffi::PyMemberDescrObject>()).d_member;
        ((*member).type_code, (*member).offset)
    };
    match usize::try_from(offset) {
        Ok(offset) if kind == ffi::Py_T_OBJECT_EX => Ok(offset),
        _ => Err(PyTypeError::new_err("a slot of a message holds an object")),
    }
}
