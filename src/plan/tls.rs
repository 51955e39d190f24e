//! `[tls]` resolved: the files that it names are read here, so that workers get what is in them and never where they are.

use super::{Cell, Target};
use crate::catalog::{ClientCertificate, HttpVersion, Pem, PemError, Tls, Transport, TransportKind};
use crate::scenario::{self, Arm, At, Place, Problem};
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Larger files are no certificates; those of every authority there is are less than one of these.
const MOST_BYTES: u64 = 4 << 20;

pub(super) const WHY_NOT_UDP: &str = "udp has no TLS, which needs a stream that loses and reorders nothing; DTLS is another protocol, and not spoken here";

/// What `said` comes to. `scenario`: its file, whose folder paths are relative to; those of flags to where we are.
pub(super) fn read(said: &scenario::Tls, scenario: &str, problems: &mut Vec<Problem>) -> Tls {
    let folder = Path::new(scenario).parent().unwrap_or(Path::new(""));
    Tls {
        ca: said.ca.as_ref().and_then(|ca| kept(authorities(ca, folder), problems)),
        identity: identity(said, folder, problems),
        insecure: said.insecure.value,
        server_name: said.server_name.as_ref().and_then(|name| kept(server_name(name), problems)),
        alpn: alpn(said, problems),
        resumption: false,
    }
}

/// TLS of one arm: whether there is any is its URL's to say, or its own at the embedded target.
pub(super) fn of_arm(
    name: &At<String>,
    transport: &Transport,
    arm: &Arm,
    target: &Target,
    whole: &Tls,
    problems: &mut Vec<Problem>,
) -> Option<Tls> {
    let kind = transport.kind();
    // What it says of it has been refused already.
    if kind == TransportKind::Udp {
        return None;
    }
    let asked = arm.tls.as_ref();
    let is_spoken = match target {
        Target::Embedded => asked.is_some_and(|asked| asked.value),
        Target::Url(url) => {
            if let Some(asked) = asked.filter(|asked| asked.value != url.is_tls()) {
                let message = format!(
                    "`tls` is for the embedded target: with a URL the scheme decides, and {}:// {} TLS",
                    url.scheme,
                    if url.is_tls() { "is" } else { "has no" }
                );
                let hint = format!("leave `tls` out, or write {}://", kind.scheme(asked.value));
                problems.push(Problem::at(asked, message).hint(hint));
            }
            url.is_tls()
        }
    };
    let resumption = arm.resumption.as_ref().filter(|resumption| resumption.value);
    if let Some(resumption) = resumption.filter(|_| !is_spoken) {
        let message = format!("arm `{}` speaks no TLS, so there are no sessions to resume", name.value);
        let hint = match target {
            Target::Embedded => "add `tls = true`".to_owned(),
            Target::Url(_) => format!("leave `resumption` out, or write {}:// in the URL", kind.scheme(true)),
        };
        problems.push(Problem::at(resumption, message).hint(hint));
    }
    // Of the embedded target exactly its own certificate is trusted, and it asks nobody for one.
    let trust = match target {
        Target::Embedded => Tls::default(),
        Target::Url(_) => whole.clone(),
    };
    // By HTTP/2 there is one thing to agree on alone (RFC 9113 §3.2).
    let alpn = match transport.http() {
        Some(HttpVersion::Two) => vec![HttpVersion::Two.alpn().to_owned()],
        _ => trust.alpn,
    };
    is_spoken.then_some(Tls { alpn, resumption: resumption.is_some(), ..trust })
}

/// That what `said` holds changes nothing, if that is so.
pub(super) fn idle(said: &scenario::Tls, cells: &[Cell]) -> Option<String> {
    let places = [&said.ca, &said.cert, &said.key, &said.server_name].map(|text| text.as_ref().map(|text| &text.place));
    let others = [Some(&said.insecure.place), said.alpn.as_ref().map(|alpn| &alpn.place)];
    let mut said = places.into_iter().chain(others).flatten().filter(|place| **place != Place::Default);
    let is_spoken_elsewhere = |cell: &Cell| cell.tls.is_some() && matches!(cell.target, Target::Url(_));
    let first = said.next().filter(|_| !cells.iter().any(is_spoken_elsewhere))?;
    let what = if let Place::Flag(flag) = first { flag } else { "[tls]" };
    Some(format!("`{what}` changes nothing: no arm that runs has a URL that asks for TLS (wss, https, tls)"))
}

