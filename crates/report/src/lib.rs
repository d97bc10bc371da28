//! From run folders to arms, statistics, plots and one page.
//!
//! A [`Run`] is read from its folder. Runs that differ only in their seed make an [`Arm`], whose
//! quantities have a mean, a standard deviation over the seeds, and a difference to another arm
//! with its interval of 95 % ([`statistics`]): Student's t over pairs of equal seeds, else Welch's.
//! [`page`] puts arms into one HTML file that needs no other.
//!
//! ```
//! use report::statistics::{mean, paired_interval};
//!
//! // Differences of an accuracy between two arms, seed by seed.
//! let differences = [0.02, 0.03, 0.025];
//! let half = paired_interval(&differences).unwrap();
//! assert!(mean(&differences) - half > 0.0, "the difference is beyond chance");
//! ```

pub mod arms;
mod error;
mod page;
mod plot;
mod run;
pub mod statistics;

pub use arms::{Arm, Difference, arms};
pub use error::{Error, Result};
pub use page::page;
pub use run::{Axis, Run, TRADE_OFF, traded};
