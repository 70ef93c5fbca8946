//! Comparing in constant time.

/// Whether two byte strings are the same; the time tells their lengths and nothing else.
pub fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let difference = left
        .iter()
        .zip(right)
        .fold(0, |difference, (one, other)| difference | (one ^ other));
    // Kept from being turned into an early end.
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn only_equal_bytes_are_the_same() {
        assert!(same(b"", b"") && same(b"12345678", b"12345678"));
        for bit in 0..64 {
            let mut other = *b"12345678";
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!same(b"12345678", &other));
        }
        assert!(!same(b"1234", b"12345678"));
    }
}
