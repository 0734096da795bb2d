//! `schema`: the JSON Schema of playbooks, for editors.

use super::registry;
use crate::cli::run::print;

pub(super) fn main() -> anyhow::Result<u8> {
    print(format!("{:#}\n", registry()?.json_schema()).as_bytes())?;
    Ok(0)
}
