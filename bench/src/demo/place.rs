//! Where the demo's program lies while it is deployed.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ostler_testkit::{TestResult, TestServer};

use crate::{Error, Result};

/// What a client asks (`ostler_demo::QUESTION`).
const QUESTION: &[u8] = b"version?";
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A version of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
    /// Its workers cannot start.
    Broken,
}

impl Version {
    const ALL: [Self; 3] = [Self::One, Self::Two, Self::Broken];

    /// The program's file.
    const fn file(self) -> &'static str {
        match self {
            Self::One => "demo-one",
            Self::Two => "demo-two",
            Self::Broken => "demo-broken",
        }
    }

    /// What it says when it is asked.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::One => "version one",
            Self::Two => "version two",
            Self::Broken => "version three",
        }
    }
}

/// A directory with the program that runs, removed at the end.
pub(super) struct Place {
    directory: PathBuf,
    versions: PathBuf,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Place {
    /// The first version lies there.
    pub(super) fn new(versions: &Path) -> Result<Self> {
        let missing = Version::ALL.iter().map(|version| versions.join(version.file()));
        if let Some(missing) = missing.into_iter().find(|path| !path.is_file()) {
            let missing = missing.display();
            return Err(Error::usage(format!(
                "there is no {missing}; build it with `cargo build --release -p ostler-demo`"
            )));
        }
        let directory = std::env::temp_dir().join(format!("ostler-demo-{}", std::process::id()));
        std::fs::create_dir(&directory).map_err(Error::system("make a directory for the demo"))?;
        let place = Self { directory, versions: versions.to_owned() };
        place.deploy(Version::One)?;
        Ok(place)
    }

    /// Where the program lies.
    pub(super) fn program(&self) -> PathBuf {
        self.directory.join("echo")
    }

    /// Puts a version there as one should: written beside the old one, and renamed.
    pub(super) fn deploy(&self, version: Version) -> Result<()> {
        let new = self.directory.join("new");
        std::fs::copy(self.versions.join(version.file()), &new)
            .and_then(|_| std::fs::rename(&new, self.program()))
            .map_err(Error::system("put a program into place"))
    }
}

/// What the server answers to a client that asks for the version.
pub(super) fn version_of(server: &TestServer) -> TestResult<String> {
    let mut client = TcpStream::connect(server.address())?;
    client.set_read_timeout(Some(ANSWER_WITHIN))?;
    client.write_all(QUESTION)?;
    client.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_was_not_built_is_named_with_how_to_build_it() {
        let Err(error) = Place::new(Path::new("/no/such/directory")) else { panic!("it is there") };
        let text = error.to_string();
        assert!(text.contains("/no/such/directory/demo-one"), "{text}");
        assert!(text.contains("cargo build --release -p ostler-demo"), "{text}");
    }
}
