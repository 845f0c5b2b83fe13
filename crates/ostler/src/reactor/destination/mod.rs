//! Where deliveries go and outputs come from: the lanes to the workers.

pub(super) mod consume;
pub(super) mod give;
pub(super) mod lane;
pub(super) mod parts;
