//! How finely a target's native histograms are kept: `native_histogram_bucket_limit` and `native_histogram_min_bucket_factor`, as
//! Prometheus applies them (`scrape/target.go`, bucketLimitAppender and maxSchemaAppender).

use codec::histogram_sum::coarser;
use model::Histogram;
use model::histogram::{SCHEMA_CUSTOM, SCHEMA_MAX, SCHEMA_MIN};

use crate::config::Scrape;

#[derive(Debug, Clone, Copy)]
pub(super) struct Resolution {
    /// Most buckets of both sides together; 0 is no limit.
    buckets_max: usize,
    schema_max: i32,
}

impl Default for Resolution {
    fn default() -> Self {
        Resolution { buckets_max: 0, schema_max: SCHEMA_MAX }
    }
}

impl Resolution {
    pub(super) fn of(job: &Scrape) -> Resolution {
        Resolution {
            buckets_max: job.native_histogram_bucket_limit,
            schema_max: finest(job.native_histogram_min_bucket_factor),
        }
    }

    /// The histogram, merged as far as it must be.
    ///
    /// # Errors
    /// When it has too many buckets at the coarsest schema, or buckets that cannot be merged.
    pub(super) fn applied(self, mut histogram: Histogram) -> Result<Histogram, String> {
        if histogram.schema > self.schema_max {
            histogram = coarser(&histogram, self.schema_max);
        }
        let count = |histogram: &Histogram| histogram.positive.len() + histogram.negative.len();
        while self.buckets_max > 0 && count(&histogram) > self.buckets_max {
            if histogram.schema == SCHEMA_CUSTOM || histogram.schema <= SCHEMA_MIN {
                return Err(format!(
                    "a native histogram has {} buckets, the limit is {} (native_histogram_bucket_limit)",
                    count(&histogram),
                    self.buckets_max
                ));
            }
            histogram = coarser(&histogram, histogram.schema - 1);
        }
        Ok(histogram)
    }
}

/// The finest schema whose buckets grow by at least `factor`; the finest of all where no factor is told.
fn finest(factor: f64) -> i32 {
    if factor <= 1.0 {
        return SCHEMA_MAX;
    }
    // A bucket ends at 2^(2^-schema) times its beginning.
    let schema = -factor.log2().log2();
    (schema.floor().clamp(f64::from(SCHEMA_MIN), f64::from(SCHEMA_MAX))) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(more: &str, schema: i32, indexes: &[i32], expected: &str) {
        let job: Scrape = toml::from_str(more).unwrap();
        let positive: Vec<(i32, f64)> = indexes.iter().map(|index| (*index, 1.0)).collect();
        let negative = vec![(1, 1.0)];
        let told = match Resolution::of(&job).applied(Histogram { schema, positive, negative, ..Histogram::default() })
        {
            Ok(kept) => format!("{} {:?} {:?}", kept.schema, kept.positive, kept.negative),
            Err(reason) => reason,
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn buckets_are_merged_until_they_are_few_and_wide_enough() {
        check("", 2, &[1, 2, 3], "2 [(1, 1.0), (2, 1.0), (3, 1.0)] [(1, 1.0)]");
        check("native_histogram_bucket_limit = 4", 2, &[1, 2, 3], "2 [(1, 1.0), (2, 1.0), (3, 1.0)] [(1, 1.0)]");
        check("native_histogram_bucket_limit = 3", 2, &[1, 2, 3], "1 [(1, 2.0), (2, 1.0)] [(1, 1.0)]");
        check("native_histogram_bucket_limit = 2", 2, &[1, 2, 3], "0 [(1, 3.0)] [(1, 1.0)]");
        check(
            "native_histogram_bucket_limit = 1",
            2,
            &[1, 2, 3],
            "a native histogram has 2 buckets, the limit is 1 (native_histogram_bucket_limit)",
        );
        check(
            "native_histogram_bucket_limit = 3",
            SCHEMA_CUSTOM,
            &[0, 1, 2],
            "a native histogram has 4 buckets, the limit is 3 (native_histogram_bucket_limit)",
        );
        check("native_histogram_min_bucket_factor = 1.4", 2, &[1, 2, 3], "1 [(1, 2.0), (2, 1.0)] [(1, 1.0)]");
        check("native_histogram_min_bucket_factor = 2", 2, &[1, 2, 3], "0 [(1, 3.0)] [(1, 1.0)]");
    }

    #[test]
    fn a_factor_chooses_the_finest_schema_that_grows_so_fast() {
        for (factor, schema) in [
            (0.0, 8),
            (1.0, 8),
            (1.002, 8),
            (1.003, 7),
            (1.1, 2),
            (1.5, 0),
            (2.0, 0),
            (2.1, -1),
            (65_536.0, -4),
            (1e9, -4),
        ] {
            assert_eq!(finest(factor), schema, "{factor}");
        }
    }
}
