//! How transactions begin. What the server, the database or the role have as defaults decides nothing.

use std::time::Duration;

use futures_util::try_join;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

use crate::options::{Durability, PostgresOptions};

pub(crate) type Params<'a> = [(&'a (dyn ToSql + Sync), Type)];

/// What every transaction begins with. Under a stricter level whoever waited for a lock fails.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// And where that was: by which it is seen whether what is prepared on a connection may be used, and whether anything may be.
const HERE: &str = "SELECT pg_backend_pid(), current_setting('verify.prepared', true), current_setting('verify.direct', true)";

/// What transactions begin with.
#[derive(Debug)]
pub(crate) struct Begin {
    /// Those of a batch: each statement ends in time. It says where it is.
    pub(crate) batch: String,
    /// The same on a connection that [began](Self::settings) with the settings.
    pub(crate) direct: String,
    /// Those of a single statement, which may take as long as it takes.
    pub(crate) single: String,
}

impl Begin {
    pub(crate) fn of(options: &PostgresOptions) -> Self {
        let begin = |settings: &[(&str, String)]| {
            let settings = settings
                .iter()
                .map(|(name, value)| format!("; SET LOCAL {name} = {value}"));
            std::iter::once(BEGIN.to_owned())
                .chain(settings)
                .collect::<String>()
        };
        let mut settings = Self::settings(options);
        let batch = format!("{}; {HERE}", begin(&settings));
        settings.push(("statement_timeout", "0".to_owned()));
        Self {
            batch,
            direct: format!("{BEGIN}; {HERE}"),
            single: begin(&settings),
        }
    }

    /// What holds in the transactions of a batch.
    pub(crate) fn settings(options: &PostgresOptions) -> Vec<(&'static str, String)> {
        let timeouts = [
            "lock_timeout",
            "statement_timeout",
            "idle_in_transaction_session_timeout",
        ];
        let millis = options.statement.as_millis().to_string();
        let mut settings = timeouts.map(|name| (name, millis.clone())).to_vec();
        // A plan may be older than all that is in a table: there is an index for everything that is asked. And what a server may
        // think of the cost of anything else is no reason to compile it.
        settings.extend(["enable_seqscan", "jit"].map(|name| (name, "off".to_owned())));
        // And by that index every plan is the same, whatever is asked for.
        settings.push(("plan_cache_mode", "force_generic_plan".to_owned()));
        if options.durability == Durability::Process {
            settings.push(("synchronous_commit", "off".to_owned()));
        }
        settings
    }

    /// One that waits that long for a lock, may be idle for as long, and whose statements take as long as they take.
    pub(crate) fn long(waits: Duration) -> String {
        let millis = waits.as_millis();
        format!(
            "{BEGIN}; SET LOCAL lock_timeout = {millis}; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = {millis}"
        )
    }

    /// What a statement finds, in a transaction of its own. After an error the connection may be in the middle of it.
    pub(crate) async fn query(
        &self,
        client: &Client,
        sql: &str,
        params: &Params<'_>,
    ) -> Result<Vec<Row>, Error> {
        let (begun, ended) = (client.batch_execute(&self.single), client.batch_execute("COMMIT"));
        let ((), rows, ()) = try_join!(begun, client.query_typed(sql, params), ended)?;
        Ok(rows)
    }

    /// How many rows a statement changes, in the same way.
    pub(crate) async fn execute(
        &self,
        client: &Client,
        sql: &str,
        params: &Params<'_>,
    ) -> Result<u64, Error> {
        let (begun, ended) = (client.batch_execute(&self.single), client.batch_execute("COMMIT"));
        let ((), changed, ()) = try_join!(begun, client.execute_typed(sql, params), ended)?;
        Ok(changed)
    }
}
