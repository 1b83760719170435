//! Lists as tables: a line for each object, a column for each of the keys that people look for.

use std::fmt::Write as _;

use serde_json::Value;

use super::escape::Escaped;
use super::size::Size;
use super::time::LocalTime;

type Object = serde_json::Map<String, Value>;

/// What a column is called, and the keys of JSON that it may come from.
#[derive(Debug)]
pub struct Column {
    head: &'static str,
    keys: &'static [&'static str],
    form: Form,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    /// A number of bytes.
    Size,
    /// Seconds since 1970.
    Time,
    /// Everything that has no column of its own, as `key=value`.
    Rest,
}

const fn column(head: &'static str, keys: &'static [&'static str]) -> Column {
    Column {
        head,
        keys,
        form: Form::Plain,
    }
}

const fn size(head: &'static str, keys: &'static [&'static str]) -> Column {
    Column {
        form: Form::Size,
        ..column(head, keys)
    }
}

const ID: Column = column("ID", &["id"]);
const NAME: Column = column("NAME", &["name"]);
const TYPE: Column = column("TYPE", &["type"]);
const BTF_ID: Column = column("BTF", &["btf_id"]);
const MEMLOCK: Column = size("MEMLOCK", &["bytes_memlock"]);
const HOLDERS: Column = column("HELD BY", &["pids"]);
const PINNED: Column = column("PINNED", &["pinned"]);
/// What is left; these keys say what other columns say, or nothing to people.
const REST: Column = Column {
    form: Form::Rest,
    ..column("DETAILS", &[])
};

const PROG: &[Column] = &[
    ID,
    TYPE,
    NAME,
    column("TAG", &["tag"]),
    Column {
        form: Form::Time,
        ..column("LOADED", &["loaded_at"])
    },
    column("UID", &["uid"]),
    size("XLATED", &["bytes_xlated"]),
    size("JITED", &["bytes_jited"]),
    MEMLOCK,
    column("MAPS", &["map_ids"]),
    BTF_ID,
    HOLDERS,
    PINNED,
];
const MAP: &[Column] = &[
    ID,
    TYPE,
    NAME,
    column("FLAGS", &["flags"]),
    size("KEY", &["bytes_key"]),
    size("VALUE", &["bytes_value"]),
    column("ENTRIES", &["max_entries"]),
    MEMLOCK,
    column("FROZEN", &["frozen"]),
    BTF_ID,
    HOLDERS,
    PINNED,
];
const LINK: &[Column] = &[
    ID,
    TYPE,
    column("PROG", &["prog_id"]),
    REST,
    HOLDERS,
    PINNED,
];
const BTF: &[Column] = &[
    ID,
    NAME,
    size("SIZE", &["size"]),
    column("PROGS", &["prog_ids"]),
    column("MAPS", &["map_ids"]),
    HOLDERS,
];
const CGROUP: &[Column] = &[
    column("CGROUP", &["cgroup"]),
    ID,
    column("HOOK", &["attach_type"]),
    column("FLAGS", &["attach_flags"]),
    NAME,
];
const PERF: &[Column] = &[
    column("PID", &["pid"]),
    column("FD", &["fd"]),
    column("PROG", &["prog_id"]),
    column("TYPE", &["fd_type"]),
    REST,
];
const NET: &[Column] = &[
    column("AT", &[LIST, "kind", "mode"]),
    column("DEVICE", &["devname"]),
    column("PROG", &["prog_id", "id"]),
    NAME,
    REST,
];
const STRUCT_OPS: &[Column] = &[ID, NAME, column("TYPE", &["kernel_struct_ops"])];
const TOKEN: &[Column] = &[
    column("FILE SYSTEM", &["token_info"]),
    column("COMMANDS", &["allowed_cmds"]),
    column("MAPS", &["allowed_maps"]),
    column("PROGS", &["allowed_progs"]),
    column("HOOKS", &["allowed_attachs"]),
];

/// Keys of lists of objects that are rows of their own.
const ROWS: [&str; 5] = ["programs", "xdp", "tc", "flow_dissector", "netfilter"];
/// Where a row has the key of the list that it was in.
const LIST: &str = "\0list";

/// The columns for what a noun lists.
#[must_use]
pub fn columns(noun: &str) -> Option<&'static [Column]> {
    Some(match noun {
        "prog" => PROG,
        "map" => MAP,
        "link" => LINK,
        "btf" => BTF,
        "cgroup" => CGROUP,
        "perf" => PERF,
        "net" => NET,
        "struct_ops" => STRUCT_OPS,
        "token" => TOKEN,
        _ => return None,
    })
}

/// A table of an answer: its head, and a line for each object in it.
#[must_use]
pub fn table(columns: &[Column], answer: &Value) -> (String, Vec<String>) {
    let mut rows = Vec::new();
    collect(answer, &Object::new(), &mut rows);
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            columns
                .iter()
                .map(|column| column.cell(columns, row))
                .collect()
        })
        .collect();
    // a column that says nothing of any object is left out
    let is_told = |at: usize| {
        cells
            .iter()
            .any(|row| row.get(at).is_some_and(|cell| cell != NOTHING))
    };
    let told: Vec<usize> = (0..columns.len())
        .filter(|at| cells.is_empty() || is_told(*at))
        .collect();
    let heads: Vec<String> = columns
        .iter()
        .map(|column| column.head.to_owned())
        .collect();
    let numeric = |at: usize| {
        let mut column = cells.iter().filter_map(|row| row.get(at));
        column.all(|cell| cell == NOTHING || cell.starts_with(|c: char| c.is_ascii_digit()))
            && columns
                .get(at)
                .is_some_and(|column| column.form != Form::Time)
            && columns
                .get(at)
                .is_some_and(|column| !column.keys.contains(&"tag"))
    };
    let layout: Vec<(usize, usize, bool)> = told
        .into_iter()
        .map(|at| {
            let all = cells.iter().chain([&heads]).filter_map(|row| row.get(at));
            let width = all.map(|cell| cell.chars().count()).max().unwrap_or(0);
            (at, width, numeric(at))
        })
        .collect();
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (at, width, right) in &layout {
            let cell = row.get(*at).map_or("", String::as_str);
            let pad = width - cell.chars().count().min(*width);
            let pad = " ".repeat(pad);
            let shown = if *right { [&pad, cell] } else { [cell, &pad] };
            if !line.is_empty() {
                line.push_str("  ");
            }
            line.push_str(&shown.concat());
        }
        line.trim_end().to_owned()
    };
    (line(&heads), cells.iter().map(line).collect())
}

