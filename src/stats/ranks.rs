//! Ranks, equal values sharing theirs.

/// Twice the midrank of each value, in the order given: equal values get the mean of the ranks that they take together.
/// Doubled, every midrank is a whole number. Values must not be NaN.
pub fn doubled_midranks(values: &[f64]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0; values.len()];
    let mut first = 0;
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let last = first + equal.len();
        for &at in equal {
            // Ranks count from 1: the mean of first + 1 and last, twice.
            ranks[at] = (first + 1 + last) as u32;
        }
        first = last;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_the_mean_of_their_ranks() {
        assert_eq!(doubled_midranks(&[3.0, 1.0, 3.0, 2.0, 3.0]), [8, 2, 8, 4, 8]);
        assert_eq!(doubled_midranks(&[0.0, -0.0]), [3, 3]);
        assert_eq!(doubled_midranks(&[]), [0; 0]);
    }
}
