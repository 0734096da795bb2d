//! Pictures by Graphviz, where it is installed.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use super::picture_format::PictureError;
use crate::secret::withheld;

/// Whether there is a `dot` to be called.
#[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "the command line asks before it begins"))]
pub(crate) fn is_installed() -> bool {
    let called = withheld(Command::new("dot").arg("-V").stdin(Stdio::null())).output();
    !matches!(called, Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// What `dot` makes of the text.
pub(crate) fn draw(dot: &str, format: &str, path: &Path) -> Result<Vec<u8>, PictureError> {
    let failed = |source| PictureError::Write { path: path.to_owned(), source };
    let mut command = Command::new("dot");
    command.arg(format!("-T{format}")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = withheld(&mut command).spawn().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => PictureError::NoGraphviz { path: path.to_owned() },
        _ => failed(source),
    })?;
    // It reads all before it writes anything, so that writing first cannot block both.
    if let Some(mut stdin) = child.stdin.take() {
        // Where it stops reading, its own message says more than a broken pipe.
        let _ = stdin.write_all(dot.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(PictureError::Graphviz {
        path: path.to_owned(),
        status: output.status.to_string(),
        message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