/// In the place of a value that is not there.
const NOTHING: &str = "-";

/// Finds the objects of an answer, also those in lists in others.
fn collect(value: &Value, around: &Object, rows: &mut Vec<Object>) {
    match value {
        Value::Array(values) => {
            for value in values {
                collect(value, around, rows);
            }
        }
        Value::Object(object) => {
            let mut own = around.clone();
            let mut lists = Vec::new();
            for (key, value) in object {
                if ROWS.contains(&key.as_str()) && value.is_array() {
                    lists.push((key, value));
                } else {
                    own.insert(key.clone(), value.clone());
                }
            }
            if lists.is_empty() {
                rows.push(own);
                return;
            }
            for (key, list) in lists {
                own.insert(LIST.to_owned(), Value::String(key.clone()));
                collect(list, &own, rows);
            }
        }
        _ => {}
    }
}

impl Column {
    fn cell(&self, columns: &[Self], row: &Object) -> String {
        let found = self.keys.iter().find_map(|key| row.get(*key));
        let text = match (self.form, found) {
            (Form::Rest, _) => rest(columns, row),
            (Form::Size, Some(Value::Number(bytes))) => bytes
                .as_u64()
                .map_or_else(|| bytes.to_string(), |bytes| Size(bytes).to_string()),
            (Form::Time, Some(Value::Number(time))) => time
                .as_i64()
                .map_or_else(|| time.to_string(), |time| LocalTime(time).to_string()),
            (_, Some(value)) => plain(value),
            (_, None) => String::new(),
        };
        if text.is_empty() {
            NOTHING.to_owned()
        } else {
            text
        }
    }
}

