//! One Alertmanager, over HTTP: where it is, how one signs in, what it answered. No TLS.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::http::Uri;
use base64::Engine as _;

use super::body::PostableAlert;

/// For one post, from looking the name up to the last byte of the answer.
const POST_WITHIN: Duration = Duration::from_secs(5);
/// Of an answer that refuses; the rest is of no use in a log.
const ANSWER_BYTES_MAX: u64 = 2_000;

pub const USER_VARIABLE: &str = "STREAMGAUGE_ALERTMANAGER_USER";
pub const PASSWORD_VARIABLE: &str = "STREAMGAUGE_ALERTMANAGER_PASSWORD";
pub const TOKEN_VARIABLE: &str = "STREAMGAUGE_ALERTMANAGER_TOKEN";

/// `http://host:9093`, perhaps with the prefix of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    pub fn new(text: &str) -> Result<Self, String> {
        let url: Uri = text.parse().map_err(|error| format!("it is no URL: {error}"))?;
        let authority = url.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            // Not even in the error.
            return Err(format!(
                "it holds credentials; set {USER_VARIABLE} and {PASSWORD_VARIABLE}, or {TOKEN_VARIABLE}"
            ));
        }
        match url.scheme_str() {
            Some("http") if !authority.is_empty() => {}
            Some("https") => return Err("https is not spoken here: let a proxy on this machine do it".to_owned()),
            _ => return Err("it must be http://HOST:PORT, perhaps with a path behind it".to_owned()),
        }
        if url.query().is_some() {
            return Err("it must not hold a query".to_owned());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether what is sent there never leaves this machine.
    pub fn is_local(&self) -> bool {
        let host = self.0.parse::<Uri>().ok().and_then(|url| url.host().map(str::to_owned)).unwrap_or_default();
        let address: Option<std::net::IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        host == "localhost" || address.is_some_and(|address| address.is_loopback())
    }
}

/// The `Authorization` header. Never printed.
#[derive(Clone, Default)]
pub struct Credentials(Option<String>);

impl Credentials {
    pub fn of_environment() -> anyhow::Result<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self::of(variable(USER_VARIABLE), variable(PASSWORD_VARIABLE), variable(TOKEN_VARIABLE))
    }

    pub fn of(user: Option<String>, password: Option<String>, token: Option<String>) -> anyhow::Result<Self> {
        let header = match (user, password, token) {
            (None, None, None) => None,
            (None, None, Some(token)) => Some(format!("Bearer {}", token.trim())),
            (Some(user), password, None) => {
                let pair = format!("{user}:{}", password.unwrap_or_default());
                Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
            }
            (None, Some(_), None) => bail!("{PASSWORD_VARIABLE} is set, but {USER_VARIABLE} is not"),
            _ => {
                bail!("{TOKEN_VARIABLE} is set beside {USER_VARIABLE} or {PASSWORD_VARIABLE}: one way to sign in only")
            }
        };
        if header.as_ref().is_some_and(|header| header.bytes().any(|byte| !(b' '..=b'~').contains(&byte))) {
            bail!("{TOKEN_VARIABLE} holds what no header can");
        }
        Ok(Self(header))
    }

    pub const fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Credentials(hidden)" } else { "Credentials(none)" })
    }
}

/// What became of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Accepted,
    /// It does not take one of these alerts, and never will; it took those that it could.
    Refused(String),
    /// It may, later.
    Away(String),
}

#[derive(Debug)]
pub struct Client {
    agent: ureq::Agent,
    url: String,
    credentials: Credentials,
}

impl Client {
    pub fn new(address: &Address, credentials: Credentials) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(POST_WITHIN))
            .http_status_as_error(false)
            // Credentials go to the address that was given, by no detour.
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("streamgauge/", env!("CARGO_PKG_VERSION")))
            .max_idle_connections(1)
            .build();
        Self { agent: config.new_agent(), url: format!("{}/api/v2/alerts", address.as_str()), credentials }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn post(&self, alerts: &[PostableAlert]) -> Answer {
        match self.try_post(alerts) {
            Ok(answer) => answer,
            Err(error) => Answer::Away(format!("{error:#}")),
        }
    }

    fn try_post(&self, alerts: &[PostableAlert]) -> anyhow::Result<Answer> {
        let body = serde_json::to_vec(alerts).context("couldn't write alerts as JSON")?;
        let mut request = self.agent.post(&self.url).header("Content-Type", "application/json");
        if let Some(header) = &self.credentials.0 {
            request = request.header("Authorization", header);
        }
        let mut response = request.send(&body[..])?;
        let status = response.status();
        if status.is_success() {
            return Ok(Answer::Accepted);
        }
        let text = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
        let said = format!("{status}: {}", text.unwrap_or_default().trim());
        // 400 and 422 are about what was sent; everything else is about who sent it, or when.
        Ok(if [400, 422].contains(&status.as_u16()) { Answer::Refused(said) } else { Answer::Away(said) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let check = |text: &str, expected: &str| {
            let found = Address::new(text).map_or_else(|error| error, |address| address.0);
            assert!(found.contains(expected), "{text}: {found}");
        };
        check("http://127.0.0.1:9093", "http://127.0.0.1:9093");
        check("http://am.internal:9093/alertmanager/", "http://am.internal:9093/alertmanager");
        check("127.0.0.1:9093", "http://HOST:PORT");
        check("ftp://host", "http://HOST:PORT");
        check("https://host:9093", "https is not spoken");
        check("http://host:9093/?a=b", "query");
        check("http://me:hunter2@host:9093", "holds credentials");
        let error = Address::new("http://me:hunter2@host:9093").expect_err("it holds credentials");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn credentials_are_hidden_and_unambiguous() {
        let some = |text: &str| Some(text.to_owned());
        let basic = Credentials::of(some("me"), some("hunter2"), None).expect("a user and a password");
        assert_eq!(basic.0.as_deref(), Some("Basic bWU6aHVudGVyMg=="));
        let bearer = Credentials::of(None, None, some("abc\n")).expect("a token");
        assert_eq!(bearer.0.as_deref(), Some("Bearer abc"));
        assert_eq!(format!("{basic:?} {bearer:?}"), "Credentials(hidden) Credentials(hidden)");
        for wrong in [
            Credentials::of(None, some("hunter2"), None),
            Credentials::of(some("me"), None, some("abc")),
            Credentials::of(None, None, some("hunter2\r\nX: y")),
        ] {
            let error = wrong.expect_err("nobody could say which").to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