/// Notes what is wrong.
fn kept<T>(found: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    found.map_err(|problem| problems.push(problem)).ok()
}

fn authorities(said: &At<String>, folder: &Path) -> Result<Pem, Problem> {
    let pem = pem(said, folder)?;
    let mut roots = RootCertStore::empty();
    for (certificate, n) in pem.certificates().map_err(|error| wrong(said, error))?.into_iter().zip(1..) {
        roots.add(certificate).map_err(|_| wrong(said, format!("certificate {n} in it can't be read")))?;
    }
    Ok(pem)
}

fn identity(said: &scenario::Tls, folder: &Path, problems: &mut Vec<Problem>) -> Option<ClientCertificate> {
    let Some(cert) = &said.cert else {
        if let Some(key) = &said.key {
            let problem = Problem::at(key, "a key without its certificate says nothing of who we are");
            problems.push(problem.hint("name the certificate: `cert = \"client.pem\"`, or `--cert client.pem`"));
        }
        return None;
    };
    let key = said.key.as_ref().unwrap_or(cert);
    let cert_pem =
        kept(pem(cert, folder).and_then(|pem| holds(cert, pem, |pem| pem.certificates().map(|_| ()))), problems);
    let key_pem = kept(pem(key, folder).and_then(|pem| holds(key, pem, |pem| pem.key().map(|_| ()))), problems);
    let identity = ClientCertificate { cert: cert_pem?, key: key_pem? };
    kept(check_pair(&identity, cert, key), problems)?;
    Some(identity)
}

/// Whether the key is the certificate's, and both are of a kind that is known.
fn check_pair(identity: &ClientCertificate, cert: &At<String>, key: &At<String>) -> Result<(), Problem> {
    let chain = identity.cert.certificates().map_err(|error| wrong(cert, error))?;
    let secret = identity.key.key().map_err(|error| wrong(key, error))?;
    match CertifiedKey::from_der(chain, secret, &rustls::crypto::ring::default_provider()) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(Problem::at(key, format!("{} is not the key of the certificate in {}", key.value, cert.value)))
        }
        Err(rustls::Error::InvalidCertificate(_)) => Err(wrong(cert, "the first certificate in it can't be read")),
        Err(_) => Err(wrong(key, "the key in it is of no kind that is known here (ECDSA, Ed25519 or RSA)")),
    }
}

/// The file that `said` names.
fn pem(said: &At<String>, folder: &Path) -> Result<Pem, Problem> {
    let (path, hint) = match said.place {
        Place::Flag(_) => (PathBuf::from(&said.value), "a PEM file; the path is relative to where you are"),
        _ => (folder.join(&said.value), "a PEM file; the path is relative to the scenario"),
    };
    let text = contents(&path)
        .map_err(|error| Problem::at(said, format!("{} can't be read: {error}", path.display())).hint(hint))?;
    Ok(Pem::new(text))
}

fn contents(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => io::Error::other("it is not text, as PEM is"),
        _ => error,
    })?;
    if text.len() as u64 > MOST_BYTES { Err(io::Error::other("it is larger than 4 MiB")) } else { Ok(text) }
}

/// `pem`, if what must be in it is.
fn holds(said: &At<String>, pem: Pem, look: impl FnOnce(&Pem) -> Result<(), PemError>) -> Result<Pem, Problem> {
    look(&pem).map_err(|error| wrong(said, error))?;
    Ok(pem)
}

/// What is wrong with the file that `said` names.
fn wrong(said: &At<String>, why: impl std::fmt::Display) -> Problem {
    Problem::quote(&said.place, format!("{}: {why}", said.value))
}

fn server_name(said: &At<String>) -> Result<String, Problem> {
    match ServerName::try_from(said.value.as_str()) {
        Ok(_) => Ok(said.value.clone()),
        Err(_) => {
            let message =
                format!("`{}` is neither a host's name nor an address, which a certificate could have", said.value);
            Err(Problem::at(said, message)
                .hint("without scheme and port, such as `server_name = \"chat.example.org\"`"))
        }
    }
}

