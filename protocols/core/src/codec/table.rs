//! A spec as a flat table: what the reader and the writer look at instead of Python objects.

use super::hex::tag_bytes;
use super::page::Page;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// Highest element number with three bitmaps.
pub const NUMBER_MAX: usize = 192;

/// How text, digits or bytes stand on the wire.
pub enum Encoding {
    Ascii,
    Page(Page),
    Bcd,
    Binary,
    Hex(Option<Page>),
}

/// What a value is.
pub enum Kind {
    Text,
    Digits,
    Track2,
    Bytes,
    Group { repeats: usize, packed: bool },
    Tagged(Form),
    Bitmapped(usize),
}

/// How tags and lengths of a tagged element look.
pub enum Form {
    Private {
        tag_bytes: usize,
        ascii: bool,
        length: Prefix,
        counts_tag: bool,
        length_first: bool,
    },
    Ber,
    Dataset,
}

/// What the number in a length prefix counts.
#[derive(Clone, Copy, PartialEq)]
pub enum Counts {
    Digits,
    Bytes,
    Nibbles,
}

/// A length in front of a value.
pub struct Prefix {
    pub size: usize,
    pub limit: usize,
    pub encoding: Encoding,
    pub counts: Counts,
    pub includes_self: bool,
}

/// The characters that a text may hold.
pub enum Charset {
    Printable,
    /// C or D, then digits.
    Signed,
    Listed(Box<[bool; 256]>),
}

/// What a mask leaves of a value.
#[derive(Clone, Copy, PartialEq)]
pub enum Shown {
    All,
    /// What its parts leave; nothing of a part that the spec does not know.
    Parts,
    LastFour,
    Nothing,
}

/// Where the padding half-byte of an odd count stands, and what it is.
#[derive(Clone, Copy)]
pub struct Odd {
    pub left: bool,
    pub nibble: u8,
}

/// One element or sub-element.
pub struct Element {
    pub key: Py<PyAny>,
    pub name: String,
    pub kind: Kind,
    pub encoding: Encoding,
    pub min: usize,
    pub max: usize,
    pub prefix: Option<Prefix>,
    /// Bytes on the wire where they are always as many; None where a prefix or the end says it.
    pub fixed: Option<usize>,
    pub odd: Odd,
    pub charset: Charset,
    pub shown: Shown,
    pub subs: Vec<Element>,
    pub tag: Vec<u8>,
    /// Tag as a number -> index in `subs`, sorted.
    pub by_tag: Vec<(u32, usize)>,
    /// Key -> index in `subs`, sorted.
    pub by_key: Vec<(String, usize)>,
    /// Bit number of a bitmapped element's part -> index in `subs`.
    pub by_bit: Vec<Option<usize>>,
}

/// A whole spec.
pub struct Table {
    pub mti: Encoding,
    pub bitmap: Encoding,
    pub always_128: bool,
    pub tertiary: bool,
    pub elements: Vec<Option<Element>>,
    /// By number the bytes of an element that always has as many, close together; 0 for others.
    pub sizes: Vec<u16>,
    pub bytes_max: usize,
    pub tags_max: usize,
    pub tag_bytes_max: usize,
}

type Tables<'a, 'py> = &'a Bound<'py, PyDict>;

impl Table {
    pub fn new(spec: &Bound<'_, PyAny>, tables: Tables<'_, '_>) -> PyResult<Self> {
        let mut elements: Vec<Option<Element>> = (0..=NUMBER_MAX).map(|_| None).collect();
        let given = spec.getattr("elements")?.cast_into::<PyDict>()?;
        for (number, element) in given.iter() {
            let slot = elements
                .get_mut(number.extract::<usize>()?)
                .ok_or_else(|| PyValueError::new_err("no element number"))?;
            *slot = Some(Element::new(&element, tables, Some(number))?);
        }
        let size = |element: &Option<Element>| element.as_ref()?.fixed?.try_into().ok();
        Ok(Self {
            sizes: elements.iter().map(|e| size(e).unwrap_or(0)).collect(),
            mti: encoding(&text(spec, "mti_encoding")?, tables)?,
            bitmap: encoding(&text(spec, "bitmap_encoding")?, tables)?,
            always_128: spec.getattr("bitmap_always_128")?.extract()?,
            tertiary: spec.getattr("bitmap_tertiary")?.extract()?,
            elements,
            bytes_max: limit(tables, "MESSAGE_BYTES_MAX")?,
            tags_max: limit(tables, "TAGS_MAX")?,
            tag_bytes_max: limit(tables, "TAG_BYTES_MAX")?,
        })
    }
}

