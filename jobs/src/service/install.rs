//! The `[Install]` section of a unit's file: what `systemctl enable` goes by.

/// What the section says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Install {
    /// Whether another unit is to want it (`WantedBy=`, `RequiredBy=`, `UpheldBy=`).
    pub(super) is_wanted: bool,
    /// Other names that it gets.
    pub(super) aliases: Vec<String>,
    /// Units that are enabled and disabled with it.
    pub(super) also: Vec<String>,
    /// Whether it says which instance of a template is meant by the template (`DefaultInstance=`).
    pub(super) has_default: bool,
}

impl Install {
    /// Takes in what a file says; drop-ins add to what the unit's own file has said.
    pub(super) fn read(&mut self, text: &str) {
        let mut is_inside = false;
        for line in logical_lines(text) {
            let line = line.trim();
            if line.starts_with('[') {
                is_inside = line == "[Install]";
                continue;
            }
            let Some((key, value)) = line.split_once('=').filter(|_| is_inside) else { continue };
            let mut words = value.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned());
            match key.trim() {
                // An empty value asks for nothing.
                "WantedBy" | "RequiredBy" | "UpheldBy" => self.is_wanted |= words.next().is_some(),
                "Alias" => self.aliases.extend(words),
                "DefaultInstance" => self.has_default |= words.next().is_some(),
                "Also" => self.also.extend(words),
                _ => {}
            }
        }
    }

    /// Whether there is anything that `enable` could do.
    pub(super) fn can_be_enabled(&self) -> bool {
        self.is_wanted || !self.aliases.is_empty() || !self.also.is_empty()
    }
}

/// Lines, those that end with a backslash joined with the next one; without comments.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        if line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        let mut whole = open.take().unwrap_or_default();
        match line.strip_suffix('\\') {
            Some(start) => {
                whole.push_str(start);
                whole.push(' ');
                open = Some(whole);
            }
            None => {
                whole.push_str(line);
                lines.push(whole);
            }
        }
    }
    lines.extend(open);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Install {
        let mut install = Install::default();
        install.read(text);
        install
    }

    #[test]
    fn sections_are_read_as_systemd_reads_them() {
        let text = "[Service]\nAlias=no.service\n[Install]\n# Alias=no.service\nAlias=a.service \\\n; no\n  b.service\n\
                    Also = c.socket\n[X-Other]\nWantedBy=no.target\n";
        let mut install = read(text);
        assert_eq!(install.aliases, ["a.service", "b.service"]);
        assert_eq!(install.also, ["c.socket"]);
        assert!(!install.is_wanted && install.can_be_enabled());
        install.read("[Install]\nWantedBy=a.target\nAlias=d.service\n");
        assert_eq!(install.aliases, ["a.service", "b.service", "d.service"]);
        assert!(install.is_wanted);
        assert!(!read("[Service]\nExecStart=/bin/true\n").can_be_enabled());
        assert!(!read("[Install]\nWantedBy=\n").can_be_enabled());
    }
}
