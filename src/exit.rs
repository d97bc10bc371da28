//! Exit codes: 0 done, 1 runtime failure, 2 usage, 3 bad configuration or data, 4 diverged, 5
//! device or memory, 130 and 143 interrupted.

use std::process::ExitCode;

use anyhow::Error;

use crate::signals::{self, Interrupted};

/// The configuration or the data are at fault: exit code 3.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadInput(pub String);

/// The command line is at fault: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// The loss is no longer a number: exit code 4.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Diverged(pub String);

/// There is no such device, or it failed: exit code 5.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoDevice(pub String);

/// The exit code of an error: that of the first known cause in its chain.
pub fn code(error: &Error) -> ExitCode {
    ExitCode::from(error.chain().find_map(known).unwrap_or(1))
}

fn known(cause: &(dyn std::error::Error + 'static)) -> Option<u8> {
    if let Some(signal) = cause.downcast_ref::<Interrupted>() {
        return Some(128 + signal.0);
    }
    if let Some(error) = cause.downcast_ref::<corpus::Error>() {
        return Some(match error {
            corpus::Error::Interrupted => signals::received().map_or(1, |signal| 128 + signal.0),
            corpus::Error::Data(_) => 3,
            corpus::Error::Io { .. } => 1,
        });
    }
    // A file that was named and is not there.
    let missing = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    let is = [
        (cause.is::<Usage>(), 2),
        (cause.is::<BadInput>(), 3),
        (cause.downcast_ref().is_some_and(missing), 3),
        (matches!(cause.downcast_ref(), Some(tasks::Error::Data(_))), 3),
        (matches!(cause.downcast_ref(), Some(augment::Error::Data(_))), 3),
        (cause.is::<objective::Error>(), 3),
        (cause.is::<trunk::ConfigError>(), 3),
        (cause.is::<Diverged>(), 4),
        (cause.is::<NoDevice>(), 5),
    ];
    is.iter().find(|(is, _)| *is).map(|(_, code)| *code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn the_cause_decides_the_code_whatever_stands_around_it() {
        let code = |error: Error| error.chain().find_map(known);
        assert_eq!(
            code(Err::<(), _>(BadInput("x".into())).context("around").expect_err("error")),
            Some(3)
        );
        assert_eq!(code(Interrupted(15).into()), Some(143));
        assert_eq!(code(Interrupted(2).into()), Some(130));
        assert_eq!(code(Diverged("nan".into()).into()), Some(4));
        assert_eq!(code(anyhow::anyhow!("other")), None);
    }
}
