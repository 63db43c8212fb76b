//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Decides whether, when, how and through whom somebody is verified, over HTTP.
///
/// Flags beat variables, variables beat the file. Secrets come from variables or files, never from a flag. Without
/// provider credentials it starts in demo mode: on this machine only, with a simulated phone network and a page at /.
#[derive(Debug, Clone, Parser)]
#[command(name = "verify-gateway", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Tool>,
    /// How to serve.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// How to serve.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// Address and port to listen on [variable: VERIFY_LISTEN; default: 127.0.0.1:3000]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Policy and settings, TOML or JSON [variable: VERIFY_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where state lives: memory, sqlite:PATH, postgres://USER@HOST/DATABASE or redis://USER@HOST:PORT [variable: VERIFY_STORE; default: sqlite:verify.db, memory in demo mode]
    #[arg(long, value_name = "STORE")]
    pub store: Option<String>,
    /// What lives on this machine; relative paths of stores are in it [variable: STATE_DIRECTORY; default: ./verify-state]
    #[arg(long, value_name = "DIRECTORY")]
    pub state_dir: Option<PathBuf>,
    /// What the store in memory may take: a size such as 512MiB, or a part [variable: VERIFY_MEMORY_BUDGET; default: 25%]
    #[arg(long, value_name = "SIZE")]
    pub memory_budget: Option<String>,
    /// On SIGHUP, take a policy that is weaker than the one in force too
    #[arg(long)]
    pub reload_weaker: bool,
    /// Start although opt-outs are under keys that VERIFY_KEYS does not have: those are not found without their fingerprint key
    #[arg(long)]
    pub forget_missing_keys: bool,
    /// Say what is wrong with the configuration, and exit with 0 or 2
    #[arg(long)]
    pub check_config: bool,
    /// With --check-config: print the policy in force, under a comment that names the store
    #[arg(long, requires = "check_config")]
    pub print: bool,
}

/// Operators' tools.
#[derive(Debug, Clone, Subcommand)]
pub enum Tool {
    /// Make keys
    #[command(subcommand)]
    Keys(KeysTool),
    /// Look after a store
    Store {
        /// Which one.
        #[command(flatten)]
        args: StoreArgs,
        /// What to do.
        #[command(subcommand)]
        tool: StoreTool,
    },
    /// Look into webhooks
    #[command(subcommand)]
    Webhook(WebhookTool),
}

/// Which store: as for serving, but that nothing is a demo.
#[derive(Debug, Clone, Default, Args)]
pub struct StoreArgs {
    /// The file with settings [variable: VERIFY_CONFIG]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The store: sqlite:PATH, postgres://USER@HOST/DATABASE or redis://USER@HOST:PORT [variable: VERIFY_STORE; default: sqlite:verify.db]
    #[arg(long, value_name = "STORE", global = true)]
    pub store: Option<String>,
    /// The state directory [variable: STATE_DIRECTORY; default: ./verify-state]
    #[arg(long, value_name = "DIRECTORY", global = true)]
    pub state_dir: Option<PathBuf>,
}

impl StoreArgs {
    /// The same as flags of serving.
    pub(crate) fn as_serve(&self) -> ServeArgs {
        ServeArgs {
            config: self.config.clone(),
            store: self.store.clone(),
            state_dir: self.state_dir.clone(),
            ..ServeArgs::default()
        }
    }
}

/// Look after a store.
#[derive(Debug, Clone, Subcommand)]
pub enum StoreTool {
    /// Say how it is, and change nothing. Exit with 0 when all is well, 1 when something is not, 2 when it cannot be told
    Check,
    /// Make it, or bring it to this program's schema, and do nothing else
    Migrate,
    /// Say that what is in it is all there is, and end the wait that a loss of data imposes
    Accept,
    /// Epochs: what a store held since when
    #[command(subcommand)]
    Epoch(EpochTool),
    /// Say how many durable records are under older keys than the newest. Exit with 0 when there are none, 1 when there are
    Rekey,
    /// Copy all of a store into an empty one, and read it back. The gateway must not run
    Copy {
        /// The store to copy
        from: String,
        /// The store to fill
        to: String,
    },
}

/// Epochs.
#[derive(Debug, Clone, Subcommand)]
pub enum EpochTool {
    /// Begin another one, that nobody has accepted: after a restore of an older copy
    New,
}

/// Make keys.
#[derive(Debug, Clone, Subcommand)]
pub enum KeysTool {
    /// Print new key rings: exactly the value of VERIFY_KEYS
    New,
    /// Print the key rings of VERIFY_KEYS (or VERIFY_KEYS_FILE) with a new key in front of each: exactly the value that is next
    Rotate {
        /// Put the new keys at the end: for several processes, all of which must read them before any writes with them
        #[arg(long, conflicts_with = "switch")]
        announce: bool,
        /// Make no keys: put those in front that were announced, once every process has them
        #[arg(long)]
        switch: bool,
    },
    /// Make an API key for a caller, and its entry for VERIFY_API_KEYS
    Caller {
        /// The caller's name
        name: String,
        /// What it may do: app or operator
        #[arg(long, default_value = "app")]
        role: String,
        /// The service that it belongs to
        #[arg(long, default_value = "default")]
        service: String,
    },
}

/// Look into webhooks.
#[derive(Debug, Clone, Subcommand)]
pub enum WebhookTool {
    /// Say which variant of the URL a signature fits; the token comes from TWILIO_AUTH_TOKEN. Exit with 0 or 1
    Check(WebhookCheck),
}

/// A webhook as it came in.
#[derive(Debug, Clone, Args)]
pub struct WebhookCheck {
    /// The URL that Twilio called, as configured there
    #[arg(long)]
    pub url: String,
    /// The header X-Twilio-Signature
    #[arg(long)]
    pub signature: String,
    /// The header Content-Type
    #[arg(long)]
    pub content_type: String,
    /// A file with the body, byte for byte
    #[arg(long, value_name = "FILE")]
    pub body_file: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        assert!(Cli::try_parse_from(["verify-gateway", "--print"]).is_err());
        assert!(Cli::try_parse_from(["verify-gateway", "keys", "caller"]).is_err());
        let cli = Cli::try_parse_from(["verify-gateway", "--listen", "127.0.0.1:0"]).unwrap();
        assert_eq!(cli.serve.listen.as_deref(), Some("127.0.0.1:0"));
    }
}
