//! Raising to a secret power modulo an odd number, in constant time: half of an RSA private key.
//!
//! The arithmetic is AWS-LC's (`BN_mod_exp_mont_consttime`), whose assembly is twice as fast as
//! what compilers make of portable code. Every pointer here is owned by one value and freed once.

use aws_lc_sys as lc;
use std::ffi::c_int;
use std::ptr::NonNull;

/// A number of AWS-LC's, erased when it goes.
struct Number(NonNull<lc::BIGNUM>);

impl Number {
    fn new(bytes: &[u8]) -> Option<Self> {
        // SAFETY: pointer and length are those of one slice; a null result says that it made none.
        let made = unsafe { lc::BN_bin2bn(bytes.as_ptr(), bytes.len(), std::ptr::null_mut()) };
        NonNull::new(made).map(Self)
    }

    fn pointer(&self) -> *const lc::BIGNUM {
        self.0.as_ptr()
    }

    /// Give it in exactly `size` big-endian bytes.
    fn bytes(&self, size: usize) -> Option<Vec<u8>> {
        let mut out = vec![0; size];
        // SAFETY: `out` has room for the `size` bytes that are asked for.
        let written = unsafe { lc::BN_bn2bin_padded(out.as_mut_ptr(), size, self.pointer()) };
        (written == 1).then_some(out)
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        // SAFETY: made by BN_bin2bn, owned by this value alone, freed here only.
        unsafe { lc::BN_clear_free(self.0.as_ptr()) }
    }
}

/// What one calculation needs beside its numbers.
struct Scratch(NonNull<lc::BN_CTX>);

impl Scratch {
    fn new() -> Option<Self> {
        // SAFETY: takes nothing; a null result says that there was no memory.
        NonNull::new(unsafe { lc::BN_CTX_new() }).map(Self)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: made by BN_CTX_new, owned by this value alone, freed here only.
        unsafe { lc::BN_CTX_free(self.0.as_ptr()) }
    }
}

/// What is computed once per modulus.
struct Reduction(NonNull<lc::BN_MONT_CTX>);

impl Drop for Reduction {
    fn drop(&mut self) {
        // SAFETY: made by BN_MONT_CTX_new_consttime, owned by this value alone, freed here only.
        unsafe { lc::BN_MONT_CTX_free(self.0.as_ptr()) }
    }
}

/// One modulus with its exponent, set up for many bases.
pub struct Power {
    modulus: Number,
    exponent: Number,
    reduction: Reduction,
    size: usize,
}

// SAFETY: nothing in a Power changes after `new`; AWS-LC only reads what is passed as const, and
// each `raise` has scratch and result of its own.
unsafe impl Send for Power {}
// SAFETY: as above.
unsafe impl Sync for Power {}

impl Power {
    /// Set up from big-endian bytes; `None` for an even or empty modulus, or a longer exponent.
    pub fn new(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let even = modulus.last().is_none_or(|last| last & 1 == 0);
        if even || exponent.len() > modulus.len() {
            return None;
        }
        let (size, modulus, exponent) =
            (modulus.len(), Number::new(modulus)?, Number::new(exponent)?);
        let scratch = Scratch::new()?;
        // SAFETY: both pointers are live; AWS-LC copies the modulus.
        let made = unsafe { lc::BN_MONT_CTX_new_consttime(modulus.pointer(), scratch.0.as_ptr()) };
        Some(Self {
            modulus,
            exponent,
            reduction: Reduction(NonNull::new(made)?),
            size,
        })
    }

    /// Give the power of a base, as long as the modulus; `None` for a base that is not below it.
    pub fn raise(&self, base: &[u8]) -> Option<Vec<u8>> {
        let (base, result, scratch) = (Number::new(base)?, Number::new(&[])?, Scratch::new()?);
        // SAFETY: all pointers are live for the calls; only `result` and `scratch` are written.
        let done: c_int = unsafe {
            if lc::BN_ucmp(base.pointer(), self.modulus.pointer()) >= 0 {
                return None;
            }
            lc::BN_mod_exp_mont_consttime(
                result.0.as_ptr(),
                base.pointer(),
                self.exponent.pointer(),
                self.modulus.pointer(),
                scratch.0.as_ptr(),
                self.reduction.0.as_ptr(),
            )
        };
        if done == 1 {
            result.bytes(self.size)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Power;

    #[test]
    fn powers_of_small_numbers_are_those_of_arithmetic() {
        for modulus in (3..200u8).step_by(2) {
            for exponent in 0..20u8 {
                let power = Power::new(&[0, modulus], &[exponent]).unwrap();
                for base in 0..modulus {
                    let expected = (0..exponent).fold(1u16, |product, _| {
                        product * u16::from(base) % u16::from(modulus)
                    });
                    let raised = power.raise(&[base]).unwrap();
                    assert_eq!(
                        raised,
                        expected.to_be_bytes(),
                        "{base}^{exponent} % {modulus}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_no_odd_modulus_or_no_base_below_it_is_refused() {
        assert!(Power::new(&[], &[]).is_none());
        assert!(Power::new(&[4], &[1]).is_none());
        assert!(Power::new(&[5], &[0, 1]).is_none());
        let power = Power::new(&[5], &[3]).unwrap();
        assert!(power.raise(&[5]).is_none());
        assert!(power.raise(&[1, 0]).is_none());
        assert_eq!(power.raise(&[0, 4]).unwrap(), [4]);
    }
}
