//! SIGHUP: the policy of the file is taken again, unless it cannot be read, is empty, or is weaker than what is in force.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;
use verify_core::policy::PolicySet;
use verify_engine::Engine;

use crate::config::{self, AppEnv, Beside};

/// A file that takes longer to read is not waited for.
const MOST_READING: Duration = Duration::from_secs(5);

/// How the policy is read again.
pub(super) struct Reload {
    /// The file; without one there is nothing to read.
    pub(super) path: Option<PathBuf>,
    /// Where test destinations are refused.
    pub(super) env: AppEnv,
    /// What the file said at start besides policy: what is different now needs a restart.
    pub(super) beside: Beside,
    /// Whether a weaker file is taken.
    pub(super) takes_weaker: bool,
}

impl Reload {
    /// Reads again at each SIGHUP. It listens for the signal from now on.
    ///
    /// # Errors
    /// When the signal cannot be had.
    pub(super) fn on_hangup(self, engine: Engine) -> Result<impl Future<Output = ()> + Send, std::io::Error> {
        let mut hangups = signal(SignalKind::hangup())?;
        Ok(async move {
            let reading = Arc::new(AtomicBool::new(false));
            while hangups.recv().await.is_some() {
                match self.take(&engine, &reading).await {
                    Ok(()) => tracing::info!("reload: the policy of the file is in force"),
                    Err(why) => tracing::error!(why, "reload: nothing changed"),
                }
            }
        })
    }

    async fn take(&self, engine: &Engine, reading: &Arc<AtomicBool>) -> Result<(), String> {
        let path = self
            .path
            .clone()
            .ok_or("there is no --config file to read again")?;
        let (mut policies, beside) = read(path, self.env, reading).await?;
        // What changed of backends is told below, and does not hold back the rest.
        policies.backends.clear();
        let before = engine.policies();
        let weaker = policies.weaker_than(&before);
        if !weaker.is_empty() && !self.takes_weaker {
            return Err(format!(
                "the file is weaker than what is in force ({}); start with --reload-weaker to take such a file, or restart",
                weaker.join("; ")
            ));
        }
        let changes = policies.changes_from(&before);
        engine.reload(policies).map_err(|error| error.to_string())?;
        for what in weaker {
            tracing::warn!(what, "reload: weaker than before");
        }
        for what in changes {
            tracing::info!(what, "reload: changed");
        }
        for section in beside.sections_unlike(&self.beside) {
            tracing::warn!(
                section,
                "reload: left out; what changed in this section needs a restart"
            );
        }
        Ok(())
    }
}

/// Reads the file on a thread of its own: it may be a pipe, or lie where nothing answers, and then the thread stays behind.
async fn read(path: PathBuf, env: AppEnv, reading: &Arc<AtomicBool>) -> Result<(PolicySet, Beside), String> {
    if reading.swap(true, Ordering::AcqRel) {
        return Err("the file is still being read since the last time".to_owned());
    }
    let reading = Arc::clone(reading);
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let read = config::reread(&path, env).map_err(|errors| errors.to_string());
        reading.store(false, Ordering::Release);
        // Nobody waits any more when it took too long.
        tell.send(read).ok();
    });
    match timeout(MOST_READING, told).await {
        Ok(Ok(read)) => read,
        Ok(Err(_)) => Err("the file cannot be read".to_owned()),
        Err(_) => Err(format!(
            "the file could not be read within {} s",
            MOST_READING.as_secs()
        )),
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_file_that_nothing_comes_out_of_is_not_waited_for() {
        let path = std::env::temp_dir().join(format!("verify-reload-{}", std::process::id()));
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let reading = Arc::new(AtomicBool::new(false));
        let take = || read(path.clone(), AppEnv::NotProduction, &reading);
        let began = Instant::now();
        assert!(take().await.unwrap_err().contains("within 5 s"));
        assert!((MOST_READING..2 * MOST_READING).contains(&began.elapsed()));
        assert!(take().await.unwrap_err().contains("still being read"));
        // Lets the thread go.
        std::fs::write(&path, "").unwrap();
        std::fs::remove_file(&path).unwrap();
    }
}
