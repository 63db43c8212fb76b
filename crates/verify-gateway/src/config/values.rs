//! Values that come from a flag, a variable or the file, in this order.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;

use axum::http::Uri;
use ipnet::IpNet;
use verify_core::policy::file::Word;

use super::file::File;
use super::logging::LogLevel;
use super::store::Stored;
use crate::callers::Callers;
use crate::cli::ServeArgs;
use crate::environment::Environment;
use verify_http::TrustedProxies;
use verify_http::client_ip::ForwardingHeader;

/// Which surroundings these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppEnv {
    /// Somebody's own machine, a test, a staging system.
    NotProduction,
    /// Where real people are verified: no demo mode, no test destinations.
    Production,
}

/// What is neither credential nor policy.
pub(super) struct Values {
    pub(super) listen: SocketAddr,
    pub(super) listen_origin: String,
    pub(super) env: AppEnv,
    pub(super) log_level: LogLevel,
    pub(super) stored: Stored,
    pub(super) callers: Callers,
    pub(super) flood_shield: Option<NonZeroU32>,
    pub(super) public_url: Option<String>,
    pub(super) proxies: TrustedProxies,
}

/// A text and where it stands, for errors.
pub(super) struct Given {
    pub(super) origin: String,
    pub(super) text: String,
}

/// Where values come from besides the command line.
pub(super) struct Sources<'a> {
    pub(super) environment: &'a Environment<'a>,
    pub(super) file: &'a File,
}

impl Sources<'_> {
    /// The flag, else the variable, else the file's key.
    pub(super) fn given(&self, flag: Option<(&str, &String)>, variable: &str, key: &str) -> Option<Given> {
        let flag = flag.map(|(name, text)| (name.to_owned(), text.clone()));
        let variable = || Some((variable.to_owned(), self.environment.get(variable)?));
        let in_file = || Some((format!("gateway.{key}"), self.file.gateway(key)?.to_owned()));
        let (origin, text) = flag.or_else(variable).or_else(in_file)?;
        Some(Given { origin, text })
    }

    /// A variable, or what stands in the file that `<name>_FILE` names.
    pub(super) fn secret(&self, name: &str, faults: &mut Vec<String>) -> Option<Given> {
        let text = self.environment.get_or_file(name, faults)?;
        Some(Given {
            origin: name.to_owned(),
            text,
        })
    }
}

impl Values {
    pub(super) fn read(
        args: &ServeArgs,
        environment: &Environment<'_>,
        file: &File,
        faults: &mut Vec<String>,
    ) -> Self {
        let sources = Sources { environment, file };
        let stored = Stored::read(args, &sources, faults);
        let given = |flag, variable, key| sources.given(flag, variable, key);
        let listen = given(
            args.listen.as_ref().map(|text| ("--listen", text)),
            "VERIFY_LISTEN",
            "listen",
        );
        let public_url = given(None, "VERIFY_PUBLIC_URL", "public_url");
        let proxies = given(None, "VERIFY_TRUSTED_PROXIES", "trusted_proxies");
        let forwarded = given(None, "VERIFY_FORWARDED_HEADER", "forwarded_header");
        let shield = given(None, "VERIFY_FLOOD_SHIELD", "flood_shield");
        let level = environment.get("LOG_LEVEL").map(|text| Given {
            origin: "LOG_LEVEL".to_owned(),
            text,
        });
        let env = environment.get("APP_ENV").map(|text| Given {
            origin: "APP_ENV".to_owned(),
            text,
        });
        let callers = environment.get_or_file("VERIFY_API_KEYS", faults);

        let mut read = Reader { faults };
        Self {
            stored,
            listen_origin: listen
                .as_ref()
                .map_or_else(|| "--listen".to_owned(), |given| given.origin.clone()),
            listen: read
                .of(listen, address)
                .unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3000)),
            env: read.of(env, surroundings).unwrap_or(AppEnv::NotProduction),
            log_level: read
                .of(level, log_level)
                .or(file.beside.logging.level)
                .unwrap_or(LogLevel::Info),
            callers: read.callers(callers),
            flood_shield: read.of(shield, rate).unwrap_or(NonZeroU32::new(100)),
            public_url: read.of(public_url, base_url),
            proxies: read.proxies(proxies, forwarded),
        }
    }
}

pub(super) struct Reader<'a> {
    pub(super) faults: &'a mut Vec<String>,
}

impl Reader<'_> {
    pub(super) fn of<T>(&mut self, given: Option<Given>, parse: fn(&str) -> Result<T, String>) -> Option<T> {
        let given = given?;
        parse(&given.text)
            .map_err(|wanted| self.faults.push(format!("{}: {wanted}", given.origin)))
            .ok()
    }

    fn proxies(&mut self, networks: Option<Given>, header: Option<Given>) -> TrustedProxies {
        let networks = self.of(networks, self::networks).unwrap_or_default();
        TrustedProxies::new(networks, self.of(header, forwarding_header).unwrap_or_default())
    }

    fn callers(&mut self, text: Option<String>) -> Callers {
        let Some(text) = text else {
            return Callers::default();
        };
        Callers::parse(&text).unwrap_or_else(|errors| {
            self.faults
                .extend(errors.iter().map(|error| format!("VERIFY_API_KEYS: {error}")));
            Callers::default()
        })
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("found {text:?}; expected an address and a port, such as 127.0.0.1:3000"))
}

fn surroundings(text: &str) -> Result<AppEnv, String> {
    match text {
        "production" => Ok(AppEnv::Production),
        "local" | "development" | "test" | "staging" => Ok(AppEnv::NotProduction),
        other => Err(format!(
            "found {other:?}; expected local, development, test, staging or production"
        )),
    }
}

fn log_level(text: &str) -> Result<LogLevel, String> {
    LogLevel::named(text).ok_or_else(|| format!("found {text:?}; expected error, warn, info, debug or trace"))
}

fn rate(text: &str) -> Result<Option<NonZeroU32>, String> {
    if text == "off" {
        return Ok(None);
    }
    let per_second = text
        .strip_suffix("/s")
        .and_then(|figure| figure.parse::<NonZeroU32>().ok());
    per_second
        .map(Some)
        .ok_or_else(|| format!("found {text:?}; expected a rate such as 100/s, or off"))
}

fn base_url(text: &str) -> Result<String, String> {
    let wanted =
        || "expected the base of a URL, such as https://verify.example.com, without a query".to_owned();
    let uri: Uri = text.parse().map_err(|_| wanted())?;
    let scheme = uri
        .scheme_str()
        .filter(|scheme| matches!(*scheme, "http" | "https"));
    let plain = uri.query().is_none() && !text.contains('#') && !text.contains('@');
    match (scheme, uri.host()) {
        (Some(_), Some(host)) if plain && !host.is_empty() => Ok(text.trim_end_matches('/').to_owned()),
        (Some(_) | None, Some(_) | None) => Err(wanted()),
    }
}

fn forwarding_header(text: &str) -> Result<ForwardingHeader, String> {
    ForwardingHeader::named(text)
        .ok_or_else(|| format!("found {text:?}; expected X-Forwarded-For or Forwarded"))
}

fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(network).collect()
}

fn network(text: &str) -> Result<IpNet, String> {
    let network = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| format!("found {text:?}; expected networks such as 10.0.0.0/8, separated by commas"))?;
    // Whether the network is meant or the one address cannot be told.
    if network.trunc() == network {
        Ok(network)
    } else {
        let (whole, one) = (network.trunc(), network.addr());
        Err(format!(
            "found {text:?}; expected {whole}, or {one} for that one address"
        ))
    }
}
