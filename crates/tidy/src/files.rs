//! The text files of the repository.

use std::fs;
use std::io;
use std::path::Path;

/// Directories with nothing of ours: what is built, what fuzzing found, what git keeps.
const SKIPPED: [&str; 5] = ["target", ".git", "corpus", "artifacts", "mutants.out"];

/// What is looked at, by the end of the name.
const KINDS: [&str; 6] = [".rs", ".md", ".toml", ".txt", "Makefile", ".ci/run"];

/// A file and what it says.
#[derive(Debug)]
pub(crate) struct File {
    /// Relative to the root, with `/` between the parts.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    #[cfg(test)]
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The lines with their numbers, counted from one.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// Reads every file that the rules look at, in the order of their names.
pub(crate) fn read_all(root: &Path) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    walk(root, "", &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn walk(directory: &Path, prefix: &str, files: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                walk(&entry.path(), &format!("{path}/"), files)?;
            }
        } else if KINDS.iter().any(|kind| path.ends_with(kind)) {
            files.push(File { text: fs::read_to_string(entry.path())?, path });
        }
    }
    Ok(())
}
