//! Buffers that grow with what has come, not with what was announced.

use std::collections::TryReserveError;

/// What a buffer gets at the least, so that the first few bytes of something do not
/// make it grow again and again.
const FIRST: usize = 1024;

/// Appends `bytes` to `buffer`, which will hold `total` bytes in the end.
///
/// The capacity is at most the larger of twice what has come and [`FIRST`], and
/// never beyond `total`: each byte is moved a constant number of times on average, a
/// full buffer has no slack, and a giant `total` costs nothing.
pub(crate) fn append(buffer: &mut Vec<u8>, bytes: &[u8], total: usize) {
    buffer.reserve_exact(wanted(buffer, bytes, total));
    buffer.extend_from_slice(bytes);
}

/// As [`append`], for what may be larger than there is memory for.
pub(crate) fn try_append(
    buffer: &mut Vec<u8>,
    bytes: &[u8],
    total: usize,
) -> Result<(), TryReserveError> {
    buffer.try_reserve_exact(wanted(buffer, bytes, total))?;
    buffer.extend_from_slice(bytes);
    Ok(())
}

/// For how many bytes beyond its length `buffer` should have room.
fn wanted(buffer: &Vec<u8>, bytes: &[u8], total: usize) -> usize {
    let needed = buffer.len() + bytes.len();
    if needed <= buffer.capacity() {
        return bytes.len();
    }
    let doubled = buffer.capacity().saturating_mul(2).max(FIRST);
    needed.max(doubled.min(total)) - buffer.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_giant_total_costs_nothing() {
        let mut buffer = Vec::new();
        append(&mut buffer, &[1; 10], usize::MAX);
        assert!(buffer.capacity() <= FIRST, "{}", buffer.capacity());
        for _ in 0..10_000 {
            append(&mut buffer, &[1; 10], usize::MAX);
            assert!(buffer.capacity() <= (2 * buffer.len()).max(FIRST));
        }
    }

    #[test]
    fn a_full_buffer_has_no_slack() {
        for total in [1, 3, FIRST - 1, FIRST, FIRST + 1, 70_001] {
            let mut buffer = Vec::new();
            while buffer.len() < total {
                let piece = vec![7; (total - buffer.len()).min(13)];
                try_append(&mut buffer, &piece, total).unwrap();
            }
            assert_eq!(buffer.capacity(), total);
        }
    }
}
