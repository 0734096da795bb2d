//! `schema`: the JSON Schema of playbooks, for editors.

use crate::cli::print::print;
use crate::playbook::Registry;

pub(super) fn main() -> anyhow::Result<u8> {
    print(format!("{:#}\n", Registry::linked()?.json_schema()).as_bytes())?;
    Ok(0)
}
