//! Where a message is written: bytes of a fixed room, one after the other.

/// Longest piece that is copied without a call.
const SHORT: usize = 16;

/// A room and how far it is written. Whatever does not fit gives None and marks it full.
pub struct Out<'a> {
    room: &'a mut [u8],
    at: usize,
    is_full: bool,
}

impl<'a> Out<'a> {
    pub fn new(room: &'a mut [u8]) -> Self {
        Self {
            room,
            at: 0,
            is_full: false,
        }
    }

    pub fn len(&self) -> usize {
        self.at
    }

    /// Whether something did not fit: a larger room may help.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    pub fn written(&self) -> &[u8] {
        &self.room[..self.at]
    }

    /// Give the next bytes, to be filled by the caller; they may hold anything.
    #[inline]
    pub fn space(&mut self, size: usize) -> Option<&mut [u8]> {
        let start = self.at;
        let stop = start.checked_add(size)?;
        if stop > self.room.len() {
            self.is_full = true;
            return None;
        }
        self.at = stop;
        self.room.get_mut(start..stop)
    }

    #[inline]
    pub fn push(&mut self, byte: u8) -> Option<()> {
        self.space(1)?[0] = byte;
        Some(())
    }

    #[inline]
    pub fn put(&mut self, bytes: &[u8]) -> Option<()> {
        copy(self.space(bytes.len())?, bytes);
        Some(())
    }

    /// Give bytes that are written already.
    pub fn part(&mut self, start: usize, size: usize) -> Option<&mut [u8]> {
        self.room[..self.at].get_mut(start..start + size)
    }

    /// Put bytes in before what was written from `start` on.
    pub fn insert(&mut self, start: usize, bytes: &[u8]) -> Option<()> {
        let stop = self.at;
        self.space(bytes.len())?;
        self.room.copy_within(start..stop, start + bytes.len());
        self.part(start, bytes.len())?.copy_from_slice(bytes);
        Some(())
    }

    /// Take off what was written from `start` on.
    pub fn split_off(&mut self, start: usize) -> Vec<u8> {
        let off = self.written()[start..].to_vec();
        self.at = start;
        off
    }
}

/// Copy bytes of one length: short ones, which most are, as two overlapping words.
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    let size = from.len();
    if size > SHORT {
        to.copy_from_slice(from);
    } else if size >= 8 {
        halves::<8>(to, from);
    } else if size >= 4 {
        halves::<4>(to, from);
    } else {
        for (slot, byte) in to.iter_mut().zip(from) {
            *slot = *byte;
        }
    }
}

/// Copy N to 2 N bytes.
#[inline]
fn halves<const N: usize>(to: &mut [u8], from: &[u8]) {
    if let (Some(slot), Some(bytes)) = (to.first_chunk_mut::<N>(), from.first_chunk::<N>()) {
        *slot = *bytes;
    }
    if let (Some(slot), Some(bytes)) = (to.last_chunk_mut::<N>(), from.last_chunk::<N>()) {
        *slot = *bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_copied_whole_and_no_byte_beside() {
        let source: Vec<u8> = (1..=64).collect();
        for size in 0..=source.len() {
            let mut room = [0xEE_u8; 80];
            let mut out = Out::new(&mut room);
            assert!(out.put(&source[..size]).is_some());
            assert_eq!(out.written(), &source[..size]);
            assert!(room[size..].iter().all(|byte| *byte == 0xEE));
        }
    }

    #[test]
    fn what_does_not_fit_leaves_a_full_room() {
        let mut room = [0_u8; 3];
        let mut out = Out::new(&mut room);
        assert!(out.put(b"abcd").is_none());
        assert!(out.is_full());
        assert_eq!(out.len(), 0);
    }

    #[test]
    fn what_is_put_in_before_moves_the_rest() {
        let mut room = [0_u8; 8];
        let mut out = Out::new(&mut room);
        out.put(b"abef");
        out.insert(2, b"cd");
        assert_eq!(out.written(), b"abcdef");
        assert_eq!(out.split_off(4), b"ef");
        assert_eq!(out.written(), b"abcd");
    }
}
