//! The gateway and a bare server of the same stack, each a process of its own, and who asks them.

mod load;
mod process;

use std::path::{Path, PathBuf};

pub use load::{Load, Reply};
pub use process::{Serving, free_port};

use crate::measure::{BenchError, Measured};

/// The route that is measured.
pub const SEND: &str = "/verify/send";

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `gateway`.
    pub gateway: PathBuf,
    /// `bare`.
    pub bare: PathBuf,
}

impl Programs {
    /// Beside the program that runs, where cargo builds the programs of one package.
    ///
    /// # Errors
    /// [`BenchError::Setup`] when one is not there.
    pub fn beside_this_one() -> Measured<Self> {
        let this = std::env::current_exe().map_err(|error| BenchError::setup(&error))?;
        let beside = |name: &str| {
            let path = this.with_file_name(name);
            match path.is_file() {
                true => Ok(path),
                false => Err(BenchError::Setup(format!(
                    "{} is not built; `cargo xtask bench` builds it",
                    named(&path)
                ))),
            }
        };
        Ok(Self {
            gateway: beside("gateway")?,
            bare: beside("bare")?,
        })
    }
}

fn named(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}
