//! Where something is on the net, or, with `file:`, on the disk.
//!
//! Asks nobody: neither names nor servers.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use fluent_uri::{Uri, UriRef};
use serde::{Deserialize, Deserializer, de};

/// An address that was found right. What is shown of it ends before a query, in which there may be a token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Url {
    uri: Uri<String>,
    scheme: Scheme,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
    File,
}

/// Why something is no address that can be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    #[error(
        "`{text}` is no URL: it begins with https:// or http://, and blanks and letters such as ä are written as %20 and %C3%A4"
    )]
    Unreadable { text: String },
    #[error("`{text}` cannot be asked: a URL begins with {schemes}")]
    Scheme { text: String, schemes: &'static str },
    #[error("the URL `{text}` names no host")]
    NoHost { text: String },
    #[error("the port in the URL `{text}` is no number up to 65535")]
    Port { text: String },
    #[error("a URL must not contain a user or a password: give them in `headers`, as `Authorization`")]
    Password,
    #[error("the URL `{text}` is no path of a file: it begins with file:///")]
    NoFile { text: String },
    #[error("{from} redirects to {to}, which is not encrypted; if that is intended, use that URL")]
    Downgrade { from: String, to: String },
}

impl Url {
    /// An address on the net.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn http(text: &str) -> Result<Self, UrlError> {
        let url = Url::parse(text)?;
        match url.scheme {
            Scheme::File => Err(UrlError::Scheme { text: url.to_string(), schemes: "https:// or http://" }),
            _ => Ok(url),
        }
    }

    /// An address on the net or of a file.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let unreadable = || UrlError::Unreadable { text: without_query(text).to_owned() };
        let uri = Uri::parse(text).map_err(|_| unreadable())?;
        let uri = Uri::parse(uri.strip_fragment().as_str().to_owned()).map_err(|_| unreadable())?;
        let text = without_query(text).to_owned();
        let scheme = match uri.scheme().as_str().to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "file" => Scheme::File,
            _ => return Err(UrlError::Scheme { text, schemes: "https://, http:// or file:///" }),
        };
        let authority = uri.authority();
        if authority.is_some_and(|authority| authority.has_userinfo()) {
            return Err(UrlError::Password);
        }
        let host = authority.map_or("", |authority| authority.host());
        if scheme == Scheme::File {
            let url = Url { uri: uri.clone(), scheme };
            let named = url.file().is_some_and(|path| crate::disk::path::validate_named(&path).is_ok());
            return if named { Ok(url) } else { Err(UrlError::NoFile { text }) };
        }
        if host.is_empty() {
            return Err(UrlError::NoHost { text });
        }
        if authority.is_some_and(|authority| authority.port_to_u16().is_err()) {
            return Err(UrlError::Port { text });
        }
        Ok(Url { uri, scheme })
    }

    pub(crate) fn as_str(&self) -> &str {
        self.uri.as_str()
    }

    /// The path of a `file:` URL on this machine.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        let host = self.uri.authority().map_or("", |authority| authority.host());
        let local = host.is_empty() || host.eq_ignore_ascii_case("localhost");
        let path = self.uri.path().decode().to_bytes().into_owned();
        let is_file = self.scheme == Scheme::File && local && !self.uri.has_query() && path.starts_with(b"/");
        is_file.then(|| PathBuf::from(OsString::from_vec(path)))
    }

    pub(crate) fn host(&self) -> &str {
        self.uri.authority().map_or("", |authority| authority.host())
    }

    fn port(&self) -> Option<u16> {
        let given = self.uri.authority().and_then(|authority| authority.port_to_u16().ok().flatten());
        given.or(match self.scheme {
            Scheme::Http => Some(80),
            Scheme::Https => Some(443),
            Scheme::File => None,
        })
    }

    /// Host and port, for messages.
    pub(crate) fn origin(&self) -> String {
        match self.port() {
            Some(port) => format!("{}:{port}", self.host()),
            None => self.host().to_owned(),
        }
    }

    /// Whether both are asked of the same server in the same way.
    pub(crate) fn same_origin(&self, other: &Url) -> bool {
        self.scheme == other.scheme
            && self.port() == other.port()
            && self.host().eq_ignore_ascii_case(other.host())
    }

    /// Where a redirect from here leads.
    ///
    /// # Errors
    /// When it is no address, or one without the encryption that this one has.
    pub(crate) fn join(&self, location: &str) -> Result<Self, UrlError> {
        let unreadable = || UrlError::Unreadable { text: without_query(location).to_owned() };
        let location = UriRef::parse(location).map_err(|_| unreadable())?;
        let to = location.resolve_against(&self.uri).map_err(|_| unreadable())?;
        let to = Url::http(to.as_str())?;
        if self.scheme == Scheme::Https && to.scheme == Scheme::Http {
            return Err(UrlError::Downgrade { from: self.to_string(), to: to.to_string() });
        }
        Ok(to)
    }
}

