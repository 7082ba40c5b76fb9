//! Which of 64 bytes are equal to one: the comparison that lets a replay pass rows by.
//!
//! One wheel runs everywhere: the widest form that the processor has is chosen when a compiled tape is opened. The environment variable
//! `RUSTSIM_COMPARE` (plain, words, sse2, avx2, avx512, neon) chooses another one; all give the same bits.
#![allow(
    unsafe_code,
    clippy::cast_ptr_alignment,
    reason = "vector instructions can only be called so; their loads need no alignment"
)]

use crate::error::{Error, Result};

/// Returns a bit for each byte that equals `wanted`.
pub type Compare = fn(bytes: &[u8; 64], wanted: u8) -> u64;

/// Environment variable that names a form.
pub const VARIABLE: &str = "RUSTSIM_COMPARE";

/// Returns all forms that this machine has, by name, the fastest last.
#[must_use]
pub fn forms() -> Vec<(&'static str, Compare)> {
    #[allow(unused_mut, reason = "machines of other kinds have these two alone")]
    let mut forms: Vec<(&'static str, Compare)> = vec![("plain", plain), ("words", words)];
    #[cfg(target_arch = "x86_64")]
    {
        forms.push(("sse2", x86::sse2));
        if is_x86_feature_detected!("avx2") {
            forms.push(("avx2", x86::avx2));
        }
        if is_x86_feature_detected!("avx512bw") {
            forms.push(("avx512", x86::avx512));
        }
    }
    #[cfg(target_arch = "aarch64")]
    forms.push(("neon", arm::neon));
    forms
}

/// Returns the form that [`VARIABLE`] names, or the fastest.
///
/// # Errors
/// `Error::Replay` if the variable names none of this machine.
pub fn choose() -> Result<Compare> {
    let forms = forms();
    let Some(wanted) = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()) else {
        return Ok(forms[forms.len() - 1].1);
    };
    let found = forms.iter().find(|(name, _)| wanted == *name);
    found.map(|(_, form)| *form).ok_or_else(|| {
        let names: Vec<&str> = forms.iter().map(|(name, _)| *name).collect();
        Error::Replay(format!(
            "{VARIABLE}: this machine has {}, found {}",
            names.join(", "),
            wanted.display()
        ))
    })
}

/// The definition.
fn plain(bytes: &[u8; 64], wanted: u8) -> u64 {
    let mut mask = 0;
    for (bit, byte) in bytes.iter().enumerate() {
        mask |= u64::from(*byte == wanted) << bit;
    }
    mask
}

/// Eight bytes at a time, on any machine of 64 bits.
fn words(bytes: &[u8; 64], wanted: u8) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let pattern = u64::from_le_bytes([wanted; 8]);
    let mut mask = 0;
    for (index, word) in bytes.as_chunks::<8>().0.iter().enumerate() {
        let other = u64::from_le_bytes(*word) ^ pattern;
        // The highest bit of each byte says whether it is zero; no carry runs from byte to byte.
        let zero = !(((other & LOW) + LOW) | other | LOW);
        // One multiplication gathers the eight bits in the top byte.
        let bits = (zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask |= bits << (8 * index);
    }
    mask
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, __m256i, __m512i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8,
        _mm_set1_epi8, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8,
        _mm256_set1_epi8, _mm512_cmpeq_epi8_mask, _mm512_loadu_si512, _mm512_set1_epi8,
    };

    pub(super) fn sse2(bytes: &[u8; 64], wanted: u8) -> u64 {
        // SAFETY: every x86-64 machine has SSE2; the loads are unaligned ones of 16 bytes that lie inside of `bytes`.
        unsafe {
            let wanted = _mm_set1_epi8(wanted.cast_signed());
            let mut mask = 0;
            for part in 0..4 {
                let at = bytes.as_ptr().add(16 * part).cast::<__m128i>();
                let equal = _mm_cmpeq_epi8(_mm_loadu_si128(at), wanted);
                let bits = u64::from(_mm_movemask_epi8(equal).cast_unsigned());
                mask |= bits << (16 * part);
            }
            mask
        }
    }

    pub(super) fn avx2(bytes: &[u8; 64], wanted: u8) -> u64 {
        #[target_feature(enable = "avx2")]
        fn compare(bytes: &[u8; 64], wanted: u8) -> u64 {
            // SAFETY: both loads are unaligned ones of 32 bytes that lie inside of `bytes`.
            unsafe {
                let wanted = _mm256_set1_epi8(wanted.cast_signed());
                let low = _mm256_loadu_si256(bytes.as_ptr().cast::<__m256i>());
                let high = _mm256_loadu_si256(bytes.as_ptr().add(32).cast::<__m256i>());
                let low = _mm256_movemask_epi8(_mm256_cmpeq_epi8(low, wanted)).cast_unsigned();
                let high = _mm256_movemask_epi8(_mm256_cmpeq_epi8(high, wanted)).cast_unsigned();
                u64::from(low) | (u64::from(high) << 32)
            }
        }
        // SAFETY: `forms` hands this out only after the processor said that it has AVX2.
        unsafe { compare(bytes, wanted) }
    }

    pub(super) fn avx512(bytes: &[u8; 64], wanted: u8) -> u64 {
        #[target_feature(enable = "avx512bw")]
        fn compare(bytes: &[u8; 64], wanted: u8) -> u64 {
            // SAFETY: the load is an unaligned one of all 64 bytes.
            unsafe {
                let all = _mm512_loadu_si512(bytes.as_ptr().cast::<__m512i>());
                _mm512_cmpeq_epi8_mask(all, _mm512_set1_epi8(wanted.cast_signed()))
            }
        }
        // SAFETY: `forms` hands this out only after the processor said that it has AVX-512BW.
        unsafe { compare(bytes, wanted) }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::{
        vaddv_u8, vandq_u8, vceqq_u8, vdupq_n_u8, vget_high_u8, vget_low_u8, vld1q_u8,
    };

    pub(super) fn neon(bytes: &[u8; 64], wanted: u8) -> u64 {
        const BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
        // SAFETY: every machine of this kind has NEON; the loads are of 16 bytes that lie inside of `bytes` and `BITS`.
        unsafe {
            let (bits, wanted) = (vld1q_u8(BITS.as_ptr()), vdupq_n_u8(wanted));
            let mut mask = 0;
            for part in 0..4 {
                let at = vld1q_u8(bytes.as_ptr().add(16 * part));
                let equal = vandq_u8(vceqq_u8(at, wanted), bits);
                let low = u64::from(vaddv_u8(vget_low_u8(equal)));
                let high = u64::from(vaddv_u8(vget_high_u8(equal)));
                mask |= (low | (high << 8)) << (16 * part);
            }
            mask
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_agree_with_the_definition() {
        let mut state = 1u64;
        let mut bytes = [0u8; 64];
        for turn in 0..20_000 {
            for byte in &mut bytes {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                // Few different values, so that many are equal, and all values now and then.
                *byte = (state >> 56) as u8 & if turn % 2 == 0 { 0x83 } else { 0xff };
            }
            let wanted = bytes[turn % 64] ^ u8::from(turn % 3 == 0);
            for (name, form) in forms() {
                assert_eq!(form(&bytes, wanted), plain(&bytes, wanted), "{name}");
            }
        }
    }
}