fn alpn(said: &scenario::Tls, problems: &mut Vec<Problem>) -> Vec<String> {
    let offered = said.alpn.iter().flat_map(|list| list.iter());
    for protocol in offered.clone() {
        match protocol.as_str() {
            "h2" => {
                let problem = Problem::at(protocol, "`h2` is offered by the arms that speak HTTP/2, and by no others");
                problems.push(problem.hint("leave it out, and write `http = 2` in those arms"));
            }
            "h3" => {
                let problem = Problem::at(protocol, "`h3` can't be offered: HTTP/3 is not spoken here");
                problems.push(problem.hint("`http/1.1` is the name of HTTP/1.1"));
            }
            name if !(1..=255).contains(&name.len()) => {
                problems.push(Problem::at(protocol, "an application protocol's name has 1 to 255 bytes"));
            }
            _ => {}
        }
    }
    offered.map(|protocol| protocol.value.clone()).collect()
}

#[cfg(test)]
mod tests {
    use crate::plan::{Overrides, Plan, build};
    use crate::scenario;
    use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
    use std::path::Path;

    fn plan(folder: &Path, top: &str, arms: &str, overrides: &Overrides) -> Result<Plan, String> {
        let load = "[workload.echo]\n[load]\nrate = \"1/s\"\nduration = \"1s\"\n";
        let path = folder.join("mine.toml").display().to_string();
        let text = format!("{top}{load}{arms}");
        let scenario = scenario::parse(&path, &text).unwrap_or_else(|e| panic!("{}", e.render(false)));
        build(&scenario, overrides).map_err(|error| format!("{error}\n{}", error.render(false)))
    }

    const AT_URL: &str = "[transports.tcp]\n[target.urls]\ntcp = \"tls://h:7\"\n";

    fn own() -> CertifiedKey<KeyPair> {
        generate_simple_self_signed(vec!["me".to_owned()]).unwrap()
    }

