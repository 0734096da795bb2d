//! Where a repository is: which addresses Git is given, and whose server a password is for.
//!
//! Asks nobody. Git refuses much of this itself, each version something else; what is refused here never gets to it, nor to
//! `ssh`, which Git starts with host and user as arguments.

use anyhow::{Result, bail, ensure};

/// What Git may speak. Every other word before `://` is the name of a program that Git would start.
const SCHEMES: [&str; 7] = ["http", "https", "ssh", "git", "file", "git+ssh", "ssh+git"];

/// # Errors
/// When this is no repository, or one that nobody should be sent to.
pub(super) fn validate(repo: &str) -> Result<()> {
    let shown = || repo.escape_debug();
    let no_repository =
        || format!("`{}` is no repository: a URL is, `host:path`, or an absolute path", shown());
    ensure!(!repo.starts_with('-') && !repo.contains(char::is_control), no_repository());
    if repo.starts_with('/') {
        return Ok(());
    }
    if let Some((scheme, rest)) = repo.split_once("://") {
        ensure!(!scheme.contains(':') && !scheme.is_empty(), no_repository());
        ensure!(
            SCHEMES.contains(&scheme),
            "`{}` is no repository: a URL begins with `https://`, `ssh://`, `http://`, `git://` or `file://`",
            shown()
        );
        return validate_url(scheme, rest).and_then(|fits| {
            ensure!(fits, no_repository());
            Ok(())
        });
    }
    let Some((login, host, path)) = parts(repo) else { bail!(no_repository()) };
    // With a colon before it, it would be the name of a program, and what that is given.
    let is_path = !path.is_empty() && !path.starts_with(':') && !path.starts_with("//");
    ensure!(is_path && !host.is_empty() && !repo.starts_with("./"), no_repository());
    refuse_options(&[login.unwrap_or_default(), host, path])?;
    ensure!(is_host(host) && login.is_none_or(is_login), no_repository());
    Ok(())
}

/// Login, host and path of `login@host:path`.
fn parts(repo: &str) -> Option<(Option<&str>, &str, &str)> {
    let start = repo.find('[').filter(|at| *at == 0 || repo[..*at].ends_with('@'));
    let end = match start {
        Some(start) => start + repo[start..].find("]:")? + 1,
        None => repo.find(':')?,
    };
    let (authority, path) = (&repo[..end], &repo[end + 1..]);
    if authority.contains('/') {
        return None;
    }
    Some(match authority.rsplit_once('@') {
        Some((login, host)) => (Some(login), host, path),
        None => (None, authority, path),
    })
}

/// Whether what is behind `://` can be the rest of a URL.
fn validate_url(scheme: &str, rest: &str) -> Result<bool> {
    let Some(decoded) = decoded(rest) else { return Ok(false) };
    // Git takes credentials line by line.
    if decoded.iter().any(u8::is_ascii_control) {
        return Ok(false);
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if scheme == "file" {
        return Ok(authority.is_empty() && path.len() > 1);
    }
    let (login, host) = match authority.rsplit_once('@') {
        Some((login, host)) => (Some(login), host),
        None => (None, authority),
    };
    ensure!(
        !login.is_some_and(|login| login.contains(':')),
        "a `repo` with a password would be shown; give it as `password`"
    );
    let behind_brackets = host.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match host[behind_brackets..].find(':') {
        Some(at) => (&host[..behind_brackets + at], Some(&host[behind_brackets + at + 1..])),
        None => (host, None),
    };
    let login_decoded = login.and_then(self::decoded).unwrap_or_default();
    let login_decoded = String::from_utf8_lossy(&login_decoded);
    refuse_options(&[&login_decoded, host, port.unwrap_or_default()])?;
    let is_port = port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    Ok(is_host(host) && is_port && login.is_none_or(is_login))
}

/// # Errors
/// When one of these would be an option to a program that it is handed on to.
fn refuse_options(parts: &[&str]) -> Result<()> {
    let option = parts.iter().find(|part| part.trim_start_matches('[').starts_with('-'));
    option.map_or(Ok(()), |option| {
        bail!(
            "a `repo` with a user, a host or a path that begins with `-`, as `{}` does, is refused: programs take such words \
             for options",
            option.escape_debug()
        )
    })
}

/// A name, a number, or a number in brackets.
fn is_host(host: &str) -> bool {
    let fits = |text: &str, more: &[u8]| {
        !text.is_empty()
            && text.bytes().all(|byte| {
                byte.is_ascii_alphanumeric()
                    || b"-._~".contains(&byte)
                    || more.contains(&byte)
                    || !byte.is_ascii()
            })
    };
    match host.strip_prefix('[') {
        // With the name of an interface behind `%`.
        Some(rest) => rest.strip_suffix(']').is_some_and(|inner| fits(inner, b":%")),
        None => fits(host, b""),
    }
}

fn is_login(login: &str) -> bool {
    !login.is_empty() && !login.contains(|c: char| c.is_whitespace() || "/?#[]\"'`$;|&<>()".contains(c))
}

/// What `%` and two digits stand for; `None` where these are missing.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
                let digits = std::str::from_utf8(&digits).ok().filter(|_| is_hex)?;
                u8::from_str_radix(digits, 16).ok()?
            }
            byte => byte,
        });
    }
    Some(decoded)
}