impl Element {
    fn new(
        given: &Bound<'_, PyAny>,
        tables: Tables<'_, '_>,
        number: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let charset = text(given, "charset")?;
        let mut subs = given
            .getattr("sub")?
            .try_iter()?
            .map(|sub| Self::new(&sub?, tables, None))
            .collect::<PyResult<Vec<_>>>()?;
        let kind = kind(given, tables)?;
        if let Kind::Tagged(Form::Private { ascii: true, .. }) = kind {
            // "01" is two characters here; only the element around a tag knows that.
            for (sub, part) in subs.iter_mut().zip(given.getattr("sub")?.try_iter()?) {
                sub.tag = text(&part?, "tag")?.into_bytes();
            }
        }
        let tag = tag_bytes(&text(given, "tag")?);
        let by_tag = sorted(subs.iter().map(|sub| tag_number(&sub.tag)));
        let keys = given
            .getattr("sub")?
            .try_iter()?
            .map(|sub| text(&sub?, "key"))
            .collect::<PyResult<Vec<_>>>()?;
        let by_bit = match kind {
            Kind::Bitmapped(bytes) => by_bit(&keys, bytes * 8),
            _ => Vec::new(),
        };
        let prefix = given.getattr("prefix")?;
        let (min, max) = (
            given.getattr("minimum")?.extract()?,
            given.getattr("maximum")?.extract()?,
        );
        let encoding = encoding(&text(given, "encoding")?, tables)?;
        let is_fixed = prefix.is_none() && min == max;
        Ok(Self {
            key: match number {
                Some(number) => number.unbind(),
                None => given.getattr("key")?.unbind(),
            },
            name: text(given, "key")?,
            kind,
            fixed: is_fixed.then(|| wire_size(&encoding, max)),
            encoding,
            min,
            max,
            prefix: if prefix.is_none() {
                None
            } else {
                Some(Prefix::new(&prefix, tables)?)
            },
            odd: odd(&text(given, "odd")?),
            charset: charset_of(tables, &charset)?,
            shown: match text(given, "sensitive")?.as_str() {
                "none" => Shown::All,
                "emv" => Shown::Parts,
                "pan" => Shown::LastFour,
                _ => Shown::Nothing,
            },
            subs,
            tag,
            by_tag,
            by_key: sorted(keys.into_iter()),
            by_bit,
        })
    }
}

impl Prefix {
    fn new(given: &Bound<'_, PyAny>, tables: Tables<'_, '_>) -> PyResult<Self> {
        let width: u32 = given.getattr("width")?.extract()?;
        let name = text(given, "encoding")?;
        let limit = if name == "binary" {
            256_usize.pow(width)
        } else {
            10_usize.pow(width)
        };
        Ok(Self {
            size: given.getattr("size")?.extract()?,
            limit,
            encoding: encoding(&name, tables)?,
            counts: match text(given, "counts")?.as_str() {
                "digits" => Counts::Digits,
                "nibbles" => Counts::Nibbles,
                _ => Counts::Bytes,
            },
            includes_self: given.getattr("includes_self")?.extract()?,
        })
    }
}

fn text(given: &Bound<'_, PyAny>, name: &str) -> PyResult<String> {
    given.getattr(name)?.extract()
}

fn sorted<K: Ord>(keys: impl Iterator<Item = K>) -> Vec<(K, usize)> {
    let mut pairs: Vec<(K, usize)> = keys.zip(0..).collect();
    pairs.sort();
    pairs
}

fn by_bit(keys: &[String], bits: usize) -> Vec<Option<usize>> {
    let mut out = vec![None; bits + 1];
    for (index, key) in keys.iter().enumerate() {
        if let Some(slot) = key.parse().ok().and_then(|bit: usize| out.get_mut(bit)) {
            *slot = Some(index);
        }
    }
    out
}

