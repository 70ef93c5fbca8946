//! Raising to a secret power modulo an odd number, in constant time: half of an RSA private key.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};

/// One modulus with its exponent, set up for many bases.
pub struct Power {
    modulus: BoxedMontyParams,
    exponent: BoxedUint,
    size: usize,
}

impl Power {
    /// Set up from big-endian bytes; `None` for an even or empty modulus, or a longer exponent.
    pub fn new(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let bits = u32::try_from(modulus.len()).ok()?.checked_mul(8)?;
        let odd = Odd::new(BoxedUint::from_be_slice(modulus, bits).ok()?).into_option()?;
        Some(Self {
            modulus: BoxedMontyParams::new(odd),
            exponent: BoxedUint::from_be_slice(exponent, bits).ok()?,
            size: modulus.len(),
        })
    }

    /// Give the power of a base, as long as the modulus; `None` for a base that is not below it.
    pub fn raise(&self, base: &[u8]) -> Option<Vec<u8>> {
        let bits = u32::try_from(self.size).ok()?.checked_mul(8)?;
        let base = BoxedUint::from_be_slice(base, bits).ok()?;
        if base >= *self.modulus.modulus().as_ref() {
            return None;
        }
        let raised = BoxedMontyForm::new(base, &self.modulus).pow(&self.exponent);
        let bytes = raised.retrieve().to_be_bytes();
        Some(bytes[bytes.len() - self.size..].to_vec())
    }
}
