//! The series of one point: which part of it each one is, how it is named, how it is found again.

use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder};

/// Which series of a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Part {
    Plain,
    Sum,
    Count,
    Bucket(f64),
    Quantile(f64),
}

impl Part {
    /// The series' fingerprint, given its point's.
    #[inline]
    pub(crate) fn key(self, point: u128) -> u128 {
        let (tag, bits) = match self {
            Part::Plain => return point,
            Part::Sum => (1, 0),
            Part::Count => (2, 0),
            Part::Bucket(bound) => (3, bound.to_bits()),
            Part::Quantile(quantile) => (4, quantile.to_bits()),
        };
        // The point's fingerprint is well mixed; of one point no two parts can meet, since both mixtures are one to one.
        point ^ (u128::from(mixed(bits)) << 64 | u128::from(mixed(tag)))
    }

    /// The series' labels, given those that all series of the point have, `__name__` being the family.
    pub(crate) fn labels(self, base: &Labels) -> Labels {
        let label = match self {
            Part::Plain => return base.clone(),
            Part::Sum | Part::Count => None,
            Part::Bucket(bound) => Some(("le", bound)),
            Part::Quantile(quantile) => Some(("quantile", quantile)),
        };
        let mut builder = LabelsBuilder::from(base);
        builder.push(METRIC_NAME, format!("{}{}", base.metric_name(), self.suffix()));
        if let Some((name, value)) = label {
            builder.push(name, bound_text(value));
        }
        builder.build()
    }

    /// What stands behind the family's name.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Part::Plain | Part::Quantile(_) => "",
            Part::Sum => "_sum",
            Part::Count => "_count",
            Part::Bucket(_) => "_bucket",
        }
    }
}

/// SplitMix64's finaliser.
#[inline]
fn mixed(bits: u64) -> u64 {
    let mixed = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// Shortest decimal that reads back the same, never with an exponent (Go's `strconv.FormatFloat(v, 'f', -1, 64)`).
fn bound_text(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".into()
    } else if value == f64::NEG_INFINITY {
        "-Inf".into()
    } else {
        value.to_string()
    }
}
