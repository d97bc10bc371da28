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

/// There is no such device, or it failed: exit code 5.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoDevice(pub String);

/// The exit code of an error: that of the first known cause in its chain.
pub fn code(error: &Error) -> ExitCode {
    ExitCode::from(error.chain().find_map(known).unwrap_or(1))
}

fn known(cause: &(dyn std::error::Error + 'static)) -> Option<u8> {
    let own = [
        (cause.is::<Usage>(), 2),
        (cause.is::<BadInput>(), 3),
        (cause.is::<NoDevice>(), 5),
        (cause.is::<objective::Error>(), 3),
        (cause.is::<settings::Error>(), 3),
        (cause.is::<trunk::ConfigError>(), 3),
    ];

    if let Some((_, code)) = own.into_iter().find(|(is, _)| *is) {
        return Some(code);
    }

    if let Some(Interrupted(signal)) = cause.downcast_ref() {
        return Some(128 + signal);
    }

    // Only a named file that does not exist is an input error.
    if let Some(error) = cause.downcast_ref::<std::io::Error>() {
        return (error.kind() == std::io::ErrorKind::NotFound).then_some(3);
    }

    of_crates(cause)
}

/// The exit code of an error of one of the crates below; none where its cause decides.
fn of_crates(cause: &(dyn std::error::Error + 'static)) -> Option<u8> {
    if let Some(error) = cause.downcast_ref::<corpus::Error>() {
        return of_corpus(error);
    }
    if let Some(error) = cause.downcast_ref::<checkpoint::Error>() {
        return of_checkpoint(error);
    }

    if let Some(error) = cause.downcast_ref::<hub::Error>() {
        return match error {
            hub::Error::Data(_) => Some(3),
            hub::Error::Files(error) => of_checkpoint(error),
            hub::Error::Tokenizer(error) => of_corpus(error),
        };
    }

    if let Some(error) = cause.downcast_ref::<train::Error>() {
        return match error {
            train::Error::Data(_) => Some(3),
            train::Error::Diverged(_) => Some(4),
            train::Error::Memory(_) => Some(5),
            train::Error::Interrupted => Some(of_interrupt()),
            train::Error::Files(error) => of_checkpoint(error),
            train::Error::Internal(_) => Some(1),
            train::Error::Evaluation(_) | train::Error::Threads(_) => None,
        };
    }

    if let Some(error) = cause.downcast_ref::<eval::Error>() {
        return match error {
            eval::Error::Interrupted => Some(of_interrupt()),
            eval::Error::Data(_) | eval::Error::Objective(_) | eval::Error::Settings(_) => Some(3),
            eval::Error::Io { .. } => None,
        };
    }

    let is_bad_data = matches!(cause.downcast_ref(), Some(tasks::Error::Data(_)))
        || matches!(cause.downcast_ref(), Some(augment::Error::Data(_)))
        || matches!(cause.downcast_ref(), Some(report::Error::Data(_)));
    is_bad_data.then_some(3)
}

fn of_corpus(error: &corpus::Error) -> Option<u8> {
    match error {
        corpus::Error::Interrupted => Some(of_interrupt()),
        corpus::Error::Data(_) => Some(3),
        corpus::Error::Io { .. } => Some(1),
    }
}

fn of_checkpoint(error: &checkpoint::Error) -> Option<u8> {
    match error {
        checkpoint::Error::Data(_) => Some(3),
        checkpoint::Error::Io { .. } => None,
    }
}

/// The exit code of work that a signal interrupted.
fn of_interrupt() -> u8 {
    signals::received().map_or(1, |Interrupted(signal)| 128 + signal)
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
        assert_eq!(code(train::Error::Diverged("nan".into()).into()), Some(4));
        assert_eq!(code(eval::Error::Data("x".into()).into()), Some(3));
        assert_eq!(code(anyhow::anyhow!("other")), None);
    }
}
