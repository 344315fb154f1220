//! Medians and quantiles.

/// The value below which the share `q` of the values lies, between two of them in proportion.
/// NaN when there are none.
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = q * last as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// How far the middle half of the values lies apart, as a share of their median.
pub fn spread(values: &[f64]) -> f64 {
    (quantile(values, 0.75) - quantile(values, 0.25)) / median(values)
}

pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_values() {
        let values = [4.0, 1.0, 3.0, 2.0, 5.0];
        assert_eq!(
            (median(&values), quantile(&values, 0.25), quantile(&values, 1.0)),
            (3.0, 2.0, 5.0)
        );
        assert_eq!(median(&[1.0, 2.0]), 1.5);
        assert_eq!(spread(&values), 2.0 / 3.0);
        assert!(median(&[]).is_nan());
    }
}