/// A URL as far as it may be shown.
fn without_query(text: &str) -> &str {
    let end = text.find(['?', '#']).unwrap_or(text.len());
    &text[..end]
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(without_query(self.uri.as_str()))
    }
}

/// For `#[serde(deserialize_with)]`: a text that is an address on the net.
pub(crate) fn http<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    Url::http(&text).map_err(de::Error::custom)?;
    Ok(text)
}

/// As [`http`], where there may be none.
pub(crate) fn optional_http<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.as_deref().map(Url::http).transpose().map_err(de::Error::custom)?;
    Ok(text)
}

/// For `#[serde(deserialize_with)]`: a text that is an address on the net or of a file.
pub(crate) fn any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    Url::parse(&text).map_err(de::Error::custom)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Url::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_is_told_without_secrets() {
        assert!(Url::parse("https://example.org/a%20b?token=x#y").is_ok());
        assert!(Url::parse("HTTP://[::1]:8080").is_ok());
        assert!(error("").contains("is no URL"));
        assert!(error("https://example.org/a b").contains("blanks and letters such as ä are written as %20"));
        assert!(error("example.org").contains("is no URL"));
        assert_eq!(
            error("ftp://example.org/?secret"),
            "`ftp://example.org/` cannot be asked: a URL begins with https://, http:// or file:///"
        );
        assert_eq!(error("https:///x"), "the URL `https:///x` names no host");
        assert_eq!(error("https:x"), "the URL `https:x` names no host");
        assert_eq!(
            error("https://a:99999/"),
            "the port in the URL `https://a:99999/` is no number up to 65535"
        );
        assert!(!error("https://me:hunter2@example.org/").contains("hunter2"));
        assert!(error("http://a\0b/").contains("is no URL"));
        let shown = Url::parse("https://example.org/x?token=hunter2").unwrap().to_string();
        assert_eq!(shown, "https://example.org/x");
    }

    #[test]
    fn files_have_absolute_paths() {
        let file = |text: &str| Url::parse(text).ok().and_then(|url| url.file());
        assert_eq!(file("file:///srv/a%20b"), Some("/srv/a b".into()));
        assert_eq!(file("file:/srv/a"), Some("/srv/a".into()));
        assert_eq!(file("file://localhost/srv/a"), Some("/srv/a".into()));
        for text in
            ["file://elsewhere/srv/a", "file:srv/a", "file:///", "file:///a/", "file:///a%00b", "file:///a?b"]
        {
            assert!(error(text).contains("it begins with file:///"), "{text}");
        }
        assert!(Url::http("file:///srv/a").is_err());
    }

    #[test]
    fn redirects_lead_on_but_not_into_the_open() {
        let from = Url::parse("https://a.example/x/y?z").unwrap();
        let to = |location: &str| from.join(location).map(|url| url.as_str().to_owned());
        assert_eq!(to("../w").unwrap(), "https://a.example/w");
        assert_eq!(to("/w?q").unwrap(), "https://a.example/w?q");
        assert_eq!(to("//b.example/w").unwrap(), "https://b.example/w");
        assert!(matches!(to("http://a.example/w"), Err(UrlError::Downgrade { .. })));
        assert!(to("file:///etc/passwd").is_err() && to("a b").is_err());
    }

    #[test]
    fn a_server_is_known_by_scheme_host_and_port() {
        let same =
            |left: &str, right: &str| Url::parse(left).unwrap().same_origin(&Url::parse(right).unwrap());
        assert!(same("https://a.example/x", "https://A.example:443/y"));
        for other in ["http://a.example/", "https://b.example/", "https://a.example:444/"] {
            assert!(!same("https://a.example/", other), "{other}");
        }
    }
}
