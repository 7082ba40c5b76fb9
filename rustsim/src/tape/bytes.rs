//! Numbers out of bytes.

/// Returns the `N` bytes at `at`, which the caller knows to lie inside of `bytes`.
pub(super) fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0_u8; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}