/// Scheme, host and port of a repository that is asked by HTTP, such as `https://example.com:8443`, in the words in which Git
/// asks for a password.
pub(super) fn http_origin(repo: &str) -> Option<String> {
    let (scheme, rest) = repo.split_once("://")?;
    if !matches!(scheme, "http" | "https") {
        return None;
    }
    let authority = rest.split('/').next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    Some(format!("{scheme}://{host}"))
}

/// A URL without its password: that of an existing checkout was not given by this job.
pub(super) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match host.rsplit_once('@') {
        Some((login, host)) if login.contains(':') => format!("{scheme}://***@{host}{path}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_a_url_or_an_absolute_path() {
        for repo in [
            "https://a/b.git",
            "https://a.example:8443/b%20c.git",
            "http://127.0.0.1:80/b",
            "ssh://git@a:22/b",
            "ssh://git@[::1]:22/b",
            "ssh://[fe80::1%25eth0]/b",
            "git+ssh://a/b",
            "git://a/~b/c",
            "git@a:b.git",
            "git@[::1]:b.git",
            "[::1]:b",
            "a:b",
            "a:/b",
            "a:b::c",
            "/srv/b",
            "/srv/a::b",
            "file:///srv/b",
            "https://me@a/b",
            "https://me%40example.com@a/b",
        ] {
            assert!(validate(repo).is_ok(), "{repo}: {:?}", validate(repo));
        }
        for repo in [
            "",
            "b",
            "./b",
            "../b",
            "-a:b",
            "--upload-pack=x",
            "ext::sh -c x",
            "ext::https://a/b",
            "file::/b",
            "fd::17",
            "a\n:b",
            "https://",
            "file://",
            "file://host/b",
            "https://a b/c",
            "https://a:b/c",
            "https://a:80x/c",
            "https://a%2eb/c",
            "https://a/%0a",
            "https://a%0a/c",
            "https://a/%zz",
            "https://a?b@c/d",
            "ssh://[::1/b",
            "ssh://$(x)@a/b",
            "a:",
            ":b",
            "./a:b",
            "a b:c",
            "a`x`:c",
            "a://b",
        ] {
            let error = validate(repo).unwrap_err().to_string();
            assert!(error.contains("is no repository: a URL"), "{repo}: {error}");
        }
        for repo in ["foo://a/b", "HTTPS://a/b", "ftp://a/b", "ext://a"] {
            let error = validate(repo).unwrap_err().to_string();
            assert!(error.contains("a URL begins with `https://`"), "{repo}: {error}");
        }
        for repo in ["https://me:pw@a/b", "https://:pw@a/b", "ssh://me:p@w@a/b"] {
            let error = validate(repo).unwrap_err().to_string();
            assert_eq!(error, "a `repo` with a password would be shown; give it as `password`");
        }
    }

    #[test]
    fn nothing_in_it_is_an_option() {
        for repo in [
            "ssh://-oProxyCommand=x/y",
            "ssh://-oProxyCommand=x@a/y",
            "ssh://%2doProxyCommand=x@a/y",
            "ssh://a@-oProxyCommand=x/y",
            "ssh://[-oProxyCommand=x]/y",
            "ssh://a:-p/y",
            "git://-a/y",
            "https://-a/y",
            "git@-oProxyCommand=x:y",
            "a@-b:c",
            "a:-b",
            "[-a]:b",
        ] {
            let error = validate(repo).unwrap_err().to_string();
            assert!(error.contains("programs take such words for options"), "{repo}: {error}");
        }
        assert!(validate("ssh://%2doProxyCommand=x/y").is_err());
    }

    #[test]
    fn a_password_is_for_scheme_host_and_port() {
        let origin = |repo: &str| http_origin(repo);
        assert_eq!(origin("https://a/b/c@d").unwrap(), "https://a");
        assert_eq!(origin("http://me@a:8080/b").unwrap(), "http://a:8080");
        assert_eq!(origin("https://[::1]:443").unwrap(), "https://[::1]:443");
        for repo in ["ssh://a/b", "git@a:b", "/a", "file:///a"] {
            assert_eq!(origin(repo), None);
        }
    }

    #[test]
    fn the_password_of_an_existing_checkout_is_not_shown() {
        assert_eq!(without_password("https://me:pw@a/b"), "https://***@a/b");
        for url in ["https://me@a/b", "https://a/b:c@d", "git@a:b", "/a"] {
            assert_eq!(without_password(url), url);
        }
    }
}