fn kind(given: &Bound<'_, PyAny>, tables: Tables<'_, '_>) -> PyResult<Kind> {
    let name = text(given, "kind")?;
    Ok(match name.as_str() {
        "text" => Kind::Text,
        "digits" => Kind::Digits,
        "track2" => Kind::Track2,
        "bytes" | "bitmap" => Kind::Bytes,
        "positional" => Kind::Group {
            repeats: given.getattr("repeats")?.extract()?,
            packed: text(given, "encoding")? == "bcd",
        },
        "ber-tlv" => Kind::Tagged(Form::Ber),
        "dataset" => Kind::Tagged(Form::Dataset),
        "bitmapped" => Kind::Bitmapped(given.getattr("bitmap_bytes")?.extract()?),
        "tlv" | "ltv" => {
            let form = given.getattr("form")?;
            Kind::Tagged(Form::Private {
                tag_bytes: form.getattr("tag_bytes")?.extract()?,
                ascii: text(&form, "tag_encoding")? == "ascii",
                length: Prefix::new(&form.getattr("length")?, tables)?,
                counts_tag: form.getattr("length_counts_tag")?.extract()?,
                length_first: name == "ltv",
            })
        }
        _ => return Err(PyValueError::new_err("unknown kind")),
    })
}

fn encoding(name: &str, tables: Tables<'_, '_>) -> PyResult<Encoding> {
    Ok(match name {
        "ascii" => Encoding::Ascii,
        "bcd" => Encoding::Bcd,
        "binary" => Encoding::Binary,
        "hex" => Encoding::Hex(None),
        "ebcdic-hex" => Encoding::Hex(Some(Page::of("cp500", tables)?)),
        other => Encoding::Page(Page::of(other, tables)?),
    })
}

fn charset_of(tables: Tables<'_, '_>, name: &str) -> PyResult<Charset> {
    if name == "ans" {
        return Ok(Charset::Printable);
    }
    if name == "x+n" {
        return Ok(Charset::Signed);
    }
    let allowed = tables
        .get_item("charsets")?
        .and_then(|sets| sets.get_item(name).ok())
        .ok_or_else(|| PyValueError::new_err("unknown charset"))?;
    let mut listed = [false; 256];
    for character in allowed.cast_into::<PyString>()?.to_str()?.bytes() {
        listed[usize::from(character)] = true;
    }
    Ok(Charset::Listed(Box::new(listed)))
}

fn limit(tables: Tables<'_, '_>, name: &str) -> PyResult<usize> {
    tables
        .get_item(name)?
        .ok_or_else(|| PyValueError::new_err("a limit is missing"))?
        .extract()
}

fn odd(rule: &str) -> Odd {
    Odd {
        left: rule.starts_with("left"),
        nibble: if rule.ends_with('f') { 0x0F } else { 0 },
    }
}

fn wire_size(encoding: &Encoding, units: usize) -> usize {
    match encoding {
        Encoding::Bcd => units.div_ceil(2),
        Encoding::Hex(_) => units * 2,
        _ => units,
    }
}

/// A tag of at most four bytes as a number.
pub fn tag_number(tag: &[u8]) -> u32 {
    tag.iter()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

impl Element {
    /// The sub-element of a tag.
    pub fn sub_by_tag(&self, tag: &[u8]) -> Option<&Element> {
        let number = tag_number(tag);
        let found = self.by_tag.binary_search_by_key(&number, |pair| pair.0);
        found.ok().map(|at| &self.subs[self.by_tag[at].1])
    }

    /// The sub-element of a key.
    pub fn sub_by_key(&self, key: &str) -> Option<&Element> {
        let found = self
            .by_key
            .binary_search_by(|pair| pair.0.as_str().cmp(key));
        found.ok().map(|at| &self.subs[self.by_key[at].1])
    }

    /// Bytes on the wire of a value of `units` digits, characters or bytes.
    pub fn wire_size(&self, units: usize) -> usize {
        wire_size(&self.encoding, units)
    }

    /// Whether the element holds a MAC: eight bytes, always.
    pub fn is_mac(&self) -> bool {
        let is_plain = matches!(self.kind, Kind::Bytes) && self.prefix.is_none();
        is_plain && self.min == 8 && self.max == 8
    }

    /// Whether the value has sub-elements.
    pub fn is_composite(&self) -> bool {
        matches!(
            self.kind,
            Kind::Group { .. } | Kind::Tagged(_) | Kind::Bitmapped(_)
        )
    }
}