    #[test]
    fn files_are_read_beside_the_scenario_and_flags_beat_them() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (own(), own());
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        write("one.pem", one.cert.pem() + &one.signing_key.serialize_pem());
        write("other.pem", other.cert.pem());
        write("other-key.pem", other.signing_key.serialize_pem());
        let top = "[tls]\nca = \"other.pem\"\ncert = \"other.pem\"\nkey = \"other-key.pem\"\nserver_name = \"x.org\"\n\
                   alpn = [\"a\", \"b\"]\n";
        let tls =
            |overrides: &Overrides| plan(folder.path(), top, AT_URL, overrides).unwrap().cells[0].tls.clone().unwrap();
        let said = tls(&Overrides::default());
        assert_eq!(said.ca.unwrap().certificates().unwrap()[0], *other.cert.der());
        assert_eq!(said.identity.unwrap().cert.certificates().unwrap()[0], *other.cert.der());
        assert_eq!((said.server_name.as_deref(), said.alpn.as_slice()), (Some("x.org"), &["a".into(), "b".into()][..]));
        assert!(!said.insecure && !said.resumption);
        let file = Some(folder.path().join("one.pem").display().to_string());
        let flags = Overrides { cacert: file.clone(), cert: file, insecure: Some(true), ..Overrides::default() };
        let said = tls(&flags);
        assert_eq!(said.ca.unwrap().certificates().unwrap()[0], *one.cert.der());
        assert_eq!(said.identity.unwrap().key.key().unwrap().secret_der(), one.signing_key.serialize_der());
        assert!(said.insecure);
    }

    #[test]
    fn what_can_not_be_used_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (own(), own());
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("one.pem", &one.cert.pem());
        write("other-key.pem", &other.signing_key.serialize_pem());
        write("empty.pem", "");
        write("garbage.pem", "-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n");
        write("cut.pem", "-----BEGIN CERTIFICATE-----\nc2VjcmV0\n");
        let problem =
            |top: &str| plan(folder.path(), &format!("[tls]\n{top}\n"), AT_URL, &Overrides::default()).unwrap_err();
        for (top, said) in [
            ("ca = \"none.pem\"", "none.pem can't be read"),
            ("ca = \"empty.pem\"", "it holds no certificate"),
            ("ca = \"garbage.pem\"", "certificate 1 in it can't be read"),
            ("ca = \"cut.pem\"", "not PEM"),
            ("cert = \"one.pem\"", "it holds no key"),
            ("cert = \"garbage.pem\"\nkey = \"other-key.pem\"", "the first certificate in it can't be read"),
            ("server_name = \"https://x\"", "neither a host's name nor an address"),
            ("alpn = [\"h2\"]", "write `http = 2`"),
            ("alpn = [\"h3\"]", "HTTP/3 is not spoken"),
        ] {
            let told = problem(top);
            assert!(told.contains(said) && told.contains("mine.toml:2:"), "{top}: {told}");
            assert!(!told.contains("c2Vj"), "{told}");
        }
        let told = problem("cert = \"one.pem\"\nkey = \"other-key.pem\"");
        assert!(told.contains("other-key.pem is not the key") && told.contains("mine.toml:3:7"), "{told}");
        assert!(problem("key = \"other-key.pem\"").contains("without its certificate"));
        let flags = Overrides { cacert: Some("/nowhere.pem".into()), ..Overrides::default() };
        let told = plan(folder.path(), "", AT_URL, &flags).unwrap_err();
        assert!(told.contains("--cacert: /nowhere.pem can't be read"), "{told}");
    }

    #[test]
    fn who_speaks_tls_is_the_arms_to_say_or_the_urls() {
        let embedded = "[transports.tcp]\ntls = true\nresumption = true\n[transports.sse]\n";
        let top = "[tls]\ninsecure = true\nserver_name = \"x\"\n";
        let made = plan(Path::new(""), top, embedded, &Overrides::default()).unwrap();
        let tls = made.cells[0].tls.clone().unwrap();
        assert!(
            tls.resumption && !tls.insecure && tls.server_name.is_none(),
            "of the embedded target the run trusts its own"
        );
        assert_eq!((&made.cells[1].tls, made.insecure_arms()), (&None, vec![]));
        assert!(made.warnings()[0].contains("`[tls]` changes nothing"), "{:?}", made.warnings());
        let flag = Overrides { insecure: Some(true), ..Overrides::default() };
        let warned = plan(Path::new(""), "", embedded, &flag).unwrap().warnings();
        assert!(warned[0].contains("`--insecure` changes nothing"), "{warned:?}");
        assert!(plan(Path::new(""), "", embedded, &Overrides::default()).unwrap().warnings().is_empty());
        let by_two =
            "[transports.sse]\nhttp = 2\ntls = true\n[transports.wss]\ntransport = \"websocket\"\ntls = true\n";
        let made = plan(Path::new(""), "", by_two, &Overrides::default()).unwrap();
        let offered = |at: usize| made.cells[at].tls.as_ref().unwrap().alpn.clone();
        assert_eq!((offered(0), offered(1)), (vec!["h2".to_owned()], vec![]));
        let at_url = "[transports.sse]\nhttp = 2\n[target.urls]\nsse = \"https://h\"\n";
        let made = plan(Path::new(""), "[tls]\nalpn = [\"http/1.1\"]\n", at_url, &Overrides::default()).unwrap();
        assert_eq!(made.cells[0].tls.as_ref().unwrap().alpn, ["h2"], "it is not HTTP/1.1 that is spoken there");
        let url = |arm: &str, url: &str| {
            let arms = format!("[transports.tcp]\n{arm}\n[target.urls]\ntcp = \"{url}\"\n");
            plan(Path::new(""), top, &arms, &Overrides::default())
        };
        let made = url("tls = true", "tls://h:7").unwrap();
        assert_eq!((made.insecure_arms(), made.warnings().len()), (vec!["tcp"], 1));
        assert!(url("", "tcp://h:7").unwrap().cells[0].tls.is_none());
        for (arm, at) in [("tls = true", "tcp://h:7"), ("tls = false", "tls://h:7")] {
            assert!(url(arm, at).unwrap_err().contains("with a URL the scheme decides"), "{arm} {at}");
        }
        assert!(url("resumption = true", "tcp://h:7").unwrap_err().contains("no sessions to resume"));
        for udp in ["[transports.udp]\ntls = true", "[transports.udp]\n[target.urls]\nudp = \"tls://h:7\""] {
            let told = plan(Path::new(""), "", udp, &Overrides::default()).unwrap_err();
            assert!(told.contains("udp has no TLS"), "{told}");
        }
    }
}