fn rest(columns: &[Column], row: &Object) -> String {
    let shown: Vec<_> = columns.iter().flat_map(|column| column.keys).collect();
    let left = row
        .iter()
        .filter(|(key, _)| !shown.contains(&&key.as_str()) && *key != LIST);
    let parts = left.map(|(key, value)| format!("{key}={}", plain(value)));
    parts.collect::<Vec<_>>().join(" ")
}

/// A value in a cell: lists with commas, holders as `name(pid)`.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => Escaped(text.as_bytes()).to_string(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(","),
        Value::Object(object) => match (object.get("comm"), object.get("pid")) {
            (Some(comm), Some(pid)) => format!("{}({})", plain(comm), plain(pid)),
            _ => {
                let mut text = String::new();
                for (key, value) in object {
                    let blank = if text.is_empty() { "" } else { " " };
                    // a string takes all that is written to it
                    let _written = write!(text, "{blank}{key}={}", plain(value));
                }
                text
            }
        },
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(noun: &str, answer: &Value) -> String {
        let (head, rows) = table(columns(noun).unwrap(), answer);
        [vec![head], rows].concat().join("\n")
    }

    #[test]
    fn objects_are_rows() {
        let maps = json!([
            {"id": 7, "type": "hash", "name": "a\u{1b}b", "flags": 0, "bytes_key": 4, "bytes_value": 8,
             "max_entries": 16, "bytes_memlock": 2320, "frozen": 0,
             "pids": [{"pid": 12, "comm": "agent"}, {"pid": 13, "comm": "x"}]},
            {"id": 1234, "type": "array", "flags": 1024, "bytes_key": 4, "bytes_value": 4096,
             "max_entries": 1, "bytes_memlock": 4096, "frozen": 1, "btf_id": 3},
        ]);
        assert_eq!(
            shown("map", &maps),
            "  ID  TYPE   NAME    FLAGS  KEY  VALUE  ENTRIES  MEMLOCK  FROZEN  BTF  HELD BY
   7  hash   a\\x1bb      0   4B     8B       16    2320B       0    -  agent(12),x(13)
1234  array  -        1024   4B  4096B        1    4096B       1    3  -"
        );
    }

    #[test]
    fn lists_in_objects_are_rows_of_their_own() {
        let tree = json!([
            {"cgroup": "/a", "programs": [{"id": 1, "attach_type": "device", "attach_flags": "multi", "name": "x"},
                                          {"id": 2, "attach_type": "sysctl", "name": "y"}]},
            {"cgroup": "/a/b", "programs": [{"id": 3, "attach_type": "device", "name": "z"}]},
        ]);
        assert_eq!(
            shown("cgroup", &tree),
            "\
CGROUP  ID  HOOK    FLAGS  NAME
/a       1  device  multi  x
/a       2  sysctl  -      y
/a/b     3  device  -      z"
        );
        let net = json!([{"xdp": [{"devname": "eth0", "ifindex": 2, "mode": "driver", "id": 9}],
                          "tc": [], "flow_dissector": [], "netfilter": []}]);
        assert_eq!(
            shown("net", &net),
            "\
AT   DEVICE  PROG  DETAILS
xdp  eth0       9  ifindex=2"
        );
        let empty = json!([{"xdp": [], "tc": [], "flow_dissector": [], "netfilter": []}]);
        assert_eq!(shown("net", &empty), "AT  DEVICE  PROG  NAME  DETAILS");
    }

    #[test]
    fn what_has_no_column_is_a_detail() {
        let links = json!([{"id": 4, "type": "cgroup", "prog_id": 5, "cgroup_id": 77, "attach_type": "device"}]);
        assert_eq!(
            shown("link", &links),
            "\
ID  TYPE    PROG  DETAILS
 4  cgroup     5  attach_type=device cgroup_id=77"
        );
    }
}
