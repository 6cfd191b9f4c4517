//! Vector aggregations: series from series.

use super::{Grouping, Metric};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VectorOp {
    Sum,
    Avg,
    Count,
    Max,
    Min,
    Stddev,
    Stdvar,
    TopK,
    BottomK,
    Sort,
    SortDesc,
    ApproxTopK,
}

impl VectorOp {
    pub const ALL: [VectorOp; 12] = [
        VectorOp::Sum,
        VectorOp::Avg,
        VectorOp::Count,
        VectorOp::Max,
        VectorOp::Min,
        VectorOp::Stddev,
        VectorOp::Stdvar,
        VectorOp::TopK,
        VectorOp::BottomK,
        VectorOp::Sort,
        VectorOp::SortDesc,
        VectorOp::ApproxTopK,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            VectorOp::Sum => "sum",
            VectorOp::Avg => "avg",
            VectorOp::Count => "count",
            VectorOp::Max => "max",
            VectorOp::Min => "min",
            VectorOp::Stddev => "stddev",
            VectorOp::Stdvar => "stdvar",
            VectorOp::TopK => "topk",
            VectorOp::BottomK => "bottomk",
            VectorOp::Sort => "sort",
            VectorOp::SortDesc => "sort_desc",
            VectorOp::ApproxTopK => "approx_topk",
        }
    }

    /// Whether it takes how many series to keep.
    pub fn takes_k(self) -> bool {
        matches!(self, VectorOp::TopK | VectorOp::BottomK | VectorOp::ApproxTopK)
    }
}

/// `sum by (level) (rate(...))`
#[derive(Debug, Clone, PartialEq)]
pub struct VectorAggregation {
    pub op: VectorOp,
    /// At least 1; there exactly when [`VectorOp::takes_k`].
    pub k: Option<usize>,
    /// `by ()` when none is written. `sort`, `sort_desc` and `approx_topk` have none.
    pub grouping: Grouping,
    pub inner: Box<Metric>,
}
