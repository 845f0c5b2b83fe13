//! Which certificate a client is shown: by the name that it asks for.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

thread_local! {
    /// The name that a client has asked for, until its connection takes it ([`take_asked`]): rustls
    /// tells it only to who chooses the certificate.
    static ASKED: RefCell<Option<Box<str>>> = const { RefCell::new(None) };
}

/// The name that was asked for in the call to rustls that has just ended.
pub(crate) fn take_asked() -> Option<Box<str>> {
    ASKED.take()
}

/// Certificates of one name, of which a client is shown the first that it can check.
type Candidates = Vec<Arc<CertifiedKey>>;

/// The certificates of a port.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// By name, in lower case; `*.example.org` stands under `.example.org`.
    of: HashMap<String, Candidates>,
    /// For clients that ask for no name, or for one that is not there.
    others: Candidates,
    /// Who asks for a name that is not there is shown nothing.
    refuses_unknown: bool,
}

impl Names {
    pub(crate) fn new(refuses_unknown: bool) -> Self {
        Self { refuses_unknown, ..Self::default() }
    }

    /// Adds a certificate under every name that it has; the first one is also for clients that ask
    /// for another name or for none. The text says why it cannot be.
    pub(crate) fn add(&mut self, key: CertifiedKey) -> Result<(), String> {
        let leaf: &CertificateDer<'_> = key.cert.first().ok_or("it is empty")?;
        let leaf = webpki::EndEntityCert::try_from(leaf).map_err(|error| error.to_string())?;
        let names: Vec<String> = leaf.valid_dns_names().map(str::to_ascii_lowercase).collect();
        let key = Arc::new(key);
        for name in names {
            let name = name.strip_prefix('*').map(str::to_owned).unwrap_or(name);
            self.of.entry(name).or_default().push(Arc::clone(&key));
        }
        // A second one of the same names, with a key of another kind, is also for others.
        if self.others.first().is_none_or(|first| have_same_names(first, &key)) {
            self.others.push(key);
        }
        Ok(())
    }

    /// Those of a name; none if it is not there and must be.
    fn candidates(&self, name: Option<&str>) -> &[Arc<CertifiedKey>] {
        let Some(name) = name else { return &self.others };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let parent = name.find('.').and_then(|at| name.get(at..));
        let found = self.of.get(&name).or_else(|| self.of.get(parent?));
        match found {
            Some(found) => found,
            None if self.refuses_unknown => &[],
            None => &self.others,
        }
    }
}

fn have_same_names(one: &CertifiedKey, other: &CertifiedKey) -> bool {
    let names = |key: &CertifiedKey| -> Vec<String> {
        let leaf = key.cert.first().and_then(|leaf| webpki::EndEntityCert::try_from(leaf).ok());
        leaf.map(|leaf| leaf.valid_dns_names().map(str::to_owned).collect()).unwrap_or_default()
    };
    names(one) == names(other)
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        ASKED.set(name.map(Box::from));
        let candidates = self.candidates(name);
        let schemes = hello.signature_schemes();
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        candidates.iter().find(fits).or_else(|| candidates.first()).map(Arc::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::testing::{Authority, certified};

    fn names(authority: &Authority, lists: &[&[&str]], refuses: bool) -> Names {
        let mut names = Names::new(refuses);
        lists.iter().for_each(|list| names.add(certified(authority, list)).unwrap());
        names
    }

    fn shown(names: &Names, name: Option<&str>) -> Option<Vec<u8>> {
        Some(names.candidates(name).first()?.cert.first()?.to_vec())
    }

    #[test]
    fn a_name_is_found_as_it_is_and_by_its_wildcard_one_level_deep() {
        let authority = Authority::new("names");
        let names = names(&authority, &[&["a.test"], &["b.test", "*.b.test"]], true);
        let (a, b) = (shown(&names, Some("a.test")), shown(&names, Some("b.test")));
        assert!(a.is_some() && b.is_some() && a != b);
        for name in ["x.b.test", "X.B.TEST", "x.b.test."] {
            assert_eq!(shown(&names, Some(name)), b, "{name}");
        }
        for name in ["x.y.b.test", "x.a.test", "test", "", "."] {
            assert_eq!(shown(&names, Some(name)), None, "{name}");
        }
        assert_eq!(shown(&names, None), a, "the first is for who asks for none");
    }

    #[test]
    fn who_asks_for_another_name_is_shown_the_first_if_it_may_be() {
        let authority = Authority::new("first");
        let names = names(&authority, &[&["a.test"], &["b.test"]], false);
        assert_eq!(shown(&names, Some("c.test")), shown(&names, Some("a.test")));
    }

    #[test]
    fn two_certificates_of_one_name_are_both_to_choose_from() {
        let authority = Authority::new("twice");
        let names = names(&authority, &[&["a.test"], &["a.test"]], true);
        assert_eq!(names.candidates(Some("a.test")).len(), 2);
        assert_eq!(names.candidates(None).len(), 2);
    }
}
