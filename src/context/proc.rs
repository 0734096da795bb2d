//! Processes as Linux's `/proc` has them; elsewhere nothing is known of any.

/// The fields of a process's `stat` behind its name, which may have anything in it: state, parent, group, session, …
pub(crate) fn stat(pid: i32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat.rsplit_once(") ")?.1;
    Some(fields.split(' ').map(str::to_owned).collect())
}

/// The processes of a group that have not ended; `None` where the platform does not tell.
pub(crate) fn members(group: i32) -> Option<Vec<i32>> {
    stat(std::process::id().try_into().ok()?)?;
    let ids = std::fs::read_dir("/proc").ok()?.flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_one = |pid: &i32| {
        stat(*pid).is_some_and(|fields| {
            let of_group = fields.get(2).and_then(|field| field.parse().ok());
            of_group == Some(group) && !matches!(fields[0].as_str(), "Z" | "X")
        })
    };
    Some(ids.filter(is_one).collect())
}
