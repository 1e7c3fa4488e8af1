//! A sparkline: shares as block characters.

/// From nothing to everything.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Shares, 0 to 1, as at most so many characters. Where there are more shares, the largest of neighbors is shown: a peak is what
/// a reader looks for.
pub fn spark(shares: &[f64], most: usize) -> String {
    let each = shares.len().div_ceil(most.max(1)).max(1);
    shares.chunks(each).map(|chunk| block(chunk.iter().copied().fold(0.0, f64::max))).collect()
}

/// Everything is a whole block, and only everything is.
fn block(share: f64) -> char {
    let index = if share.is_nan() { 0.0 } else { (share.clamp(0.0, 1.0) * 7.0).floor() };
    BLOCKS.get(index as usize).copied().unwrap_or('▁')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_as_blocks() {
        for (shares, most, text) in [
            (&[][..], 10, ""),
            (&[0.0, 0.2, 0.5, 0.99, 1.0], 10, "▁▂▄▇█"),
            (&[0.0, 0.0, 0.0, 1.0, 0.0], 3, "▁█▁"),
            (&[f64::NAN, -1.0, 7.0], 3, "▁▁█"),
            (&[1.0], 0, "█"),
        ] {
            assert_eq!(spark(shares, most), text, "{shares:?}");
        }
    }
}
