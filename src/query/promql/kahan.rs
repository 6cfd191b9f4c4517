//! Summation that keeps small terms beside large ones (Kahan, as improved by Neumaier), in Prometheus' order of steps.

/// A sum and what rounding took from it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Kahan {
    pub(crate) sum: f64,
    pub(crate) lost: f64,
}

impl Kahan {
    #[must_use]
    pub(crate) fn plus(self, term: f64) -> Kahan {
        let sum = self.sum + term;
        let lost = if sum.is_infinite() {
            0.0
        } else if self.sum.abs() >= term.abs() {
            self.lost + ((self.sum - sum) + term)
        } else {
            self.lost + ((term - sum) + self.sum)
        };
        Kahan { sum, lost }
    }

    pub(crate) fn total(self) -> f64 {
        self.sum + self.lost
    }
}

/// A mean that sums while it can and turns incremental where the sum would overflow.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mean {
    count: f64,
    incremental: bool,
    /// The sum, or the mean once `incremental`.
    state: Kahan,
}

impl Mean {
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            // Taken as it is: an infinite first value must not end the plain sum.
            self.state = Kahan { sum: value, lost: 0.0 };
            return;
        }
        if !self.incremental {
            let next = self.state.plus(value);
            if !next.sum.is_infinite() {
                self.state = next;
                return;
            }
            self.incremental = true;
            let before = self.count - 1.0;
            self.state = Kahan { sum: self.state.sum / before, lost: self.state.lost / before };
        }
        let kept = (self.count - 1.0) / self.count;
        let scaled = Kahan { sum: kept * self.state.sum, lost: kept * self.state.lost };
        self.state = scaled.plus(value / self.count);
    }

    pub(crate) fn has_any(&self) -> bool {
        self.count > 0.0
    }

    pub(crate) fn value(&self) -> f64 {
        if self.incremental { self.state.total() } else { self.state.sum / self.count + self.state.lost / self.count }
    }
}
