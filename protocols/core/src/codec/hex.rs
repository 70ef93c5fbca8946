//! Upper-case hexadecimal digits.

/// The bytes of a tag that the spec writes: hex digits, or the characters themselves.
pub fn tag_bytes(tag: &str) -> Vec<u8> {
    let is_hex = tag.len().is_multiple_of(2) && tag.bytes().all(|c| hex_value(c).is_some());
    if !is_hex {
        return tag.as_bytes().to_vec();
    }
    tag.as_bytes()
        .chunks_exact(2)
        .filter_map(|pair| Some(hex_value(pair[0])? << 4 | hex_value(pair[1])?))
        .collect()
}

/// The value of an upper-case hex digit.
pub fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
