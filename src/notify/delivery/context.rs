//! What a message needs to know that its intent does not hold: gathered when an attempt begins.

use model::Labels;

use crate::picture::Pictures;

#[derive(Debug, Clone, Default)]
pub(crate) struct Context {
    /// The receiver's name, without its channel.
    pub(crate) receiver: String,
    /// What the alerts were grouped by.
    pub(crate) group_labels: Labels,
    /// Slack's id of the channel, where an earlier message taught it: a history can be asked for by id alone.
    pub(crate) slack_channel: String,
    /// Who draws its chart.
    pub(crate) pictures: Pictures,
}
