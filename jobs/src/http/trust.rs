//! Whom an encrypted connection is trusted to: the authorities that this machine trusts, and where it knows none, as in a container
//! with nothing else in it, those of Mozilla, which are built in.
//!
//! So an authority of one's own, added to the system's, or named in `SSL_CERT_FILE` or `SSL_CERT_DIR`, counts here as it does for other
//! programs.

use std::sync::Arc;

use dojob::Context;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Read once for all jobs.
struct Roots(RootCerts);

/// What to trust.
pub(crate) fn trusted(cx: &Context) -> TlsConfig {
    let roots = cx.handles().get_or_try_put(|| Ok::<_, std::convert::Infallible>(Roots(roots())));
    let roots = roots.map_or(RootCerts::WebPki, |roots| roots.0.clone());
    TlsConfig::builder().root_certs(roots).build()
}

fn roots() -> RootCerts {
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        return RootCerts::WebPki;
    }
    RootCerts::Specific(Arc::new(found.iter().map(|der| Certificate::from_der(der).to_owned()).collect()))
}
