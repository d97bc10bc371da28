//! From run folders to tables, plots and one page.

pub mod arms;
mod page;
mod plot;
mod run;
pub mod statistics;

pub use arms::{Arm, Difference, arms};
pub use page::page;
pub use run::{Axis, Run, TRADE_OFF, traded};
