//! A walk over BER-TLV data, bounded like the Python parser, which words the errors.

/// The bounds of `protocols.emv.limits`, handed over by it.
#[derive(Clone, Copy)]
pub struct Bounds {
    /// Longest input in bytes.
    pub input: usize,
    /// Deepest nesting.
    pub depth: usize,
    /// Longest tag in bytes.
    pub tag: usize,
}

/// Call `found` with tag and value of each object in order, through templates when `leaves`.
///
/// `left` counts the objects that may still come. Gives `None` at the first fault, or when `found`
/// does: where and what it was is for the Python parser to say.
pub fn walk<'a>(
    data: &'a [u8],
    bounds: Bounds,
    leaves: bool,
    depth: usize,
    left: &mut usize,
    found: &mut dyn FnMut(&'a [u8], &'a [u8]) -> Option<()>,
) -> Option<()> {
    let mut rest = data;
    if rest.len() > bounds.input {
        return None;
    }
    while !rest.is_empty() {
        *left = left.checked_sub(1)?;
        let (tag, behind) = rest.split_at(tag_length(rest, bounds.tag)?);
        let (length, behind) = length_field(behind)?;
        let value = behind.get(..length)?;
        rest = &behind[length..];
        if leaves && tag[0] & 0x20 != 0 {
            if depth + 1 >= bounds.depth {
                return None;
            }
            walk(value, bounds, leaves, depth + 1, left, found)?;
        } else {
            found(tag, value)?;
        }
    }
    Some(())
}

fn tag_length(data: &[u8], longest: usize) -> Option<usize> {
    let first = *data.first()?;
    if first == 0 {
        return None;
    }
    if first & 0x1F != 0x1F {
        return Some(1);
    }
    let last = data[1..]
        .iter()
        .take(longest - 1)
        .position(|byte| byte & 0x80 == 0)?;
    Some(last + 2)
}

fn length_field(data: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = data.split_first()?;
    match first {
        0..=0x7F => Some((usize::from(*first), rest)),
        0x81 => Some((usize::from(*rest.first()?), &rest[1..])),
        0x82 => {
            let (high, low) = (*rest.first()?, *rest.get(1)?);
            Some((usize::from(high) << 8 | usize::from(low), &rest[2..]))
        }
        _ => None,
    }
}
